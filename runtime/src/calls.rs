//! Which system calls the programs of a step may make.

use serde::{Deserialize, Serialize};

/// The conventions by which programs may call the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Calls {
    /// This machine's own; a call by another one ends the program with `SIGSYS`.
    #[default]
    Native,
    /// Those of 32-bit x86 programs, too.
    With32Bit,
}

impl Calls {
    /// Returns what is allowed where either allows it.
    #[must_use]
    pub fn or(self, other: Calls) -> Calls {
        if self == Calls::Native { other } else { self }
    }
}
