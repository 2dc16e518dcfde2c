//! Errors within one instruction, before it is known where it stands.

use crate::exec;

/// An error of an instruction, which BuildKit reports with or without the number of its line.
pub(crate) enum Cause {
    /// An error of its meaning, reported with the number.
    Instruction(String),
    /// An error of its form, reported without.
    Text(String),
}

impl From<String> for Cause {
    fn from(cause: String) -> Self {
        Cause::Instruction(cause)
    }
}

impl From<exec::NotStrings> for Cause {
    fn from(cause: exec::NotStrings) -> Self {
        Cause::Text(cause.to_string())
    }
}
