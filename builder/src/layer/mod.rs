//! Layers as bytes: tar → hash → compress → file, with the index made in the same pass; and back.

mod archive;
mod compression;
mod gzip;
mod read;
mod write;

pub use archive::tar_in;
pub use compression::Compression;
pub use read::{Verified, decompress};
pub use write::{LayerWriter, Packed};

#[cfg(test)]
mod tests;
