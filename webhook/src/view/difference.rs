//! In what two images differ, as the API shows it.

use crate::api::differences::Against;
use database::{Build, FileDifference, FileFacts, ImageDifference, PackageDifference, SettingDifference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The image of a build compared with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceView {
    /// Id of the build.
    pub build: String,
    /// Id of the build that made the other image; null for that of another service.
    pub against: Option<String>,
    /// The image of another service, with its tag; null for that of a build.
    pub shadow: Option<String>,
    /// The platform of both.
    pub platform: String,
    /// Whether they hold the same files and settings; times do not count.
    pub same: bool,
    /// Bytes that a pull downloads.
    pub compressed: SizesView,
    /// Bytes of all files.
    pub unpacked: SizesView,
    /// The numbers of files that differ.
    pub counts: CountsView,
    /// The files that differ, those that changed the size most first; at most 500.
    pub files: Vec<FileDifferenceView>,
    /// The packages that differ.
    pub packages: Vec<PackageDifferenceView>,
    /// The settings that differ.
    pub settings: Vec<SettingDifferenceView>,
    /// Sentences on reasons, and on parts that could not be compared.
    pub notes: Vec<String>,
}

/// A size in both images, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SizesView {
    /// In the image of the build.
    pub new: u64,
    /// In the other.
    pub old: u64,
}

/// How many files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountsView {
    /// Only in the image of the build.
    pub added: u64,
    /// Only in the other.
    pub removed: u64,
    /// In both, with another content, mode, owner or kind.
    pub changed: u64,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDifferenceView {
    /// Its path, without the slash at its beginning.
    pub path: String,
    /// The file in the image of the build.
    pub new: Option<FileView>,
    /// The file in the other.
    pub old: Option<FileView>,
}

/// The facts of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// Bytes of content.
    pub size: u64,
    /// Permission bits in octal digits.
    pub mode: String,
    /// Numeric owner and group: `0:0`.
    pub owner: String,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageDifferenceView {
    /// `dpkg`, `apk`, `rpm`, `npm` or `pip`.
    pub manager: String,
    /// Its name.
    pub name: String,
    /// The versions in the image of the build.
    pub new: Option<String>,
    /// The versions in the other.
    pub old: Option<String>,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingDifferenceView {
    /// Its name: `ENV PATH` for example.
    pub name: String,
    /// Its value in the image of the build.
    pub new: Option<String>,
    /// Its value in the other.
    pub old: Option<String>,
}

impl DifferenceView {
    /// Returns the difference of the images of `build` and `against`.
    pub(crate) fn new(build: &Build, against: &Against, difference: ImageDifference) -> DifferenceView {
        let (other, shadow) = match against {
            Against::Build(other) => (Some(other.id.as_str().to_owned()), None),
            Against::Shadow(image) => (None, Some(image.clone())),
        };
        let (added, removed, changed) = difference.counts;
        DifferenceView {
            build: build.id.as_str().to_owned(),
            against: other,
            shadow,
            same: is_same(&difference),
            platform: difference.platform,
            compressed: difference.compressed.into(),
            unpacked: difference.unpacked.into(),
            counts: CountsView { added, removed, changed },
            files: difference.files.into_iter().map(Into::into).collect(),
            packages: difference.packages.into_iter().map(Into::into).collect(),
            settings: difference.settings.into_iter().map(Into::into).collect(),
            notes: difference.notes,
        }
    }
}

/// Returns whether two images hold the same files and settings.
pub(crate) fn is_same(difference: &ImageDifference) -> bool {
    difference.counts == (0, 0, 0) && difference.settings.is_empty()
}

impl From<(u64, u64)> for SizesView {
    fn from(sizes: (u64, u64)) -> SizesView {
        SizesView { new: sizes.0, old: sizes.1 }
    }
}

impl From<FileDifference> for FileDifferenceView {
    fn from(file: FileDifference) -> FileDifferenceView {
        FileDifferenceView { path: file.path, new: file.new.map(Into::into), old: file.old.map(Into::into) }
    }
}

impl From<FileFacts> for FileView {
    fn from(facts: FileFacts) -> FileView {
        let owner = format!("{}:{}", facts.owner.0, facts.owner.1);
        FileView { size: facts.size, mode: format!("{:04o}", facts.mode & 0o7777), owner }
    }
}

impl From<PackageDifference> for PackageDifferenceView {
    fn from(package: PackageDifference) -> PackageDifferenceView {
        let PackageDifference { manager, name, new, old } = package;
        PackageDifferenceView { manager, name, new, old }
    }
}

impl From<SettingDifference> for SettingDifferenceView {
    fn from(setting: SettingDifference) -> SettingDifferenceView {
        let SettingDifference { name, new, old } = setting;
        SettingDifferenceView { name, new, old }
    }
}
