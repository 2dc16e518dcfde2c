//! The stable codes of builds: one table with each code's text, whose fault it is, and what it means.

use super::fault::Fault;
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $text:literal, $fault:ident;)+) => {
        /// The stable code of an error or a reason of a build. Its text never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$variant),+];

            /// Returns the text by which programs know the code.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)+
                }
            }

            /// Returns whose fault it is.
            pub const fn fault(self) -> Fault {
                match self {
                    $(Code::$variant => Fault::$fault,)+
                }
            }

            /// Returns what it means, in one sentence for the documentation.
            pub fn meaning(self) -> &'static str {
                let text = match self {
                    $(Code::$variant => concat!($($meaning),+),)+
                };
                text.trim_start()
            }
        }
    };
}

codes! {
    /// The Dockerfile is not in the context.
    DockerfileNotFound = "dockerfile_not_found", User;
    /// The text is not a Dockerfile, or an instruction has no meaning.
    DockerfileInvalid = "dockerfile_invalid", User;
    /// The Dockerfile has more bytes than are read.
    DockerfileTooLarge = "dockerfile_too_large", User;
    /// A variable cannot be expanded.
    Expansion = "expansion", User;
    /// `--from` names a stage that does not come before it.
    StageNotFound = "stage_not_found", User;
    /// A stage has more text than is kept in memory.
    StageTooLarge = "stage_too_large", User;
    /// The stage to build is not in the Dockerfile.
    TargetNotFound = "target_not_found", User;
    /// Stages take files from each other in a circle.
    CircularDependency = "circular_dependency", User;
    /// The image would have more layers than can be mounted.
    TooManyLayers = "too_many_layers", User;
    /// The variables of a stage are more than a command can be given.
    EnvironmentTooLarge = "environment_too_large", User;
    /// Warnings are errors (`# check=error=true`), and there are some.
    LintViolation = "lint_violation", User;
    /// A `WORKDIR` lies in a file system of the kernel.
    WorkdirNotAllowed = "workdir_not_allowed", User;
    /// A command ended with another exit code than 0, or by a signal.
    StepFailed = "step_failed", User;
    /// A hook of Docker Hub ended with another exit code than 0.
    HookFailed = "hook_failed", User;
    /// The tests of a compose file could not be run, or `sut` ended with another exit code than 0.
    TestFailed = "test_failed", User;
    /// The hooks that replace the build made no image of its name.
    HookImageMissing = "hook_image_missing", User;
    /// A command took longer than a step may take.
    StepTimeout = "step_timeout", User;
    /// The build took longer than it may take.
    BuildTimeout = "build_timeout", User;
    /// The commands of the build needed more memory than it may use.
    OutOfMemory = "out_of_memory", User;
    /// A step wrote a secret that it mounted into its layer.
    SecretInLayer = "secret_in_layer", User;
    /// A file that an instruction names is missing, or ignored.
    FileNotFound = "file_not_found", User;
    /// A pattern of paths is malformed.
    InvalidPattern = "invalid_pattern", User;
    /// A file would take the place of a directory, or a directory that of a file.
    CopyConflict = "copy_conflict", User;
    /// `--chmod` is malformed.
    InvalidChmod = "invalid_chmod", User;
    /// `--chown` is malformed.
    InvalidChown = "invalid_chown", User;
    /// `--chown` or `USER` names an account that the image does not have.
    UnknownUser = "unknown_user", User;
    /// Symbolic links lead in a circle.
    LinkLoop = "link_loop", User;
    /// A layer has more bytes than one may have.
    LayerTooLarge = "layer_too_large", User;
    /// An instruction takes more paths than `limits.paths` allows.
    TooManyPaths = "too_many_paths", User;
    /// A path is longer or deeper than file systems allow.
    PathTooLong = "path_too_long", User;
    /// An archive that `ADD` unpacks is malformed.
    ArchiveInvalid = "archive_invalid", User;
    /// An archive holds what no archive may: names that lead out, or more than may be unpacked.
    ArchiveUnsafe = "archive_unsafe", User;
    /// `--checksum` is malformed.
    InvalidChecksum = "invalid_checksum", User;
    /// The download has another checksum than the instruction says.
    ChecksumMismatch = "checksum_mismatch", User;
    /// The clone URL is not one that is fetched from.
    InvalidCloneUrl = "invalid_clone_url", User;
    /// The git server wants a login, or another one.
    SourceAuth = "source_auth", User;
    /// The host of a repository over ssh has a key that is not trusted.
    HostKeyUnknown = "host_key_unknown", User;
    /// The git server does not know the repository.
    RepositoryNotFound = "repository_not_found", User;
    /// The repository does not have the branch or tag.
    RefNotFound = "ref_not_found", User;
    /// The repository does not have the commit any longer.
    CommitNotFound = "commit_not_found", User;
    /// The build to compare with is not known.
    BuildNotFound = "build_not_found", User;
    /// The directory of the context is not in the commit.
    ContextNotFound = "context_not_found", User;
    /// The repository is of a kind that is not read.
    RepositoryUnsupported = "repository_unsupported", User;
    /// Unpacking the commit needs more memory than a fetch may have.
    SourceTooLarge = "source_too_large", User;
    /// The commit holds names that no file may have.
    SourceUnsafe = "source_unsafe", User;
    /// The files to copy cannot be read.
    SourceUnreadable = "source_unreadable", User;
    /// A submodule cannot be fetched, or a step takes the directory of one that is left out.
    SubmoduleNotFetched = "submodule_not_fetched", User;
    /// A file that Git LFS keeps cannot be fetched, or a step takes one that is left out.
    LfsNotFetched = "lfs_not_fetched", User;
    /// `.dockerignore` cannot be used.
    InvalidIgnoreFile = "invalid_ignore_file", User;
    /// The repository's own rules cannot be used.
    RulesInvalid = "rules_invalid", User;
    /// The bake file or compose file of a rule is not in the commit.
    BakeNotFound = "bake_not_found", User;
    /// The bake file or compose file of a rule cannot be used, or asks for what the rule does not allow.
    BakeInvalid = "bake_invalid", User;
    /// A target of a rule's bake file or compose file was not built.
    TargetFailed = "target_failed", User;
    /// The repository has more branches and tags than are compared.
    TooManyRefs = "too_many_refs", User;
    /// The step asks for a permission that no step gets.
    NotPermitted = "not_permitted", User;
    /// A secret that a step needs was not given, or cannot be opened.
    SecretNotAvailable = "secret_not_available", User;
    /// A secret has more bytes than one may have.
    SecretTooLarge = "secret_too_large", User;
    /// A step needs an SSH agent that was not given.
    SshNotAvailable = "ssh_not_available", User;
    /// A platform is malformed, or none was asked for.
    InvalidPlatform = "invalid_platform", User;
    /// The host name for commands is malformed.
    InvalidHostname = "invalid_hostname", User;
    /// This machine cannot run commands of the platform.
    PlatformUnsupported = "platform_unsupported", User;
    /// The name of an image is malformed.
    InvalidReference = "invalid_reference", User;
    /// An image is not as the OCI specifications say.
    InvalidImage = "invalid_image", User;
    /// The registry does not have the image, or not for the platform.
    ImageNotFound = "image_not_found", User;
    /// The image, or the address of its registry, is not allowed for this build.
    ImageNotAllowed = "image_not_allowed", User;
    /// The registry refuses what was asked of it.
    RegistryDenied = "registry_denied", User;
    /// `SOURCE_DATE_EPOCH` is malformed.
    InvalidEpoch = "invalid_epoch", User;
    /// An annotation is malformed, or is for what the image does not have.
    InvalidAnnotation = "invalid_annotation", User;
    /// A layer holds what none may, or is not what its digest says.
    LayerUnsafe = "layer_unsafe", User;
    /// The result cannot be written where `--output` says.
    OutputFailed = "output_failed", User;
    /// A download failed.
    DownloadFailed = "download_failed", Upstream;
    /// A registry failed, or cannot be reached.
    Registry = "registry", Upstream;
    /// The git server failed, or cannot be reached.
    FetchFailed = "fetch_failed", Upstream;
    /// The fetch was ended before it was done.
    FetchStopped = "fetch_stopped", Upstream;
    /// The git server was not done in time.
    SourceTimeout = "source_timeout", Upstream;
    /// The mirror of a repository cannot be read or written.
    MirrorFailed = "mirror_failed", Upstream;
    /// The sandbox cannot be started, or failed.
    Sandbox = "sandbox", Service;
    /// A command was killed from outside the build.
    StepKilled = "step_killed", Service;
    /// The network of a step ended before the step.
    NetworkLost = "network_lost", Service;
    /// The store of blobs cannot be read or written.
    Store = "store", Service;
    /// The database cannot be read or written.
    Database = "database", Service;
    /// The commit cannot be read from its mirror.
    Source = "source", Service;
    /// A blob of the store was damaged and is put aside.
    BlobDamaged = "blob_damaged", Service;
    /// A blob is missing from the store.
    BlobMissing = "blob_missing", Service;
    /// A disk is full: the build's own, or the worker's, and then the build is tried again.
    DiskFull = "disk_full", User;
    /// The image cannot be put together.
    Image = "image", Service;
    /// The index of a layer does not match its files.
    Index = "index", Service;
    /// A bug: planning lost track of something.
    Plan = "plan", Service;
    /// A bug: resolving an image ended without a result.
    Resolve = "resolve", Service;
    /// The worker lost its lease on the build.
    LeaseLost = "lease_lost", Service;
    /// The worker ended without giving the build back.
    CrashedWorker = "crashed_worker", Service;
    /// A bug: the worker panicked.
    Panicked = "panicked", Service;
    /// Somebody cancelled the build.
    Cancelled = "cancelled", Cancelled;
    /// A newer build of the same ref took its place.
    Superseded = "superseded", Cancelled;
    /// Nothing that the rule or the image depends on changed.
    PathUnchanged = "path_unchanged", Cancelled;
}

impl Code {
    /// Returns whether a build that ends with this code is tried again: another attempt may succeed as it is.
    pub const fn is_retried(self) -> bool {
        matches!(self.fault(), Fault::Upstream | Fault::Service)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, text: &&str) -> bool {
        self.text() == *text
    }
}
