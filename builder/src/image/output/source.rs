//! The image that an output is made from.

use crate::Image;
use crate::execute::Materials;
use registry_client::Reference;

/// The image that an output is made from, with its names.
pub struct Source<'s> {
    pub materials: &'s Materials,
    pub image: &'s Image,
    pub names: &'s [Reference],
}
