//! The record of a container, which stays as it was made, and its state.

use registry_client::{ContainerConfig, Descriptor, Digest};
use runtime::SnapshotId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of processes that stands for any number.
pub const UNLIMITED: u32 = 0;

/// The settings that a container was made with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, which people may change.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Id of its image.
    pub image: Digest,
    /// Name of its image as it was given.
    pub image_name: String,
    /// The descriptor of its image.
    pub manifest: Descriptor,
    /// Its layers on disk, bottom first.
    pub layers: Vec<SnapshotId>,
    /// The command with the entrypoint.
    pub argv: Vec<String>,
    /// Number of words of `argv` that are the entrypoint's.
    pub entrypoint_words: usize,
    /// The configuration of its image, with the changes of the command line.
    pub config: ContainerConfig,
    /// Its host name.
    pub hostname: String,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether something can be typed.
    pub interactive: bool,
    /// Whether an init process starts the command.
    pub init: bool,
    /// Whether its root cannot be written.
    pub read_only: bool,
    /// Whether it has only its own loopback.
    pub no_network: bool,
    /// Whether it goes when it ends.
    pub auto_remove: bool,
    /// Directories in memory, with a limit in bytes.
    pub tmpfs: BTreeMap<String, Option<u64>>,
    /// Volumes and where they are mounted.
    #[serde(default)]
    pub volumes: Vec<VolumeMount>,
    /// Ports of this machine's loopback that lead to ports of the container.
    pub ports: Vec<Port>,
    /// Memory that it may use, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time that it may use, in cores.
    pub cpus: Option<f64>,
    /// Processes that it may have; [`UNLIMITED`] for any number.
    pub pids: Option<u32>,
}

/// A volume that a container mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Name of the volume; empty for one without a name, which gets one with the container.
    pub volume: String,
    /// The directory of the container that it hides.
    pub target: String,
    /// Whether it can only be read.
    pub read_only: bool,
    /// Whether an empty volume stays empty, and does not get the files that it hides.
    pub no_copy: bool,
}

/// A port of this machine that leads to one of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The port of this machine; 0 for any.
    pub host: u16,
    /// The port of the container.
    pub container: u16,
}

/// The status of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was never started.
    Created,
    /// Its first process runs.
    Running,
    /// It stands still.
    Paused,
    /// It has ended.
    Exited,
}

impl Status {
    /// Returns docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Exited => "exited",
        }
    }
}

/// How a container is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Its status.
    pub status: Status,
    /// Exit code of its last run.
    pub exit_code: i32,
    /// Why it could not be started, or was ended from outside.
    pub error: String,
    /// Whether it ended for want of memory.
    pub out_of_memory: bool,
    /// When it was started last, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended last, RFC 3339.
    pub finished_at: Option<String>,
    /// Process id of its supervisor.
    pub supervisor: u32,
    /// Start of the machine in which it ran.
    pub boot: String,
    /// Ports as they were opened.
    pub ports: Vec<Port>,
}

impl Default for State {
    fn default() -> Self {
        State {
            status: Status::Created,
            exit_code: 0,
            error: String::new(),
            out_of_memory: false,
            started_at: None,
            finished_at: None,
            supervisor: 0,
            boot: String::new(),
            ports: Vec::new(),
        }
    }
}
