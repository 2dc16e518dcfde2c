//! The sandbox: containers, snapshots, limits, network; directories, processes and tar streams only.

pub mod tar;

/// How steps that run at the same time share a cache directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Sharing {
    /// They use it at once.
    Shared,
    /// They wait for each other.
    Locked,
    /// Each has its own while another is in use.
    Private,
}
