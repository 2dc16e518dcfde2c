//! The places that a build takes files from: its context, contexts that were named, and images.

use super::layer::Layer;
use crate::Error;
use crate::context::NamedContext;
use crate::error::Code;
use registry_client::{ImageConfig, Platform, Reference};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// An image that a stage starts from or copies from.
#[derive(Debug, Clone)]
pub struct SourceImage {
    /// Its name as it was asked for.
    pub asked: Reference,
    /// The platform that it was asked for.
    pub platform: Platform,
    /// Its name with the digest it was resolved to.
    pub reference: Reference,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, bottom first.
    pub layers: Vec<Arc<Layer>>,
    /// The cache key that steps on top of it start from.
    pub key: String,
    /// Whether it is for another platform than asked for.
    pub platform_mismatch: bool,
    /// Says that its tag may mean another image by now.
    pub stale: Option<String>,
}

/// All the places a build takes files from.
pub struct Sources<'r> {
    /// The context.
    pub context: &'r NamedContext,
    /// Contexts by the names the requester gave them.
    pub named: &'r HashMap<String, NamedContext>,
    images: RwLock<HashMap<String, Arc<SourceImage>>>,
}

impl<'r> Sources<'r> {
    /// Returns sources without images.
    pub fn new(context: &'r NamedContext, named: &'r HashMap<String, NamedContext>) -> Self {
        Sources { context, named, images: RwLock::default() }
    }

    /// Adds an image under the name by which the plan refers to it.
    pub fn add_image(&self, name: &str, image: SourceImage) {
        self.images.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(image));
    }

    /// Returns the image that the plan refers to as `name`.
    pub fn image(&self, name: &str) -> Result<Arc<SourceImage>, Error> {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        images.get(name).cloned().ok_or_else(|| Error::new(Code::Plan, format!("image `{name}` was not resolved")))
    }
}
