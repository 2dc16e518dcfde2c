//! The sandbox: containers, snapshots, limits, network; directories, processes and tar streams only.
//!
//! A [`Sandbox`] is a helper process in a user namespace of its own: this program, started again (see
//! [`enter_if_asked`]). Everything that touches hostile files happens in it; the caller sees byte streams.

mod agent;
mod calls;
mod cancellation;
mod cgroup;
mod changes;
mod child;
mod clock;
mod collect;
mod container;
mod descriptors;
mod disk_space;
mod error;
mod filesystem_check;
mod helper;
mod id_map;
mod ids;
mod last_used;
mod monitor;
mod network;
mod owner;
mod private;
mod process;
mod protection;
mod protocol;
mod sandbox;
mod self_test;
mod settings;
mod step;
mod terminal;
mod ulimit;
mod unique;

pub use calls::Calls;
pub use cancellation::{CancellationToken, Cancelled, Registration};
pub use changes::Changes;
pub use child::{limit_child, limit_memory, terminate};
pub use clock::uptime;
pub use collect::{collect, evict_unsynced};
pub use container::{
    ContainerId, ContainerRun, ContainerStreams, CopyRequest, Freeze, PathKind, PathStat, RunningContainer, Usage,
    container_directories, detach,
};
pub use disk_space::{DiskSpace, disk_space};
pub use error::Error;
pub use filesystem_check::check_filesystem;
pub use helper::enter_if_asked;
pub use ids::Ids;
pub use last_used::mark_used;
pub use monitor::Monitor;
pub use private::keep_files_private;
pub use process::sweep;
pub use protection::Protection;
pub use sandbox::{Ran, Sandbox};
pub use self_test::{PROTECTIONS, self_test};
pub use settings::{Limits, NetworkPolicy, Settings};
pub use step::{DiskFull, Exit, FileInSnapshot, Mount, MountKind, Sharing, SnapshotId, Step, StepNetwork};
pub use terminal::{ChangedTerminal, TerminalSize, hide_input, raw_terminal, resize_terminal, terminal_size};
pub use ulimit::Ulimit;
