//! Containers: their records, the supervisor of each, and how commands talk to it.

mod client;
mod commit;
mod details;
mod extract;
mod files;
mod frames;
mod import;
mod local_tar;
mod log;
mod name;
mod ports;
mod record;
mod session;
mod store;
mod supervisor;
mod volume;

pub use client::{Client, Input, pass_signal};
pub use commit::{CommitRequest, Layers, PackedLayer, commit};
pub use details::container_details;
pub use extract::extract;
pub use files::ContainerFiles;
pub use frames::{ExecRequest, Message, Request};
pub use import::{ImportRequest, import};
pub use local_tar::write_local;
pub use log::{LogLine, LogReader};
pub use record::{Port, Record, State, Status, UNLIMITED, VolumeMount};
pub use store::{Container, Containers, new_id, now};
pub use supervisor::supervise;
pub use volume::{Volume, Volumes};
