//! Layers on the way back: decompressed by media type, checked against their diff id, bounded.

use super::growth::{Bounded, Counted, Growth};
use registry_client::{DiffId, Digest, media_type};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, Read};

/// Bytes that a layer may have decompressed where nobody sets a limit.
const MAX_LAYER: u64 = 64 * 1024 * 1024 * 1024;

/// Returns the tar that `input`, a blob of `media_type` from somebody else, holds.
pub fn decompress<R: BufRead + Send + 'static>(input: R, media_type: &str) -> io::Result<Box<dyn Read + Send>> {
    decompress_within(input, media_type, Growth::foreign(MAX_LAYER))
}

/// Returns the tar that `input`, a blob of `media_type`, holds; it may grow as `growth` allows.
///
/// The bytes decide between the compressions that the media type's family allows, as other tools do.
pub fn decompress_within<R: BufRead + Send + 'static>(
    input: R,
    media_type: &str,
    growth: Growth,
) -> io::Result<Box<dyn Read + Send>> {
    let mut input = Counted::new(input);
    let start = input.fill_buf()?;
    if media_type::as_oci_layer(media_type).is_none() {
        return Err(io::Error::other(format!("layers of type `{media_type}` are not supported")));
    }
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let read = input.count();
    Ok(if gzip {
        Box::new(Bounded::new(flate2::bufread::MultiGzDecoder::new(input), read, growth.of_gzip()))
    } else if zstd {
        Box::new(Bounded::new(zstd::stream::read::Decoder::with_buffer(input)?, read, growth.of_zstd()))
    } else {
        Box::new(Bounded::new(input, read, growth))
    })
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
