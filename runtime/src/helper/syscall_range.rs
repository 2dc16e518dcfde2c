//! Ranges of numbers of system calls.

/// Numbers of calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}
