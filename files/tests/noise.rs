//! Whatever bytes come, nothing panics, nothing takes long, nothing grows without a bound.
// A test that cannot go on panics.
#![allow(clippy::unwrap_used)]

use files::ignore::Ignore;
use files::tar::{Entry, EntryKind, Reader, Writer};
use proptest::prelude::*;
use std::io::Read;
use std::time::{Duration, Instant};

/// Longest time that one input may take; without optimisation and beside other work everything takes longer.
const LIMIT: Duration = if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_secs(1) };

fn in_time<T>(what: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = what();
    let took = began.elapsed();
    assert!(took < LIMIT, "it took {took:?}");
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_ignore_file_is_read_or_refused(text in "([*?!/\\[\\]^\\\\.#a-c-]|\n|\\*\\*){0,300}", path in "[a-c/.]{0,40}") {
        in_time(|| {
            if let Ok(ignore) = Ignore::parse(text.as_bytes()) {
                let _ = ignore.ignores(path.as_bytes());
            }
        });
    }

    #[test]
    fn any_bytes_are_read_as_a_tar_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        read_all(&bytes);
    }

    #[test]
    fn a_tar_with_some_bytes_changed_is_read_or_refused(
        changes in proptest::collection::vec((0..6000_usize, any::<u8>()), 0..12),
        cut in 0..8192_usize,
    ) {
        let mut bytes = archive();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(1));
        read_all(&bytes);
    }
}

/// Reads a tar to its end or first error; its entries cannot be more than its blocks.
fn read_all(bytes: &[u8]) {
    in_time(|| {
        let mut reader = Reader::new(bytes);
        let mut entries = 0;
        while let Ok(Some(entry)) = reader.next_entry() {
            entries += 1;
            assert!(
                entry.path.len() + entry.xattrs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
                    <= bytes.len()
            );
            let mut content = Vec::new();
            if reader.by_ref().take(1 << 20).read_to_end(&mut content).is_err() {
                break;
            }
        }
        assert!(entries <= bytes.len() / 512 + 1);
    });
}

/// A tar with an entry of each kind, a long name and an attribute.
fn archive() -> Vec<u8> {
    let kinds = [
        EntryKind::Directory,
        EntryKind::File { size: 700 },
        EntryKind::Symlink { target: b"target".to_vec() },
        EntryKind::HardLink { target: b"1".to_vec() },
        EntryKind::Fifo,
        EntryKind::Character { major: 1, minor: 3 },
    ];
    let mut writer = Writer::new(Vec::new());
    for (number, kind) in kinds.into_iter().enumerate() {
        let path = if number == 4 { vec![b'x'; 300] } else { number.to_string().into_bytes() };
        let xattrs = vec![(b"security.capability".to_vec(), vec![number as u8; 20])];
        let entry = Entry { path, kind, mode: 0o644, uid: 1, gid: 2, mtime: 3, xattrs };
        writer.entry(&entry, &mut std::io::repeat(7).take(entry.size())).unwrap();
    }
    writer.finish().unwrap()
}

/// Patterns for which a matcher that goes back may go back for ever.
#[test]
fn patterns_that_are_slow_elsewhere_are_not_slow_here() {
    let ignore = in_time(|| Ignore::parse(format!("{}b\n", "**/*a".repeat(200)).as_bytes()));
    if let Ok(ignore) = ignore {
        in_time(|| ignore.ignores("a/".repeat(500).as_bytes()));
    }
}

/// A header may claim any size: nothing is set aside for it.
#[test]
fn sizes_that_a_tar_claims_are_not_believed() {
    let mut bytes = archive();
    for claimed in [b"77777777777\0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"] {
        for kind in *b"0xgLK" {
            bytes[124..136].copy_from_slice(claimed);
            bytes[156] = kind;
            let sum: u32 =
                bytes[..148].iter().chain(b"        ").chain(&bytes[156..512]).map(|byte| u32::from(*byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            read_all(&bytes);
        }
    }
}
