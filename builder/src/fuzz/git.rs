//! Answers of git servers: wherever they are cut into pieces, they are read alike.

use crate::git::{read_advertisement, read_pack, read_refs};

/// Reads an answer as each of those that a server may give; the first byte says how long its pieces are.
pub fn packets(data: &[u8]) {
    let Some((length, answer)) = data.split_first() else { return };
    let length = usize::from(*length).max(1);
    let whole = [answer];
    let pieces: Vec<&[u8]> = answer.chunks(length).collect();
    assert_eq!(read_advertisement(&whole), read_advertisement(&pieces));
    assert_eq!(read_refs(&whole), read_refs(&pieces));
    for is_banded in [true, false] {
        let (said, pack) = read_pack(&whole, is_banded);
        assert!(pack.len() <= answer.len());
        // Bytes after an error are not passed on, however they came.
        assert_eq!((said, pack), read_pack(&pieces, is_banded));
    }
}
