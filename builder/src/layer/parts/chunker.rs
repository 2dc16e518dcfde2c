//! Where large files are cut: at what they hold, so that a change in one place moves no other cut.

use super::super::compression::Compression;

/// Files up to this size are one chunk.
const WHOLE: u64 = 512 * 1024;
/// Bytes that a chunk has at least, but for the last one of a file.
const SHORTEST: usize = 256 * 1024;
/// Bytes that a chunk has at most.
const LONGEST: usize = 2 * 1024 * 1024;
/// Bits of the rolling hash that are zero at a cut: after the shortest chunk, a cut comes every 512 KiB on average.
const BITS: u32 = 19;
/// Bytes of the chunks of eStargz, whose readers expect all of one size.
const FIXED: usize = 4 * 1024 * 1024;
/// A random number for each byte.
static GEAR: [u64; 256] = gear();

/// Finds the cuts of one file.
pub(super) enum Chunker {
    /// After every so many bytes.
    Fixed {
        /// Bytes of the current chunk so far.
        size: usize,
    },
    /// Where the last 64 bytes say so.
    ByContent {
        /// Bytes of the current chunk so far.
        size: usize,
        /// Their rolling hash.
        hash: u64,
    },
}

impl Chunker {
    /// Starts a file.
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::Estargz => Chunker::Fixed { size: 0 },
            _ => Chunker::ByContent { size: 0, hash: 0 },
        }
    }

    /// Tells whether a file of `size` bytes is one chunk in any case.
    pub(super) fn keeps_whole(&self, size: u64) -> bool {
        match self {
            Chunker::Fixed { .. } => size <= FIXED as u64,
            Chunker::ByContent { .. } => size <= WHOLE,
        }
    }

    /// Returns how many of `bytes`, the next ones, end the chunk; `None` if it goes on.
    pub(super) fn cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let found = match self {
            Chunker::Fixed { size } => Some(FIXED - *size).filter(|left| *left <= bytes.len()),
            Chunker::ByContent { size, hash } => by_content(*size, hash, bytes),
        };
        let (Chunker::Fixed { size } | Chunker::ByContent { size, .. }) = self;
        *size = if found.is_some() { 0 } else { *size + bytes.len() };
        if let (Some(_), Chunker::ByContent { hash, .. }) = (found, self) {
            *hash = 0;
        }
        found
    }
}

fn by_content(size: usize, hash: &mut u64, bytes: &[u8]) -> Option<usize> {
    let start = SHORTEST.saturating_sub(size).min(bytes.len());
    let end = (LONGEST - size).min(bytes.len());
    let mut rolling = *hash;
    for (at, &byte) in bytes[start..end].iter().enumerate() {
        rolling = (rolling << 1).wrapping_add(GEAR[usize::from(byte)]);
        if rolling >> (u64::BITS - BITS) == 0 {
            return Some(start + at + 1);
        }
    }
    *hash = rolling;
    (size + end == LONGEST).then_some(end)
}

/// Returns the numbers of splitmix64.
const fn gear() -> [u64; 256] {
    let mut gear = [0; 256];
    let (mut at, mut state) = (0, 0u64);
    while at < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[at] = mixed ^ (mixed >> 31);
        at += 1;
    }
    gear
}

#[cfg(test)]
mod tests {
    use super::super::super::noise::noise;
    use super::*;

    fn chunks(bytes: &[u8], step: usize, compression: Compression) -> Vec<usize> {
        let mut chunker = Chunker::new(compression);
        let (mut chunks, mut size) = (Vec::new(), 0);
        for step in bytes.chunks(step) {
            let mut rest = step;
            while let Some(cut) = chunker.cut(rest) {
                chunks.push(size + cut);
                (size, rest) = (0, &rest[cut..]);
            }
            size += rest.len();
        }
        chunks.push(size);
        chunks
    }

    #[test]
    fn cuts_depend_on_the_content_and_not_on_how_it_comes() {
        let file = noise(10_000_000);
        for compression in [Compression::ZstdChunked, Compression::Estargz] {
            let cut = chunks(&file, 65_536, compression);
            assert_eq!(cut, chunks(&file, 777, compression));
            assert_eq!(cut.iter().sum::<usize>(), file.len());
        }
        // A byte more at the front moves the cuts and changes one chunk.
        let moved = [b"x".as_slice(), &file].concat();
        let (before, after) =
            (chunks(&file, 65_536, Compression::ZstdChunked), chunks(&moved, 65_536, Compression::ZstdChunked));
        assert!(before.len() > 6 && before.iter().rev().zip(after.iter().rev()).filter(|(a, b)| a == b).count() > 4);
        assert!(before.iter().rev().skip(1).all(|size| (SHORTEST..=LONGEST).contains(size)));
    }
}
