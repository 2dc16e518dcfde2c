//! The bases of stages, and the images that must be resolved before a plan can be made.

use crate::ast::Dockerfile;
use crate::suggest::suggest_name;
use registry_client::{ImageConfig, Platform};
use std::collections::HashMap;

/// The base of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image, by the plan's key.
    Image(String),
    /// An earlier stage, by its index in the plan.
    Stage(usize),
}

/// An image that the plan needs to know before it can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The name of the image in the plan: an image may be needed for several platforms.
    pub key: String,
    /// The reference as it stands in the Dockerfile, expanded.
    pub name: String,
    /// The platform it is needed for.
    pub platform: Platform,
    /// The lines of the Dockerfile that need it.
    pub lines: (usize, usize),
    /// The instruction that needs it.
    pub instruction: String,
}

/// A resolved image.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// Its configuration.
    pub config: ImageConfig,
    /// Whether its configuration could not be read, so that nothing is known of its variables.
    pub is_unknown: bool,
}

/// Returns what a plan for the platform `target` calls the image `name` for `platform`.
pub(crate) fn image_key(name: &str, platform: &Platform, target: &Platform) -> String {
    if platform == target { name.to_owned() } else { format!("{name} for {platform}") }
}

/// Images that many files start from, suggested when one of them is mistyped.
const COMMON: [&str; 10] =
    ["alpine", "busybox", "centos", "debian", "fedora", "golang", "nginx", "node", "python", "ubuntu"];

/// Returns ` (did you mean …?)` for an image that cannot be resolved, if a stage or a common image has nearly its name.
pub fn image_hint(file: &Dockerfile, name: &str) -> String {
    let (base, tag) = match name.split_once([':', '@']) {
        Some((base, _)) => (base, &name[base.len()..]),
        None => (name, ""),
    };
    let stages = file.stages.iter().filter_map(|stage| stage.name.as_deref());
    if let Some(stage) = suggest_name(name, stages) {
        return format!(" (did you mean {stage}?)");
    }
    suggest_name(base, COMMON).map_or_else(String::new, |image| format!(" (did you mean {image}{tag}?)"))
}

/// The images that were resolved, by the plan's keys.
#[derive(Debug, Clone, Default)]
pub struct BaseImages(HashMap<String, BaseImage>);

impl BaseImages {
    /// Returns no images.
    pub fn new() -> Self {
        BaseImages::default()
    }

    /// Adds a resolved image.
    pub fn insert(&mut self, key: String, config: ImageConfig) {
        self.0.insert(key, BaseImage { config, is_unknown: false });
    }

    /// Adds an image that could not be resolved, to check a Dockerfile all the same.
    pub fn insert_unknown(&mut self, key: String) {
        self.0.insert(key, BaseImage { config: ImageConfig::default(), is_unknown: true });
    }

    /// Returns the image that was resolved for `key`.
    pub fn get(&self, key: &str) -> Option<&BaseImage> {
        self.0.get(key)
    }
}
