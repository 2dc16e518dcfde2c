//! Layers that can be read in part: each file is compressed by itself and listed in a table at the end.

mod chunker;
mod crc64;
mod cut;
mod estargz;
mod piece;
mod row;
mod table;
mod tar_split;
mod writer;
mod zstd_chunked;

pub(super) use writer::{PartsPipeline, finish_small};

#[cfg(test)]
mod tests;
