//! The image that an output is made from.

use crate::Image;
use crate::execute::BuildResources;
use registry_client::Reference;

/// The image that an output is made from, with its names.
pub(crate) struct Source<'s> {
    pub resources: &'s BuildResources,
    pub image: &'s Image,
    pub names: &'s [Reference],
}
