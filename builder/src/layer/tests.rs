//! Layers there and back.

use super::*;
use registry_client::{DiffId, media_type};
use runtime::tar::{Entry, EntryKind, Writer};
use std::io::{Cursor, Read};

fn tar(size: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let kind = EntryKind::File { size: size as u64 };
    let entry = Entry { path: b"f".to_vec(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() };
    let content: Vec<u8> = (0..size as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 20) as u8).collect();
    writer.entry(&entry, &mut content.as_slice()).unwrap();
    writer.finish().unwrap()
}

fn pack(tar: &[u8], chunk: usize) -> (Packed, Vec<u8>) {
    pack_as(tar, chunk, Compression::Gzip)
}

fn pack_as(tar: &[u8], chunk: usize, compression: Compression) -> (Packed, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new(), compression);
    for chunk in tar.chunks(chunk) {
        std::io::Write::write_all(&mut writer, chunk).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_layer_comes_back_as_it_was() {
    let sizes = [0, 10, 1024 * 1024 - 1536, 1024 * 1024, 5_000_000];
    for (size, compression) in sizes.iter().flat_map(|&size| [(size, Compression::Gzip), (size, Compression::Zstd)]) {
        let tar = tar(size);
        let (packed, blob) = pack_as(&tar, 65_537, compression);
        let mut back = Vec::new();
        let decompressed = decompress(Cursor::new(blob), compression.media_type()).unwrap();
        Verified::new(decompressed, packed.diff_id.clone()).read_to_end(&mut back).unwrap();
        assert!(back == tar, "{size} bytes");
        assert_eq!(packed.diff_id, DiffId::of(&tar));
        assert!(packed.index.get(b"f").is_some());
    }
}

#[test]
fn the_bytes_do_not_depend_on_how_they_are_written() {
    let tar = tar(3_000_000);
    assert!(pack(&tar, 7_777).1 == pack(&tar, 1_000_000).1);
    // Nor on the number of threads: blocks are independent, and so are the bytes each becomes.
    let alone: Vec<u8> =
        tar.chunks(super::write::BLOCK).flat_map(|block| super::gzip::Gzip::new().compress(block)).collect();
    assert!(pack(&tar, 7_777).1 == alone);
}

#[test]
fn other_bytes_than_the_diff_id_says_are_refused() {
    // REG-25
    let (_, blob) = pack(&tar(10), 512);
    let decompressed = decompress(Cursor::new(blob), media_type::OCI_LAYER_GZIP).unwrap();
    let error = Verified::new(decompressed, DiffId::of(b"other")).read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("digest mismatch"), "{error}");
}

#[test]
fn a_layer_that_explodes_is_refused() {
    // REG-05
    let bomb = zstd::encode_all(std::io::repeat(0).take(300 * 1024 * 1024), 19).unwrap();
    let mut decompressed = decompress(Cursor::new(bomb), media_type::OCI_LAYER_ZSTD).unwrap();
    assert!(std::io::copy(&mut decompressed, &mut std::io::sink()).is_err());
}

#[test]
fn an_archive_that_asks_for_gigabytes_of_memory_does_not_get_them() {
    // CTX-07
    let mut packed = Vec::new();
    xz2::read::XzEncoder::new(tar(10).as_slice(), 0).read_to_end(&mut packed).unwrap();
    assert!(tar_in(Box::new(Cursor::new(packed.clone()))).unwrap().is_some());
    // The block's header: size, flags, filter, length of its properties, then the dictionary's size; 40 is 4 GiB.
    let header = 12..12 + (usize::from(packed[12]) + 1) * 4;
    packed[16] = 40;
    let mut checksum = flate2::Crc::new();
    checksum.update(&packed[header.start..header.end - 4]);
    packed[header.end - 4..header.end].copy_from_slice(&checksum.sum().to_le_bytes());
    let mut decoder = xz2::read::XzDecoder::new(packed.as_slice());
    assert!(decoder.read(&mut [0; 512]).is_ok(), "the header is a valid one");
    assert!(tar_in(Box::new(Cursor::new(packed))).unwrap().is_none());
}
