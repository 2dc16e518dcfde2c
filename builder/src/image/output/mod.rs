//! What becomes of an image besides being pushed: archives that other tools load, and its files.

mod docker;
mod format;
mod layout;
mod local;
mod rootfs;
mod source;
mod tarball;
mod write;

pub use format::{Destination, Format, Output};
pub use write::write;
