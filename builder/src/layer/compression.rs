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
    /// zstd with a table of its files, for engines that pull only those they lack.
    ZstdChunked,
    /// Gzip with a table of its files, for engines that pull a file when it is read.
    Estargz,
}

impl Compression {
    /// All of them.
    pub const ALL: [Compression; 4] =
        [Compression::Gzip, Compression::Zstd, Compression::ZstdChunked, Compression::Estargz];

    /// Returns the name that people write.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::ZstdChunked => "zstd:chunked",
            Compression::Estargz => "estargz",
        }
    }

    /// Returns the compression of this name.
    pub fn parse(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|compression| compression.name() == name)
    }

    /// Returns the media type of a layer that is compressed like this.
    pub fn media_type(self) -> &'static str {
        match self {
            Compression::Gzip | Compression::Estargz => media_type::OCI_LAYER_GZIP,
            Compression::Zstd | Compression::ZstdChunked => media_type::OCI_LAYER_ZSTD,
        }
    }

    /// Tells whether each file is compressed by itself and listed in a table.
    pub(crate) fn has_table(self) -> bool {
        matches!(self, Compression::ZstdChunked | Compression::Estargz)
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
            Compression::Gzip | Compression::Estargz => Codec::Gzip(Gzip::new()),
            Compression::Zstd | Compression::ZstdChunked => {
                Codec::Zstd(Box::new(zstd::bulk::Compressor::new(ZSTD_LEVEL)?))
            }
        })
    }

    /// Returns `block` compressed; such pieces after each other are a stream.
    pub(crate) fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Codec::Gzip(gzip) => Ok(gzip.compress(block)),
            Codec::Zstd(zstd) => zstd.compress(block),
        }
    }

    /// Appends `piece` to `out` as one gzip member or zstd frame, which can be read without what is around it.
    pub(crate) fn append(&mut self, piece: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::Gzip(gzip) => gzip.member(piece, out),
            Codec::Zstd(zstd) => {
                let start = out.len();
                out.resize(start + zstd::zstd_safe::compress_bound(piece.len()), 0);
                let length = zstd.compress_to_buffer(piece, &mut out[start..])?;
                out.truncate(start + length);
            }
        }
        Ok(())
    }
}

/// Starts a zstd stream in memory, for what is not known at once.
pub(crate) fn zstd_stream() -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
}
