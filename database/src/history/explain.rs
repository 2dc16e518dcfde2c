//! Why the steps of a build were executed or not: what a worker finds when it compares the build with an earlier one.

use crate::model::build::Reason;
use serde::{Deserialize, Serialize};

/// Two builds compared, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The steps of the later build, in the order of the Dockerfile; platform after platform.
    pub steps: Vec<ExplainedStep>,
    /// Notes on parts that could not be compared exactly, a sentence each.
    pub notes: Vec<String>,
    /// Why nothing could be compared.
    pub failure: Option<Reason>,
}

/// A step and what about it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedStep {
    /// Counts the steps of the build from 1.
    pub number: i64,
    /// The stage's name, with the platform where there are several.
    pub stage: String,
    /// The instruction on one line.
    pub instruction: String,
    /// First line in the Dockerfile, from 1.
    pub line: i64,
    /// Whether it was cached or executed.
    pub was: Was,
    /// Why: at least one.
    pub why: Vec<Why>,
}

/// How a step of an ended build was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Was {
    /// Its layer was known.
    Cached,
    /// It was executed, or its execution was begun.
    Executed,
    /// It makes no layer, only settings of the image.
    Setting,
    /// The build ended before it.
    NotReached,
}

/// A difference between a step and the same step of the earlier build. Variables are named, their values are not told: a
/// log does not show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Why {
    /// Nothing differs.
    Same,
    /// There is no earlier build.
    FirstBuild,
    /// The image that its stage starts from, or that it takes files from, is another one.
    BaseImageChanged {
        /// The reference now.
        reference: String,
        /// The earlier reference, if it was another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_reference: Option<String>,
        /// Digest of its manifest then.
        old: Option<String>,
        /// Digest of its manifest now.
        new: Option<String>,
    },
    /// Its text is another one.
    InstructionChanged {
        /// The text then.
        old: String,
        /// The text now.
        new: String,
    },
    /// It was not there.
    InstructionAdded,
    /// One that stood before it is not there any more.
    InstructionRemoved {
        /// The text of that one.
        old: String,
    },
    /// Variables that it sees have other values.
    ArgumentChanged {
        /// Their names.
        names: Vec<String>,
    },
    /// Files that it takes are not the same.
    FilesChanged {
        /// The first of them.
        paths: Vec<ChangedPath>,
        /// How many more there are.
        more: usize,
        /// The commit that they are taken from, where it is another one than before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<ChangingCommit>,
    },
    /// It rests on the result of a step that changed.
    EarlierStepChanged {
        /// The first such step.
        step: i64,
    },
    /// It was made for another platform.
    PlatformChanged {
        /// The platform then.
        old: String,
        /// The platform now.
        new: String,
    },
    /// Its mounts are declared in another way.
    SecretOrMountChanged {
        /// Ids of secrets, agents and caches; targets of other mounts.
        ids: Vec<String>,
    },
    /// The build, or the stage, was to take nothing from the cache.
    NotCached,
    /// Nothing differs, but there was no layer to use: it is gone, or belongs to the cache of others.
    CacheLost,
    /// It depends on files that are known only when it is executed.
    ContentUnknown,
}

/// The later of two commits in which files differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangingCommit {
    /// Its hash.
    pub id: String,
    /// The name of its author.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// Whether its only parent is the earlier commit: then it is what changed the files.
    pub is_alone: bool,
}

/// A path that is not the same in two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPath {
    /// The path in the context.
    pub path: String,
    /// The kind of change.
    pub change: PathChange,
    /// Git's id of its content then.
    pub old: Option<String>,
    /// Git's id of its content now.
    pub new: Option<String>,
}

/// Kinds of changes to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content, or what it is, changed.
    Changed,
    /// Only its mode changed.
    Mode,
}
