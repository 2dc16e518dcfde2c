//! Layers on the way back: decompressed by media type, checked against their diff id, bounded.

use registry_client::{DiffId, Digest, media_type};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, Read};

/// Bytes that a layer may have uncompressed.
const MAX_LAYER: u64 = 64 * 1024 * 1024 * 1024;
/// A layer may grow by this factor once it is larger than [`RATIO_FROM`]: real ones stay far below.
const MAX_RATIO: u64 = 1100;
/// Small layers of nothing but zeros compress to almost nothing.
const RATIO_FROM: u64 = 100 * 1024 * 1024;

/// Returns the tar that `input`, a blob of `media_type`, holds.
///
/// The bytes decide between the compressions that the media type's family allows, as other tools do.
pub fn decompress<R: BufRead + Send + 'static>(input: R, media_type: &str) -> io::Result<Box<dyn Read + Send>> {
    let mut input = Counted { input, read: 0 };
    let start = input.fill_buf()?;
    let known =
        [media_type::OCI_LAYER_GZIP, media_type::OCI_LAYER_ZSTD, media_type::OCI_LAYER, media_type::DOCKER_LAYER_GZIP];
    if !known.contains(&media_type) {
        return Err(io::Error::other(format!("layers of type `{media_type}` are not supported")));
    }
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    Ok(if gzip {
        Box::new(Bounded {
            inner: flate2::bufread::MultiGzDecoder::new(input),
            out: 0,
            read: |gzip| gzip.get_ref().read,
        })
    } else if zstd {
        let decoder = zstd::stream::read::Decoder::with_buffer(input)?;
        Box::new(Bounded { inner: decoder, out: 0, read: |zstd| zstd.get_ref().read })
    } else {
        Box::new(Bounded { inner: input, out: 0, read: |plain| plain.read })
    })
}

/// Counts what is read of the compressed bytes.
struct Counted<R> {
    input: R,
    read: u64,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount as u64;
        self.input.consume(amount);
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Refuses what grows without end.
struct Bounded<D> {
    inner: D,
    out: u64,
    read: fn(&D) -> u64,
}

impl<D: Read> Read for Bounded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.out += got as u64;
        let bomb = self.out > RATIO_FROM && self.out / MAX_RATIO > (self.read)(&self.inner);
        if bomb || self.out > MAX_LAYER {
            return Err(io::Error::other("the layer is far larger than its compressed size allows"));
        }
        Ok(got)
    }
}

/// Passes a tar on; its end is an error if the bytes were not those of the diff id.
pub struct Verified<R> {
    inner: R,
    hash: Sha256,
    expected: DiffId,
}

impl<R: Read> Verified<R> {
    /// Checks `inner` against `expected`.
    pub fn new(inner: R, expected: DiffId) -> Self {
        Verified { inner, hash: Sha256::new(), expected }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        if got > 0 || buffer.is_empty() {
            self.hash.update(&buffer[..got]);
            return Ok(got);
        }
        let found = Digest::from_sha256(self.hash.clone().finalize().into());
        if found.hex() == self.expected.hex() {
            return Ok(0);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("digest mismatch: the layer's diff id is {}, its bytes are {found}", self.expected),
        ))
    }
}
