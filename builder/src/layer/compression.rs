//! How layers are compressed: in blocks that are independent of each other, so that all cores can work on one layer.

use super::gzip::Gzip;
use registry_client::media_type;
use std::io;

/// zstd's own default: as fast as gzip's lowest level and smaller than its highest.
const ZSTD_LEVEL: i32 = 3;

/// A compression that a layer may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// The compression that every registry and engine reads.
    #[default]
    Gzip,
    /// Smaller and faster, for registries and engines since about 2021.
    Zstd,
}

impl Compression {
    /// Returns the media type of a layer that is compressed like this.
    pub fn media_type(self) -> &'static str {
        match self {
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        }
    }
}

/// Compresses blocks, one after the other; what a block becomes depends on its bytes alone.
pub(crate) enum Codec {
    /// Into gzip members.
    Gzip(Gzip),
    /// Into zstd frames.
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Codec {
    /// Prepares for any number of blocks.
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Codec::Gzip(Gzip::new()),
            Compression::Zstd => Codec::Zstd(Box::new(zstd::bulk::Compressor::new(ZSTD_LEVEL)?)),
        })
    }

    /// Returns `block` compressed; such pieces after each other are a stream.
    pub(crate) fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Codec::Gzip(gzip) => Ok(gzip.compress(block)),
            Codec::Zstd(zstd) => zstd.compress(block),
        }
    }
}
