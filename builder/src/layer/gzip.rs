//! Gzip in blocks that are compressed side by side, and whose bytes do not depend on how many at a time.
//!
//! A layer is a sequence of gzip members (RFC 1952, 2.2): decompressors read them as one stream. Bytes that look like
//! noise, as archives, pictures and other compressed files do, are stored: trying to compress them takes the longest
//! and gains nothing.

use libdeflater::{CompressionLvl, Compressor};

/// Effort: the fastest of libdeflate's, which makes layers as small as Go's default does.
const LEVEL: i32 = 1;
/// Bytes that are looked at together to tell noise from content.
const PIECE: usize = 4096;
/// Noise shorter than this is compressed with what is around it: a member of its own would cost more than it saves.
const SHORTEST_NOISE: usize = 2 * PIECE;
/// Magic, deflate, no flags, no time, no extra flags, unknown system: the same on every machine.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Bytes that a stored deflate block may hold.
const STORED: usize = 0xffff;

/// Compresses blocks, one after the other.
pub(crate) struct Gzip {
    deflate: Compressor,
}

impl Gzip {
    /// Prepares for any number of blocks.
    pub(crate) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).expect("the level is one of libdeflate's");
        Gzip { deflate: Compressor::new(level) }
    }

    /// Returns `block` as whole gzip members; what they are depends on its bytes alone.
    pub(crate) fn compress(&mut self, block: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(block.len() / 2 + 1024);
        let mut done = 0;
        for (from, to) in noise(block) {
            if done < from {
                self.deflated(&block[done..from], &mut out);
            }
            stored(&block[from..to], &mut out);
            done = to;
        }
        // An empty stream is a stream, too.
        if done < block.len() || block.is_empty() {
            self.deflated(&block[done..], &mut out);
        }
        out
    }

    /// Appends `block` to `out` as one member: stored if most of it is noise.
    pub(crate) fn member(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let noise: usize = noise(block).iter().map(|(from, to)| to - from).sum();
        if noise > block.len() / 2 {
            stored(block, out);
        } else {
            self.deflated(block, out);
        }
    }

    fn deflated(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&HEADER);
        let start = out.len();
        out.resize(start + self.deflate.deflate_compress_bound(bytes.len()), 0);
        let length =
            self.deflate.deflate_compress(bytes, &mut out[start..]).expect("the room is the bound of its size");
        out.truncate(start + length);
        trailer(bytes, out);
    }
}

fn stored(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&HEADER);
    let blocks = bytes.len().div_ceil(STORED);
    for (number, block) in bytes.chunks(STORED).enumerate() {
        let length = block.len() as u16;
        out.push(u8::from(number + 1 == blocks));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    trailer(bytes, out);
}

fn trailer(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&libdeflater::crc32(bytes).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
}

/// Returns the ranges of `block` that are noise, in order.
fn noise(block: &[u8]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (number, piece) in block.chunks(PIECE).enumerate() {
        if is_noise(piece) {
            let from = number * PIECE;
            match found.last_mut() {
                Some((_, to)) if *to == from => *to += piece.len(),
                _ => found.push((from, from + piece.len())),
            }
        }
    }
    found.retain(|(from, to)| to - from >= SHORTEST_NOISE);
    found
}

/// Tells whether the bytes are as evenly spread as random ones: the sum of the squares of their counts says so.
fn is_noise(piece: &[u8]) -> bool {
    let mut counts = [[0u16; 256]; 2];
    for pair in piece.chunks_exact(2) {
        counts[0][usize::from(pair[0])] += 1;
        counts[1][usize::from(pair[1])] += 1;
    }
    let squares: u64 = (0..256).map(|byte| u64::from(counts[0][byte] + counts[1][byte]).pow(2)).sum();
    let length = piece.len() as u64;
    // Of random bytes n + n²/256 are expected, give or take few: text is far above, and so is machine code.
    piece.len() == PIECE && squares < length + length * length / 256 + length / 2
}

#[cfg(test)]
mod tests {
    use super::super::noise::noise as random;
    use super::*;
    use std::io::Read;

    fn text(length: usize) -> Vec<u8> {
        b"all work and no play makes jack a dull boy\n".iter().copied().cycle().take(length).collect()
    }

    #[test]
    fn noise_is_stored_and_content_is_compressed() {
        let block = [text(50_000), random(100_000), text(50_000)].concat();
        let compressed = Gzip::new().compress(&block);
        assert!((95_000..110_000).contains(&compressed.len()), "{} bytes", compressed.len());
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(compressed.as_slice()).read_to_end(&mut back).unwrap();
        assert!(back == block);
    }

    #[test]
    fn nothing_grows_by_more_than_the_headers() {
        for length in [1, 4095, 4096, 4097, 8192, 65_535, 65_536, 1_048_576] {
            let block = random(length);
            let compressed = Gzip::new().compress(&block);
            assert!(compressed.len() <= length + 64 + length / 500, "{length} became {}", compressed.len());
        }
    }

    #[test]
    fn a_used_compressor_makes_the_same_bytes_as_a_new_one() {
        let (one, other) = (text(200_000), [random(20_000), text(3000)].concat());
        let mut used = Gzip::new();
        used.compress(&one);
        assert!(used.compress(&other) == Gzip::new().compress(&other));
    }
}
