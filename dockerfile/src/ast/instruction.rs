//! The instructions, typed; values stand as they do in the file, not expanded.

use crate::error::Span;
use crate::heredoc::Heredoc;
use crate::lexer::Comments;

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it is.
    pub span: Span,
    /// Its keyword as it is written.
    pub keyword: String,
    /// Its text on one line.
    pub original: String,
    /// The comments above it.
    pub comments: Comments,
    /// Whether it stands in an `ONBUILD` of what the stage starts from.
    pub is_trigger: bool,
    /// The keyword with its arguments.
    pub kind: InstructionKind,
}

/// A keyword with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstructionKind {
    /// `ADD`.
    Add(Box<Copy>),
    /// `ARG`.
    Arg(Vec<Arg>),
    /// `CMD`.
    Cmd(Command),
    /// `COPY`.
    Copy(Box<Copy>),
    /// `ENTRYPOINT`.
    Entrypoint(Command),
    /// `ENV`.
    Env(Vec<Pair>),
    /// `EXPOSE`.
    Expose(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(HealthcheckFlags),
    /// `LABEL`.
    Label(Vec<Pair>),
    /// `MAINTAINER`.
    Maintainer(String),
    /// `ONBUILD`: the instruction, to be parsed when it is triggered.
    OnBuild(String),
    /// `RUN`.
    Run(Box<Run>),
    /// `SHELL`.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(String),
    /// `USER`.
    User(String),
    /// `VOLUME`.
    Volume(Vec<String>),
    /// `WORKDIR`.
    Workdir(String),
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A line for the shell.
    Shell(String),
    /// The words themselves.
    Exec(Vec<String>),
}

/// A declared argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Its default.
    pub value: Option<String>,
}

/// A key and a value of `ENV` or `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Whether white space stands between them and not `=`, as was once the only way.
    pub legacy: bool,
}

/// A `COPY` or `ADD` as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// Whether it is an `ADD`.
    pub add: bool,
    /// Paths, patterns and, for `ADD`, URLs.
    pub sources: Vec<String>,
    /// Files that stand in the Dockerfile.
    pub heredocs: Vec<Heredoc>,
    /// Where the files go.
    pub destination: String,
    /// `--from`: the name of a stage, an image or a context; the context of the build if it is missing.
    pub from: Option<String>,
    /// The other flags.
    pub flags: CopyFlags,
}

/// The flags of a `COPY` or `ADD` but `--from`: as they are written in a [`struct@Copy`], expanded in [`crate::plan::Copy`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyFlags {
    /// `--chown=USER[:GROUP]`, names or numbers.
    pub chown: Option<String>,
    /// `--chmod`, octal or symbolic.
    pub chmod: Option<String>,
    /// `--link`: the layer does not depend on those below it.
    pub link: bool,
    /// `--parents`: the path of a source is kept below the destination.
    pub parents: bool,
    /// `--exclude`: patterns relative to each source.
    pub excludes: Vec<String>,
    /// `--checksum` of a URL or of a commit.
    pub checksum: Option<String>,
    /// `--keep-git-dir`: a repository is copied with its `.git`.
    pub keep_git_dir: bool,
    /// `--unpack`, if it was given: whether archives are extracted.
    pub unpack: Option<bool>,
}

/// A `RUN` as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// Heredocs on its line.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, values not expanded.
    pub mounts: Vec<String>,
    /// `--network`.
    pub network: RunNetwork,
    /// `--security`.
    pub security: RunSecurity,
}

/// The network of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunNetwork {
    /// The usual one.
    #[default]
    Default,
    /// None but loopback.
    None,
    /// The host's.
    Host,
}

/// The confinement of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunSecurity {
    /// The usual one.
    #[default]
    Sandbox,
    /// None.
    Insecure,
}

/// A `HEALTHCHECK` as it is written; times in nanoseconds, 0 for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthcheckFlags {
    /// `NONE`, `CMD` and words, or `CMD-SHELL` and a line.
    pub test: Vec<String>,
    /// `--interval`.
    pub interval: i64,
    /// `--timeout`.
    pub timeout: i64,
    /// `--start-period`.
    pub start_period: i64,
    /// `--start-interval`.
    pub start_interval: i64,
    /// `--retries`.
    pub retries: i64,
}

/// A mount of a `RUN`, expanded and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it appears; `None` where the kind has a default.
    pub target: Option<String>,
    /// `from=`.
    pub from: Option<String>,
    /// `source=`.
    pub source: Option<String>,
    /// Whether it cannot be written, if that was said.
    pub read_only: Option<bool>,
    /// The kind, with the options that only it has.
    pub kind: MountKind,
    /// `mode=`.
    pub mode: Option<u32>,
    /// `uid=`.
    pub uid: Option<u32>,
    /// `gid=`.
    pub gid: Option<u32>,
}

/// The kind of a mount, with the options that only it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind,
    /// A directory that is kept.
    Cache {
        /// `id=`.
        id: Option<String>,
        /// `sharing=`: `shared`, `locked` or `private`.
        sharing: Sharing,
    },
    /// A directory in memory.
    Tmpfs {
        /// `size=` in bytes.
        size: Option<u64>,
    },
    /// A secret.
    Secret {
        /// `id=`.
        id: Option<String>,
        /// `required`.
        required: bool,
        /// `env=`.
        env: Option<String>,
    },
    /// An ssh agent.
    Ssh {
        /// `id=`.
        id: Option<String>,
        /// `required`.
        required: bool,
    },
}

/// How steps that run at the same time share a cache directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// They use it at once.
    Shared,
    /// They wait for each other.
    Locked,
    /// Each has its own while another is in use.
    Private,
}
