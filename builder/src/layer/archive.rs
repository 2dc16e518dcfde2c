//! Recognises archives by content: an optional compression, then a tar header.

use super::growth::{Bounded, Counted, Growth};
use files::tar::{self, BLOCK, TarError};
use std::io::{self, BufRead, BufReader, Read};

/// Memory that decompressing xz may take: its strongest level needs half of it, a file may ask for 4 GiB.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;
/// Bytes that an archive may have decompressed; what it may put into a layer is limited by its entries.
const MAX_BYTES: u64 = 20 * 1024 * 1024 * 1024;

/// Returns the tar in `content`, decompressed, if it is one; the name of a file does not matter.
pub fn tar_in(content: Box<dyn Read + Send>) -> io::Result<Option<Box<dyn Read + Send>>> {
    let mut content = Counted::new(BufReader::with_capacity(128 * 1024, content));
    let (read, growth) = (content.count(), Growth::foreign(MAX_BYTES));
    let start = content.fill_buf()?;
    let mut tar: Box<dyn Read + Send> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(Bounded::new(flate2::bufread::MultiGzDecoder::new(content), read, growth.of_gzip()))
    } else if start.starts_with(b"BZh") {
        Box::new(Bounded::new(bzip2::bufread::MultiBzDecoder::new(content), read, growth))
    } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
        Box::new(Bounded::new(liblzma::bufread::XzDecoder::new_stream(content, stream), read, growth))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(Bounded::new(zstd::stream::read::Decoder::with_buffer(content)?, read, growth.of_zstd()))
    } else {
        Box::new(content)
    };
    let mut block = [0; BLOCK];
    if tar.read_exact(&mut block).is_err() {
        return Ok(None);
    }
    let first = tar::Reader::new(&block[..]).next_entry();
    // A header that announces more than one block is one, too: only a malformed one or none at all is not.
    Ok(match first {
        Ok(None) | Err(TarError::Malformed { .. }) => None,
        Ok(Some(_)) | Err(TarError::Read(_)) => Some(Box::new(io::Cursor::new(block).chain(tar))),
    })
}
