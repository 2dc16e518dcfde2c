//! Layers that can be read in part: read back whole, and file by file as their formats' readers do.

use super::super::noise::noise;
use super::super::*;
use files::tar::{Entry, EntryKind, Writer};
use registry_client::{DiffId, Digest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};

const FORMATS: [Compression; 2] = [Compression::ZstdChunked, Compression::Estargz];
const CHUNKED: &str = "io.github.containers.zstd-chunked";

fn entry(path: &str, kind: EntryKind) -> Entry {
    let xattrs = if path.ends_with('x') { vec![(b"user.note".to_vec(), vec![0, 255])] } else { Vec::new() };
    Entry { path: path.into(), kind, mode: 0o4755, uid: 3_000_000, gid: 7, mtime: 1_700_000_000, xattrs }
}

fn tar(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    entries.iter().for_each(|(entry, content)| writer.entry(entry, &mut content.as_slice()).unwrap());
    writer.finish().unwrap()
}

/// Returns bytes that are neither text nor noise.
fn content(seed: u32, length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| ((at ^ seed).wrapping_mul(2_654_435_761) >> 21) as u8 & 0x3f).collect()
}

fn file(path: &str, content: Vec<u8>) -> (Entry, Vec<u8>) {
    (entry(path, EntryKind::File { size: content.len() as u64 }), content)
}

/// Returns some of everything that a layer can hold; the files are of all sizes from none to several chunks.
fn everything() -> Vec<(Entry, Vec<u8>)> {
    let long = "a".repeat(90);
    let mut entries = vec![
        (entry("d", EntryKind::Directory), Vec::new()),
        (entry("d/link", EntryKind::Symlink { target: "../d/ünder".as_bytes().to_vec() }), Vec::new()),
        (entry("d/null", EntryKind::Character { major: 1, minor: 3 }), Vec::new()),
        (entry("d/fifo", EntryKind::Fifo), Vec::new()),
        file(&format!("d/{long}/{long}"), content(1, 700)),
    ];
    let sizes = [0, 1, 511, 512, 513, 400_000, 524_288, 524_289, 3_000_000, 4_194_304, 4_194_305, 9_000_000, 0, 7];
    entries.extend(sizes.iter().zip(0..).map(|(size, number)| file(&format!("d/{number}"), content(number, *size))));
    entries.push((entry("d/hard", EntryKind::HardLink { target: b"d/0".to_vec() }), Vec::new()));
    entries.push(file("d/x", b"x".to_vec()));
    entries
}

fn pack(tar: &[u8], step: usize, compression: Compression) -> (Packed, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new(), compression);
    tar.chunks(step).for_each(|step| writer.write_all(step).unwrap());
    writer.finish().unwrap()
}

/// Returns the tar as an ordinary engine reads it, checked against its diff id.
fn unpacked(packed: &Packed, blob: &[u8], compression: Compression) -> Vec<u8> {
    let tar = decompress(Cursor::new(blob.to_vec()), compression.media_type()).unwrap();
    let mut back = Vec::new();
    Verified::new(tar, packed.diff_id.clone()).read_to_end(&mut back).unwrap();
    assert_eq!(packed.diff_id, DiffId::of(&back));
    back
}

fn shown(tar: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    Shown::new(tar).read_to_end(&mut shown).unwrap();
    shown
}

fn decoded(piece: &[u8], compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    match compression {
        Compression::Estargz => flate2::read::GzDecoder::new(piece).read_to_end(&mut bytes).unwrap(),
        _ => zstd::stream::read::Decoder::new(piece).unwrap().single_frame().read_to_end(&mut bytes).unwrap(),
    };
    bytes
}

fn numbers(text: &str) -> Vec<usize> {
    text.split(':').map(|number| number.parse().unwrap()).collect()
}

/// Returns the rows of a layer's table, found and checked as a reader does that knows the annotations alone.
fn rows(packed: &Packed, blob: &[u8], compression: Compression) -> Vec<Value> {
    let json = if compression == Compression::Estargz {
        let footer = &blob[blob.len() - 51..];
        let at = usize::from_str_radix(std::str::from_utf8(&footer[16..32]).unwrap(), 16).unwrap();
        assert_eq!((&footer[12..16], &footer[32..38]), (&b"SG\x16\0"[..], &b"STARGZ"[..]));
        assert!(decoded(footer, compression).is_empty());
        let tar = decoded(&blob[at..blob.len() - 51], compression);
        let mut reader = files::tar::Reader::new(tar.as_slice());
        assert_eq!(reader.next_entry().unwrap().unwrap().path, b"stargz.index.json");
        let mut json = Vec::new();
        reader.read_to_end(&mut json).unwrap();
        assert_eq!(packed.annotations["containerd.io/snapshot/stargz/toc.digest"], Digest::of(&json).to_string());
        json
    } else {
        let at = numbers(&packed.annotations[&format!("{CHUNKED}.manifest-position")]);
        let table = &blob[at[0]..at[0] + at[1]];
        assert_eq!(packed.annotations[&format!("{CHUNKED}.manifest-checksum")], Digest::of(table).to_string());
        let json = decoded(table, compression);
        assert_eq!((json.len(), at[3]), (at[2], 1));
        // The footer says the same.
        let footer: Vec<usize> = blob[blob.len() - 64..]
            .chunks(8)
            .map(|number| u64::from_le_bytes(number.try_into().unwrap()) as usize)
            .collect();
        let split = numbers(&packed.annotations[&format!("{CHUNKED}.tarsplit-position")]);
        assert_eq!(footer[..7], [at, split].concat());
        assert_eq!(&blob[blob.len() - 8..], b"GNUlInUx");
        json
    };
    let table: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(table["version"], 1);
    table["entries"].as_array().unwrap().clone()
}

