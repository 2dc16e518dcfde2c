//! What an output is made from.

use crate::Image;
use crate::execute::Materials;
use registry_client::Reference;

/// What an output is made from.
pub struct Source<'s> {
    pub materials: &'s Materials,
    pub image: &'s Image,
    pub names: &'s [Reference],
}
