//! The sandbox: containers, snapshots, limits, network; directories, processes and tar streams only.
//!
//! A [`Sandbox`] is a helper process in a user namespace of its own: this program, started again (see
//! [`enter_if_asked`]). Everything that touches hostile files happens in it; the caller sees byte streams.

mod agent;
mod calls;
mod cancel;
mod cgroup;
mod changes;
mod child;
mod clock;
mod container;
mod disk_space;
mod error;
mod ground;
mod helper;
mod id_map;
mod ids;
mod network;
mod owner;
mod private;
mod protocol;
mod sandbox;
mod self_test;
mod settings;
mod step;
mod sweep;
pub mod tar;
mod terminal;
mod ulimit;
mod unique;
mod usage;

pub use calls::Calls;
pub use cancel::Cancel;
pub use changes::Changes;
pub use child::{limit_child, limit_memory};
pub use clock::uptime;
pub use container::{ContainerId, ContainerRun, ContainerStreams, Freeze, RunningContainer, detach};
pub use disk_space::{DiskSpace, disk_space};
pub use error::Error;
pub use ground::check_ground;
pub use helper::enter_if_asked;
pub use ids::Ids;
pub use private::keep_files_private;
pub use sandbox::{Ran, Sandbox};
pub use self_test::{PROTECTIONS, Protection, self_test};
pub use settings::{Limits, NetworkPolicy, Settings};
pub use step::{DiskFull, Exit, FileInSnapshot, Mount, MountKind, Sharing, Size, SnapshotId, Step, StepNetwork};
pub use sweep::sweep;
pub use terminal::{ChangedTerminal, TerminalSize, hide_input, raw_terminal, resize_terminal, terminal_size};
pub use ulimit::Ulimit;
pub use usage::{collect, forget_last, mark_used};

/// Asks the process `id` to end, as `kill` does.
pub fn terminate(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
    }
}
