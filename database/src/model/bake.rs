//! Builds of several images: the file that names them, and what a target of it says besides the usual. Plain data, no SQL.

use crate::model::build_id::BuildId;
use crate::model::build_request::BuildSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file of a rule that builds several images: its path is that of the specification's Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakeFile {
    /// Targets, groups or patterns; none is `default`.
    pub targets: Vec<String>,
    /// Images that targets may be pushed to, as `host/path` with `*`.
    pub images: Vec<String>,
}

/// The part of a target that no rule can say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetSettings {
    /// The build of the rule: the group that the target is of.
    pub group: Option<BuildId>,
    /// Its name in the file.
    pub target: String,
    /// The Dockerfile's text, if it stands in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Contexts by name: images and directories of the commit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, TargetContext>,
    /// Notes on the image's manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Lines of the steps' `/etc/hosts`: name and address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, String)>,
    /// Whether steps have no network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_offline: bool,
    /// Size of the steps' `/dev/shm`, if it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_bytes: Option<u64>,
    /// Limits of each process of the steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
}

/// A context with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetContext {
    /// An image of a registry.
    Image(String),
    /// A directory of the commit.
    Directory(String),
    /// The image of another target, which is built first.
    Target(Box<BuildSpec>),
}

/// A target of a file, ready to be a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BakedTarget {
    /// Its name in the file.
    pub name: String,
    /// Its specification.
    pub spec: BuildSpec,
}
