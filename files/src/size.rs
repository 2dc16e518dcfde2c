//! Sizes as people read them.

use std::fmt;

/// A number of bytes, displayed in the largest unit that divides it exactly.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match unit.into_iter().find(|(shift, _)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift)) {
            Some((shift, name)) => write!(formatter, "{} {name}", self.0 >> shift),
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}
