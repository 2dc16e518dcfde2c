//! Secrets of steps: masked in output, and refused in layers.

mod leak;
mod mask;

pub use leak::{Detector, Leak};
pub use mask::{LARGEST, Masker, Masks, SHORTEST};
