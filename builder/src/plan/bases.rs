//! What stages start from, and the images that must be resolved before a plan can be made.

use registry_client::{ImageConfig, Platform};
use std::collections::HashMap;

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image, by the name under which it was resolved.
    Image(String),
    /// An earlier stage, by its index in the plan.
    Stage(usize),
}

/// An image that the plan needs to know before it can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The reference as it stands in the Dockerfile, expanded.
    pub name: String,
    /// The platform it is needed for.
    pub platform: Platform,
    /// The lines of the Dockerfile that need it.
    pub lines: (usize, usize),
    /// The instruction that needs it.
    pub instruction: String,
}

/// What is known of a resolved image.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// Its configuration.
    pub config: ImageConfig,
    /// Whether it is for another platform than asked for.
    pub platform_mismatch: bool,
}

/// The images that were resolved, by the names under which the Dockerfile refers to them.
#[derive(Debug, Clone, Default)]
pub struct BaseImages(HashMap<String, BaseImage>);

impl BaseImages {
    /// Returns no images.
    pub fn new() -> Self {
        BaseImages::default()
    }

    /// Adds a resolved image.
    pub fn insert(&mut self, name: String, config: ImageConfig, platform_mismatch: bool) {
        self.0.insert(name, BaseImage { config, platform_mismatch });
    }

    /// Returns the image that was resolved for `name`.
    pub fn get(&self, name: &str) -> Option<&BaseImage> {
        self.0.get(name)
    }
}
