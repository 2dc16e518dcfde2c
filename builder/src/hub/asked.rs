//! A command line of a hook, with the engine that answers it.

use super::engine::Engine;
use super::socket::{Call, Caller};

/// A command line with those who asked.
pub(crate) struct Asked<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The command line.
    pub call: &'a Call,
    /// The one who called.
    pub caller: &'a Caller,
    /// The arguments after the command's name.
    pub arguments: &'a [String],
}
