//! Images that builds pushed. Plain data, no SQL.

use crate::model::build_id::BuildId;
use serde::{Deserialize, Serialize};

/// An image that a registry accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedImage {
    /// Digest of the manifest.
    pub digest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Bytes of all compressed layers and the config.
    pub size: u64,
    /// The references that name it now.
    pub tags: Vec<String>,
    /// Key of everything that the image was made from in the repository, for [`crate::Database::last_published`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_key: Option<String>,
    /// The images of registries that it was made from.
    #[serde(default)]
    pub base_images: Vec<BaseImage>,
    /// Id of the git tree that it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The build of a pull request whose image it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergedPull>,
}

/// An image that a build started from or copied from, as the registry had it then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BaseImage {
    /// The reference in the Dockerfile, completed: with a digest only if it is pinned there.
    pub reference: String,
    /// The platform it was taken for: `linux/amd64`.
    pub platform: String,
    /// Digest of that platform's manifest.
    pub digest: String,
}

/// A pull request whose image became that of the branch when it was merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedPull {
    /// Its number.
    pub number: i64,
    /// The build that made the image.
    pub build: BuildId,
}