fn number(row: &Value, field: &str) -> usize {
    row[field].as_u64().unwrap_or(0) as usize
}

/// Reads each file from its own ranges alone, and returns them with the digests of their chunks.
fn read_files(rows: &[Value], blob: &[u8], compression: Compression) -> BTreeMap<String, (Vec<u8>, Vec<String>)> {
    let mut files = BTreeMap::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row["type"] == "reg") {
        let following = rows[at + 1..].iter().take_while(|row| row["type"] == "chunk");
        let chunks: Vec<&Value> = std::iter::once(row).chain(following).collect();
        let (mut content, mut digests) = (Vec::new(), Vec::new());
        for chunk in &chunks {
            if number(row, "size") == 0 {
                continue;
            }
            let piece = decoded(&blob[number(chunk, "offset")..], compression);
            assert_eq!(content.len(), number(chunk, "chunkOffset"));
            let is_last = std::ptr::eq(*chunk, chunks[chunks.len() - 1]);
            match compression {
                Compression::Estargz if is_last => assert_eq!(number(chunk, "chunkSize"), 0),
                _ if chunks.len() == 1 => assert!(chunk["chunkSize"].is_null() && chunk["chunkDigest"].is_null()),
                _ => assert_eq!(number(chunk, "chunkSize"), piece.len()),
            }
            digests.push(Digest::of(&piece).to_string());
            if !chunk["chunkDigest"].is_null() {
                assert_eq!(chunk["chunkDigest"], digests[digests.len() - 1]);
            }
            content.extend(piece);
        }
        let digest = if content.is_empty() { Value::Null } else { Digest::of(&content).to_string().into() };
        assert_eq!((row["digest"].clone(), number(row, "size")), (digest, content.len()));
        files.insert(row["name"].as_str().unwrap().to_owned(), (content, digests));
    }
    files
}

#[test]
fn a_layer_with_a_table_is_an_ordinary_layer() {
    for tar in [tar(&[]), tar(&[file("f", b"f".to_vec())]), tar(&everything())] {
        let (packed, blob) = pack(&tar, 65_537, Compression::ZstdChunked);
        assert!(unpacked(&packed, &blob, Compression::ZstdChunked) == tar);
        let (packed, blob) = pack(&tar, 65_537, Compression::Estargz);
        let whole = unpacked(&packed, &blob, Compression::Estargz);
        assert_eq!(packed.annotations["io.containers.estargz.uncompressed-size"], whole.len().to_string());
        // Its own files are seen by engines that do not know it, and by nobody here.
        assert!(whole != tar && shown(&whole) == tar);
        assert!(
            packed.index.get(b"stargz.index.json").is_none() && packed.index.get(b".no.prefetch.landmark").is_none()
        );
    }
}

#[test]
fn each_file_is_read_from_its_own_range() {
    let entries = everything();
    for compression in FORMATS {
        let (packed, blob) = pack(&tar(&entries), 1 << 20, compression);
        let rows = rows(&packed, &blob, compression);
        let mut files = read_files(&rows, &blob, compression);
        let landmark = files.remove(".no.prefetch.landmark").map(|(content, _)| content);
        assert_eq!(landmark, (compression == Compression::Estargz).then(|| vec![0xf]));
        let expected = entries.iter().filter(|(entry, _)| matches!(entry.kind, EntryKind::File { .. }));
        for (entry, content) in expected {
            let (read, digests) = files.remove(std::str::from_utf8(&entry.path).unwrap()).unwrap();
            assert!(read == *content, "{compression:?}: {:?}", entry.path);
            assert_eq!(
                digests.len() > 1,
                content.len() > if compression == Compression::Estargz { 4 << 20 } else { 600_000 }
            );
        }
        assert!(files.is_empty());
        let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap().clone();
        assert_eq!(
            (row("d/")["type"].as_str(), row("d/")["modtime"].as_str()),
            (Some("dir"), Some("2023-11-14T22:13:20Z"))
        );
        assert_eq!(row("d/link")["linkName"], "../d/ünder");
        assert_eq!(
            (row("d/hard")["type"].as_str(), row("d/hard")["linkName"].as_str()),
            (Some("hardlink"), Some("d/0"))
        );
        assert_eq!((number(&row("d/null"), "devMajor"), number(&row("d/null"), "devMinor")), (1, 3));
        assert_eq!((number(&row("d/x"), "mode"), number(&row("d/x"), "uid")), (0o4755, 3_000_000));
        assert_eq!(row("d/x")["xattrs"]["user.note"], "AP8=");
    }
}

