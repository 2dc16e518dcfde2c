//! State that outlives a process: the data directory, its opening, and its recovery after a crash.

mod data_dir;
pub mod disk_reserve;
mod instance_lock;
mod open;
mod recovery;
pub mod secret_key;

pub use data_dir::{DataDir, xdg_directory};
pub use instance_lock::InstanceLock;
pub use open::{Registries, open};
pub use recovery::{recover, recover_registry};
