//! Gzip whose blocks can be compressed side by side, and whose bytes do not depend on how many at a time.

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes that are compressed as one block; larger ones gain no ratio, smaller ones lose it.
pub const BLOCK: usize = 1024 * 1024;
/// Where more effort gains little: see `make bench`.
const LEVEL: u32 = 4;

/// Magic, deflate, no flags, no time, no extra flags, unknown system: the same on every machine.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses one block of a stream; the last one ends it.
pub fn compress(block: &[u8], last: bool) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
    loop {
        let read = deflate.total_in() as usize;
        let room = out.capacity() - out.len();
        deflate.compress_vec(&block[read..], &mut out, flush).expect("compressing memory cannot fail");
        let complete = deflate.total_in() as usize == block.len() && out.len() < out.capacity();
        if complete {
            return out;
        }
        out.reserve(room.max(64 * 1024));
    }
}

/// Returns the end of a stream whose content has this checksum.
pub fn trailer(checksum: &Crc) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&checksum.sum().to_le_bytes());
    bytes[4..].copy_from_slice(&checksum.amount().to_le_bytes());
    bytes
}
