//! Outputs besides a push: archives that other tools load, and the files of the image.

mod docker;
mod format;
mod layout;
mod local;
mod rootfs;
mod source;
mod tarball;
mod write;

pub(crate) use docker::archive as docker_archive;
pub use format::{Destination, Format, Output};
pub use write::write;
