//! The plan: stages and steps with every name resolved and every variable expanded.

use super::bases::{Base, Needed};
use super::error::Error;
use crate::ast::{CopyFlags, Sharing};
use crate::rules::Warning;
use registry_client::ImageConfig;

/// The steps of a build in their order, and the configuration of its image.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stages that the target needs, each after those it needs itself.
    pub stages: Vec<Stage>,
    /// Index of the target in `stages`.
    pub target: usize,
    /// The host name that commands see, if it is not the usual one.
    pub hostname: Option<String>,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Warning>,
    /// The error that the warnings are, where the file says so.
    pub violation: Option<Error>,
}

/// The result of planning.
#[derive(Debug)]
pub enum Planned {
    /// The plan.
    Ready(Box<Plan>),
    /// These images must be resolved first.
    Needs(Vec<Needed>),
}

/// One stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name, or `stage-N`.
    pub name: String,
    /// The base that it starts from.
    pub base: Base,
    /// Its instructions, in order.
    pub steps: Vec<Step>,
    /// The configuration of its image, without root file system and history, which follow from the steps.
    pub config: ImageConfig,
}

/// One instruction, ready to be executed.
#[derive(Debug, Clone)]
pub struct Step {
    /// Counts all steps of the plan from 1.
    pub number: usize,
    /// Position among the steps of its stage that are numbered for people, and how many there are.
    pub position: (usize, usize),
    /// First and last line in the Dockerfile, from 1.
    pub lines: (usize, usize),
    /// The instruction on one line, as it is shown.
    pub instruction: String,
    /// The `created_by` text of the image's history.
    pub created_by: String,
    /// The effect of the step.
    pub action: Action,
}

/// The effect of a step.
#[derive(Debug, Clone)]
pub enum Action {
    /// Changes only the configuration.
    Configure,
    /// Makes a directory if it is missing.
    Workdir {
        /// Absolute path.
        path: String,
        /// The `USER` in force, who owns what is made.
        user: String,
    },
    /// Runs a command.
    Run(Box<Run>),
    /// Copies files.
    Copy(Box<Copy>),
}

impl Action {
    /// Tells whether the step makes a layer.
    pub fn makes_layer(&self) -> bool {
        !matches!(self, Action::Configure)
    }
}

/// A `RUN`.
#[derive(Debug, Clone)]
pub struct Run {
    /// The command, shell included.
    pub argv: Vec<String>,
    /// The whole environment, without proxies.
    pub env: Vec<String>,
    /// Environment that must not change the cache key: proxies.
    pub proxies: Vec<String>,
    /// Working directory, absolute.
    pub cwd: String,
    /// The `USER` in force.
    pub user: String,
    /// Mounts, in the order they are written.
    pub mounts: Vec<Mount>,
    /// Whether there is a network.
    pub network: bool,
}

/// A mount of a `RUN`.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: String,
    /// The files that are mounted.
    pub kind: MountKind,
}

/// The kind of a mount, with the values that only it has.
#[derive(Debug, Clone)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind {
        /// Where they are.
        from: From,
        /// The path there.
        source: String,
        /// Whether writes are possible (and lost afterwards).
        writable: bool,
    },
    /// A directory that is kept from build to build.
    Cache {
        /// The name in the Dockerfile.
        name: String,
        /// The identity of the directory: its name, mode and owner.
        id: String,
        /// `shared`, `locked` or `private`.
        sharing: Sharing,
        /// Mode of the directory when it is made.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Whether it can be written.
        writable: bool,
        /// The initial content.
        seed: Option<(From, String)>,
        /// Whether a step that takes nothing from the cache starts with an empty directory: it does where mode or owner are written.
        reset_on_miss: bool,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Its limit in bytes.
        size: Option<u64>,
    },
    /// A secret, as a file, a variable, or both.
    Secret {
        /// Its name.
        id: String,
        /// Whether its absence is an error.
        required: bool,
        /// The variable that holds it.
        env: Option<String>,
        /// Whether there is a file at `target`.
        file: bool,
        /// Mode of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// The requester's ssh agent.
    Ssh {
        /// Its name.
        id: String,
        /// Whether its absence is an error.
        required: bool,
        /// Mode of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
    /// A script that stands in the Dockerfile.
    Script {
        /// Its text.
        content: Vec<u8>,
    },
}

/// A `COPY` or `ADD`.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Whether it is an `ADD`.
    pub add: bool,
    /// Where the files are.
    pub from: From,
    /// The sources, expanded, in order.
    pub sources: Vec<Source>,
    /// Files that stand in the Dockerfile.
    pub files: Vec<InlineFile>,
    /// Where they go, expanded.
    pub destination: String,
    /// Working directory that a relative destination starts at.
    pub workdir: String,
    /// The flags, expanded.
    pub flags: CopyFlags,
}

/// A source of a `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path or pattern in [`Copy::from`].
    Path(String),
    /// A file on the web.
    Url(String),
    /// A git repository.
    Git(String),
}

impl Source {
    /// Returns what stands in the Dockerfile, expanded.
    pub fn text(&self) -> &str {
        match self {
            Source::Path(text) | Source::Url(text) | Source::Git(text) => text,
        }
    }
}

/// A file that stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// Its name.
    pub name: String,
    /// Its content, expanded where it is to be.
    pub content: Vec<u8>,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The build's context.
    Context,
    /// An earlier stage, by its index in the plan.
    Stage(usize),
    /// An image, by its reference as resolved.
    Image(String),
    /// A context that the requester named.
    Named(String),
}
