//! Steps: the commands that a sandbox runs, as plain data that crosses the process boundary.

use crate::{Calls, Error};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Digits of a diff id that a snapshot's directory has.
const SHORT: usize = 24;

/// Names the files of a layer on disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotId(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Place {
    /// Under the digits of its diff id, for every build.
    Stored(String),
    /// The changes of a step of this attempt.
    Run { attempt: String, run: u64 },
    /// A layer of a self-test, in the directory of its attempt.
    SelfTest(String),
}

impl SnapshotId {
    /// Takes at least 24 lower-case hexadecimal digits, those of a diff id; the first 24 count.
    pub fn new(digits: &str) -> Result<Self, Error> {
        let valid = digits.len() >= SHORT && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !valid {
            return Err(Error::Inside(format!("naming a snapshot `{digits}`: hexadecimal digits are expected")));
        }
        Ok(SnapshotId(Place::Stored(digits[..SHORT].to_owned())))
    }

    pub(crate) fn of_run(attempt: &str, run: u64) -> Self {
        SnapshotId(Place::Run { attempt: short_name(attempt), run })
    }

    pub(crate) fn of_self_test(directory: &str) -> Self {
        SnapshotId(Place::SelfTest(directory.to_owned()))
    }

    /// Returns its directory below the state directory; short, because mount options hold 127 of them.
    pub(crate) fn directory(&self) -> String {
        match &self.0 {
            Place::Stored(digits) => format!("s/{digits}"),
            Place::Run { attempt, run } => format!("w/{attempt}/{run}/u"),
            Place::SelfTest(directory) => directory.clone(),
        }
    }
}

/// Returns the directory of an attempt below the state directory.
pub(crate) fn work_directory(attempt: &str) -> String {
    format!("w/{}", short_name(attempt))
}

/// Returns a short name for an attempt: FNV-1a, because a collision gains an attacker nothing.
pub(crate) fn short_name(attempt: &str) -> String {
    let hash = attempt
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.directory())
    }
}

/// A command with all it needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// The layers it sees, bottom first; none for an empty root.
    pub layers: Vec<SnapshotId>,
    /// The command; its first word is looked up in `PATH` if it has no slash.
    pub argv: Vec<String>,
    /// The whole environment; `HOME` is added if it is missing.
    pub env: Vec<String>,
    /// Working directory, absolute; created if it is missing.
    pub cwd: String,
    /// `user[:group]`, names or numbers; empty for root.
    pub user: String,
    /// Mounts besides those that every step has.
    pub mounts: Vec<Mount>,
    /// Its network.
    pub network: StepNetwork,
    /// How its programs may call the kernel, if this machine's settings do not allow more.
    pub calls: Calls,
    /// Its host name.
    pub hostname: String,
    /// Lines of `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Size of `/dev/shm`.
    pub shm_bytes: u64,
    /// Limits of each process, besides those that all have.
    pub ulimits: Vec<crate::Ulimit>,
}

/// The network of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepNetwork {
    /// Through the sandbox's user-mode network.
    Default,
    /// Its own loopback only.
    None,
}

/// Something mounted into a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path; made for the step if it is missing, and removed after it.
    pub target: String,
    /// The kind of mount.
    pub kind: MountKind,
}

/// Kinds of mounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum MountKind {
    /// A file or directory of a stack of layers.
    Bind {
        /// The layers, bottom first.
        layers: Vec<SnapshotId>,
        /// The path in them.
        source: Vec<u8>,
        /// Whether writes are possible; they are thrown away.
        writable: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// Its name, anything.
        id: String,
        /// How it is shared.
        sharing: Sharing,
        /// Mode when it is made.
        mode: u32,
        /// Owner when it is made.
        uid: u32,
        /// Group when it is made.
        gid: u32,
        /// Whether it can be written.
        writable: bool,
        /// Layers and the path in them that it is filled from when it is made.
        seed: Option<(Vec<SnapshotId>, Vec<u8>)>,
    },
    /// A directory of containers that stays until it is removed by name.
    Volume {
        /// Its name: letters, digits, `_`, `.` and `-`.
        name: String,
        /// Whether it can be written.
        writable: bool,
        /// Layers and the path in them that it is filled from while it is empty.
        seed: Option<(Vec<SnapshotId>, Vec<u8>)>,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Its limit in bytes.
        size: Option<u64>,
    },
    /// A file in memory that only some may read.
    Secret {
        /// Its content.
        content: Vec<u8>,
        /// Its mode.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A file in memory.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its mode.
        mode: u32,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// The agent's socket on this machine.
        agent_socket: PathBuf,
        /// Mode of the socket in the step.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

/// How steps that run at the same time share a cache directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// They use it at once.
    Shared,
    /// They wait for each other.
    Locked,
    /// Each has its own while another is in use.
    Private,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// From outside: by the kernel, when the machine has no memory left, or an operator.
    Killed,
    /// Not well, and the kernel ended something because the build used more memory than these bytes.
    OutOfMemory(u64),
    /// Because it filled the disk.
    DiskFull(DiskFull),
    /// Because it took too long.
    TimedOut,
    /// Because the build was cancelled.
    Cancelled,
}

/// How a step filled the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskFull {
    /// It used more than these bytes.
    Bytes(u64),
    /// It made more than these files.
    Files(u64),
    /// This machine would have had less than these bytes free.
    Reserve(u64),
}

impl fmt::Display for DiskFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskFull::Bytes(bytes) => write!(formatter, "used more than {} of the disk", files::size::Size(*bytes)),
            DiskFull::Files(files) => write!(formatter, "made more than {files} files on the disk"),
            DiskFull::Reserve(bytes) => {
                write!(
                    formatter,
                    "was about to fill this machine's disk, of which {} stay free",
                    files::size::Size(*bytes)
                )
            }
        }
    }
}

/// A file whose content is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileInSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The path in it, without links.
    pub path: Vec<u8>,
    /// Its bytes.
    pub size: u64,
}
