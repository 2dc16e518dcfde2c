//! Layers as bytes: tar → hash → compress → file, with the index made in the same pass; and back.

mod archive;
mod compression;
mod growth;
mod gzip;
mod hidden;
#[cfg(test)]
mod noise;
mod parts;
mod pipeline;
mod read;
mod write;

pub use archive::tar_in;
pub use compression::Compression;
pub use growth::Growth;
pub(crate) use hidden::ESTARGZ_TABLE;
pub use hidden::Shown;
pub use read::{Verified, decompress, decompress_within};
pub use write::{LayerWriter, Packed};

#[cfg(test)]
mod tests;
