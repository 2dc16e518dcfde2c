//! State that outlives a process: the data directory, its opening, and its recovery after a crash.

mod data_dir;
pub(crate) mod disk_reserve;
mod instance_lock;
pub(crate) mod mirrors;
mod open;
mod recovery;
pub(crate) mod secret_key;

pub(crate) use data_dir::{DataDir, xdg_directory};
pub(crate) use instance_lock::InstanceLock;
pub(crate) use open::{Registries, open};
pub(crate) use recovery::{recover, recover_registry};
