//! The choices of a build's requester.

use files::ignore::Ignore;
use registry_client::Platform;
use std::collections::BTreeMap;

/// The choices of a build's requester.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Build arguments, verbatim.
    pub build_args: BTreeMap<String, String>,
    /// The stage to build; `None` for the last.
    pub target: Option<String>,
    /// Labels that are put on the result, after those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// Labels that stages start with: their instructions change them.
    pub default_labels: BTreeMap<String, String>,
    /// The platform of the result.
    pub platform: Platform,
    /// Names that stages, `FROM` and `--from` find as files given by the requester.
    pub named_contexts: Vec<String>,
    /// The ignore file: the files of the context that `COPY` does not see.
    pub ignore: Ignore,
    /// Names that mean an image the requester gave; an image is also found by its name with `:latest`.
    pub named_images: Vec<String>,
}

impl Settings {
    /// Returns the settings of a requester who chooses nothing but the platform.
    pub fn new(platform: Platform) -> Self {
        Settings {
            build_args: BTreeMap::new(),
            target: None,
            labels: BTreeMap::new(),
            default_labels: BTreeMap::new(),
            platform,
            named_contexts: Vec::new(),
            named_images: Vec::new(),
            ignore: Ignore::default(),
        }
    }
}