#[test]
fn the_tar_is_made_again_from_its_files_and_tar_split() {
    let original = tar(&everything());
    let (packed, blob) = pack(&original, 1 << 20, Compression::ZstdChunked);
    let rows = rows(&packed, &blob, Compression::ZstdChunked);
    let mut files = read_files(&rows, &blob, Compression::ZstdChunked);
    let at = numbers(&packed.annotations[&format!("{CHUNKED}.tarsplit-position")]);
    let split = decoded(&blob[at[0]..at[0] + at[1]], Compression::ZstdChunked);
    assert_eq!(split.len(), at[2]);
    let mut made = Vec::new();
    for (position, line) in std::str::from_utf8(&split).unwrap().lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(number(&line, "position"), position);
        let payload = line["payload"]
            .as_str()
            .map(|text| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap());
        match number(&line, "type") {
            2 => made.extend(payload.unwrap()),
            _ if number(&line, "size") == 0 => assert!(payload.is_none()),
            _ => {
                let (content, _) = files.remove(line["name"].as_str().unwrap()).unwrap();
                let mut crc = super::crc64::Crc64::default();
                crc.update(&content);
                assert_eq!(payload.unwrap(), crc.bytes());
                made.extend(content);
            }
        }
    }
    assert!(made == original);
}

#[test]
fn the_bytes_depend_on_nothing_but_the_tar() {
    let tar = tar(&everything());
    for compression in FORMATS {
        let (packed, blob) = pack(&tar, 7_777, compression);
        for step in [1 << 20, 65_536] {
            let (again, other) = pack(&tar, step, compression);
            assert!(other == blob && again.annotations == packed.annotations, "{compression:?}");
        }
    }
}

#[test]
fn a_change_of_one_file_changes_one_chunk() {
    let mut entries: Vec<_> =
        (0..5000u32).map(|number| file(&format!("f{number}"), content(number, 200 + number as usize % 9000))).collect();
    entries.push(file("large", content(9, 12_000_000)));
    for compression in FORMATS {
        let chunks = |entries: &[(Entry, Vec<u8>)]| -> BTreeMap<String, usize> {
            let (packed, blob) = pack(&tar(entries), 1 << 20, compression);
            let files = read_files(&rows(&packed, &blob, compression), &blob, compression);
            files
                .into_values()
                .flat_map(|(content, digests)| {
                    let size = content.len() / digests.len().max(1);
                    digests.into_iter().map(move |digest| (digest, size))
                })
                .collect()
        };
        let before = chunks(&entries);
        let changed = &mut entries[2500].1;
        changed[100] ^= 1;
        let after = chunks(&entries);
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.keys().collect(), after.keys().collect());
        assert_eq!((old.difference(&new).count(), new.difference(&old).count()), (1, 1), "{compression:?}");
    }
    // A byte more in a large file changes the chunk that it is in, and no other.
    let digests = |content: Vec<u8>| -> BTreeSet<String> {
        let (packed, blob) = pack(&tar(&[file("large", content)]), 1 << 20, Compression::ZstdChunked);
        let rows = rows(&packed, &blob, Compression::ZstdChunked);
        read_files(&rows, &blob, Compression::ZstdChunked).remove("large").unwrap().1.into_iter().collect()
    };
    let mut large = noise(12_000_000);
    let before = digests(large.clone());
    large.insert(5_000_000, 1);
    let after = digests(large);
    assert!(
        before.len() > 8 && before.difference(&after).count() <= 2,
        "{} of {}",
        before.difference(&after).count(),
        before.len()
    );
}

#[test]
fn a_layer_that_no_table_can_list_is_read_as_a_whole() {
    let mut named = entry("a", EntryKind::File { size: 1 });
    named.path = b"\xff".to_vec();
    let twice = vec![file("f", b"1".to_vec()), file("f", b"2".to_vec())];
    let own = vec![file("stargz.index.json", b"mine".to_vec()), file(".no.prefetch.landmark", b"\x0f".to_vec())];
    for (entries, formats) in [(vec![(named, b"1".to_vec())], &FORMATS[..]), (twice, &FORMATS), (own, &FORMATS[1..])] {
        for &compression in formats {
            let tar = tar(&entries);
            let (packed, blob) = pack(&tar, 1 << 20, compression);
            assert!(packed.annotations.is_empty());
            assert!(unpacked(&packed, &blob, compression) == tar);
        }
    }
}
