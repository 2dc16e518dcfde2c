//! Tars are read back as they were written, hostile ones are refused, and GNU tar agrees.

use super::*;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, xattrs: Vec::new() }
}

fn written(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(tar: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(tar);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        entries.push((entry, content));
    }
    Ok(entries)
}

fn samples() -> Vec<(Entry, &'static [u8])> {
    let long = "directory/".repeat(30) + "name";
    let mut odd = entry("odd", EntryKind::File { size: 5 });
    odd.uid = 4_000_000_000;
    odd.gid = 2_097_152;
    odd.mtime = -7;
    odd.mode = 0o4755;
    odd.xattrs = vec![(b"security.capability".to_vec(), vec![1, 0, 0, 2, b'\n', b'='])];
    vec![
        (entry("a", EntryKind::Directory), b""),
        (entry("a/file", EntryKind::File { size: 513 }), &[7; 513]),
        (entry("a/link", EntryKind::Symlink { target: b"file".to_vec() }), b""),
        (entry("a/same", EntryKind::HardLink { target: b"a/file".to_vec() }), b""),
        (entry(&long, EntryKind::File { size: 0 }), b""),
        (entry("far", EntryKind::Symlink { target: long.clone().into_bytes() }), b""),
        (entry("null", EntryKind::Character { major: 1, minor: 3 }), b""),
        (entry("pipe", EntryKind::Fifo), b""),
        (odd, b"hello"),
    ]
}

#[test]
fn entries_come_back_as_they_were_written() {
    let expected: Vec<_> = samples().into_iter().map(|(entry, content)| (entry, content.to_vec())).collect();
    assert_eq!(read_all(&written(&samples())).unwrap(), expected);
}

#[test]
fn gnu_tar_reads_the_same_names() {
    let mut tar = Command::new("tar").args(["-tf", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(&written(&samples())).unwrap();
    let output = tar.wait_with_output().unwrap();
    assert!(output.status.success());
    let names: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(|name| name.trim_end_matches('/').into()).collect();
    let expected: Vec<String> =
        samples().iter().map(|(entry, _)| String::from_utf8(entry.path.clone()).unwrap()).collect();
    assert_eq!(names, expected);
}

// REG-05: the size in the pax header counts, so no entry hides inside another.
#[test]
fn pax_size_wins_over_the_header() {
    let hidden = written(&[(entry("hidden", EntryKind::File { size: 0 }), b"")]);
    let mut tar = written(&[(entry("outer", EntryKind::File { size: hidden.len() as u64 }), &hidden)]);
    let size = hidden.len().to_string();
    let mut record = Vec::new();
    record.extend_from_slice(format!("{} size={size}\n", 8 + size.len() + 1).as_bytes());
    let mut pax = written(&[(entry("x", EntryKind::File { size: record.len() as u64 }), &record)]);
    pax.truncate(2 * BLOCK);
    pax[156] = b'x';
    resum(&mut pax);
    tar[124..135].copy_from_slice(b"00000000000");
    resum(&mut tar);
    pax.extend_from_slice(&tar);
    let names: Vec<_> = read_all(&pax).unwrap().into_iter().map(|(entry, _)| entry.path).collect();
    assert_eq!(names, [b"outer".to_vec()]);
}

fn resum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..BLOCK].iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

// REG-16
#[test]
fn truncated_and_damaged_tars_are_refused() {
    let tar = written(&samples());
    assert!(read_all(&tar[..700]).is_err());
    let mut damaged = tar.clone();
    damaged[0] ^= 1;
    assert!(read_all(&damaged).is_err());
    let mut huge = written(&[(entry("x", EntryKind::File { size: 1 }), b"x")]);
    huge[156] = b'x';
    huge[124..135].copy_from_slice(b"77777777777");
    resum(&mut huge);
    assert!(matches!(read_all(&huge), Err(TarError::Malformed { .. })));
}

/// Returns a header block.
fn header(name: &[u8], flag: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = flag;
    let sum: u32 = 8 * u32::from(b' ') + block.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[test]
fn a_size_that_overflows_hides_no_entry() {
    let record = b"29 size=18446744073709551615\n";
    let mut padded = record.to_vec();
    padded.resize(BLOCK, 0);
    for flag in *b"05" {
        let tar = [header(b"p", b'x', 29), padded.clone(), header(b"a", flag, 0), header(b"hidden", b'0', 0)].concat();
        let error = Reader::new(&tar[..]).next_entry().unwrap_err().to_string();
        assert!(error.contains("pax size"), "{error}");
    }
}

#[test]
fn a_name_with_a_slash_at_its_end_is_a_directory() {
    let tar = [header(b"d/", 0, 0), header(b"g/", b'0', 0), header(b"f", 0, 0), header(b"x/", b'0', 7)].concat();
    let mut reader = Reader::new(&tar[..]);
    let mut kind = || reader.next_entry().unwrap().unwrap().kind;
    assert_eq!([kind(), kind(), kind()], [EntryKind::Directory, EntryKind::Directory, EntryKind::File { size: 0 }]);
    assert!(reader.next_entry().unwrap_err().to_string().contains("has content"));
}
