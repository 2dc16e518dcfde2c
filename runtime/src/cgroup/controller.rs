//! Controllers of control groups, and the names of slipway's groups.

/// Start of the names of slipway's groups, by which leftovers are found.
pub(crate) const PREFIX: &str = "slipway-";

/// The resource that a group limits or counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    /// Memory, of version 1.
    Memory,
    /// Processes, of version 1.
    Pids,
    /// Processor time, of version 1.
    Cpu,
    /// Counts processor time where that is not done together with [`Controller::Cpu`].
    Accounting,
    /// Everything, of version 2.
    Unified,
}
