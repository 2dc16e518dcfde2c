//! The contents of a build's image as a worker reads them: layers, files, settings, and in what two images differ.

use crate::model::build::Reason;
use crate::model::build_id::BuildId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The part of an image that somebody looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePart {
    /// The build that made the image.
    pub build: BuildId,
    /// The platform, `linux/amd64`; the first one if it is missing.
    pub platform: Option<String>,
    /// A layer, counted from 1; the whole image if it is missing.
    pub layer: Option<u64>,
    /// The directory whose files are listed; empty for the root.
    pub path: String,
    /// Entries of the directory that are passed over.
    pub skip: u64,
}

/// Two images to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePair {
    /// The build that made the newer one.
    pub build: BuildId,
    /// The build that made the other.
    pub against: BuildId,
    /// The platform of both; the first one if it is missing.
    pub platform: Option<String>,
}

/// An image of a build, and one of another service to compare it with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowPair {
    /// The build.
    pub build: BuildId,
    /// The other image, with its tag.
    pub image: String,
    /// The platform of both; the first one of the build if it is missing.
    pub platform: Option<String>,
}

/// An image, and one directory of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageContents {
    /// The platform.
    pub platform: String,
    /// The layers, bottom first.
    pub layers: Vec<ImageLayer>,
    /// The configuration.
    pub settings: ImageSettings,
    /// The files of a directory.
    pub listing: FileListing,
    /// Why the image cannot be read.
    pub failure: Option<Reason>,
}

/// A layer of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLayer {
    /// Digest of the blob.
    pub digest: String,
    /// Bytes of the blob.
    pub size: u64,
    /// The instruction that made it, as the history of the image has it.
    pub instruction: String,
}

/// The settings of an image that decide how it is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSettings {
    /// `USER`.
    pub user: String,
    /// `WORKDIR`.
    pub working_dir: String,
    /// `ENTRYPOINT`.
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`.
    pub command: Option<Vec<String>>,
    /// `ENV`: names and values.
    pub environment: BTreeMap<String, String>,
    /// `EXPOSE`.
    pub ports: Vec<String>,
    /// `VOLUME`.
    pub volumes: Vec<String>,
    /// `LABEL`: names and values.
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`.
    pub stop_signal: String,
    /// The test of `HEALTHCHECK`.
    pub healthcheck: Vec<String>,
}

/// Files of a directory: directories first, then by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileListing {
    /// Bytes of all files below the directory.
    pub size: u64,
    /// Number of files below the directory.
    pub files: u64,
    /// Entries of the directory.
    pub total: u64,
    /// Those that were asked for.
    pub entries: Vec<ListedFile>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// The kind of entry.
    pub kind: FileKind,
    /// Bytes of the file, or of all below it.
    pub size: u64,
    /// Number of files: 1, or all below it.
    pub files: u64,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner and group.
    pub owner: (u32, u32),
    /// Where a link points.
    pub target: Option<String>,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Special,
    /// A path of the layers below that the layer removes.
    Removed,
}

/// In what two images differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDifference {
    /// The platform.
    pub platform: String,
    /// Bytes of the compressed layers: of the newer one and of the other.
    pub compressed: (u64, u64),
    /// Bytes of all files: of the newer one and of the other.
    pub unpacked: (u64, u64),
    /// Layers that only the newer one has: what is downloaded by whoever has the other.
    pub layers: Vec<ImageLayer>,
    /// How many files were added, removed and changed.
    pub counts: (u64, u64, u64),
    /// The files that differ, those that changed the size most first.
    pub files: Vec<FileDifference>,
    /// The packages that differ.
    pub packages: Vec<PackageDifference>,
    /// The settings that differ.
    pub settings: Vec<SettingDifference>,
    /// Files with setuid or setgid that differ.
    pub privileged: Vec<FileDifference>,
    /// Notes on parts that could not be compared, a sentence each.
    pub notes: Vec<String>,
    /// Why the images cannot be compared.
    pub failure: Option<Reason>,
}

/// A file in two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDifference {
    /// Its path.
    pub path: String,
    /// The file in the newer image.
    pub new: Option<FileFacts>,
    /// The file in the other.
    pub old: Option<FileFacts>,
}

/// The facts of a file that a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Bytes of content.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner and group.
    pub owner: (u32, u32),
}

/// Room that the parts of a data directory take on the machine of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    /// Name of the worker that measured.
    pub worker: String,
    /// The parts.
    pub parts: Vec<DiskPart>,
    /// Whether something could not be read, or took too long.
    pub is_partial: bool,
}

/// A part of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPart {
    /// Its contents, in words.
    pub name: String,
    /// Bytes that its files take.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
}

/// A package in two images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageDifference {
    /// `dpkg`, `apk`, `rpm`, `npm` or `pip`.
    pub manager: String,
    /// Its name.
    pub name: String,
    /// The versions in the newer image.
    pub new: Option<String>,
    /// The versions in the other.
    pub old: Option<String>,
}

/// A setting in two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingDifference {
    /// Its name: `ENV PATH` for example.
    pub name: String,
    /// Its value in the newer image.
    pub new: Option<String>,
    /// Its value in the other.
    pub old: Option<String>,
}
