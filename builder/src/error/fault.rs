//! Whose fault a failure is.

use std::fmt;

/// Whose fault it is that a build ended without an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The Dockerfile's, its files', or the repository's settings: the same build fails again.
    User,
    /// A registry's or a forge's: another attempt may succeed.
    Upstream,
    /// slipway's or its machine's: another attempt may succeed.
    Service,
    /// Nobody's: the build was cancelled, or is not needed.
    Cancelled,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Fault::User => "the user",
            Fault::Upstream => "a registry or forge",
            Fault::Service => "the operator",
            Fault::Cancelled => "nobody",
        })
    }
}
