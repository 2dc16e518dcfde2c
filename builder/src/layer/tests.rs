//! Layers there and back.

use super::*;
use files::tar::{Entry, EntryKind, Writer};
use registry_client::{DiffId, media_type};
use std::io::{Cursor, Read};

const GIB: u64 = 1 << 30;

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

/// Returns zeros packed, as many as `gib` GiB: one member or frame for each piece of 64 MiB.
fn zeros(gib: u64, compression: Compression) -> Vec<u8> {
    let piece = vec![0; 64 << 20];
    let packed = match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
            std::io::Write::write_all(&mut encoder, &piece).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(piece.as_slice(), 1).unwrap(),
    };
    packed.repeat(16 * gib as usize)
}

/// Returns how many bytes could be read before the error, and the error.
fn read_all(blob: Vec<u8>, compression: Compression, growth: Growth) -> (u64, Option<String>) {
    let mut decompressed = decompress_within(Cursor::new(blob), compression.media_type(), growth).unwrap();
    let (mut buffer, mut read) = (vec![0; 1 << 20], 0);
    loop {
        match decompressed.read(&mut buffer) {
            Ok(0) => return (read, None),
            Ok(got) => read += got as u64,
            Err(error) => return (read, Some(error.to_string())),
        }
    }
}

#[test]
fn layers_are_read_whatever_docker_calls_them() {
    // CQ-12, CQ-13: the bytes decide between the compressions.
    let zstd = zstd::encode_all(&b"tar"[..], 1).unwrap();
    for kind in [
        media_type::DOCKER_LAYER_ZSTD,
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ] {
        let mut text = String::new();
        decompress(Cursor::new(zstd.clone()), kind).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "tar", "{kind}");
    }
    assert!(decompress(Cursor::new(zstd), media_type::OCI_CONFIG).is_err());
}

#[test]
fn a_layer_that_explodes_is_refused_before_it_costs_seconds() {
    // REG-05, SEC-m6: 24 GiB in 24 MB of gzip end after a tenth, those of zstd after a fifth.
    for (compression, most) in [(Compression::Gzip, 3 * GIB), (Compression::Zstd, 5 * GIB)] {
        let (read, error) = read_all(zeros(24, compression), compression, Growth::foreign(100 * GIB));
        assert!(read < most && error.unwrap().contains("compressed bytes allow"), "{compression:?}: {read}");
    }
    // The limit of the disk counts, too, and for layers that were made here it is the only one.
    for growth in [Growth::foreign(GIB), Growth::own(GIB)] {
        let (read, error) = read_all(zeros(2, Compression::Zstd), Compression::Zstd, growth);
        assert!(read <= GIB && error.is_some(), "{read}");
    }
}

#[test]
fn sparse_files_pass() {
    // SEC-m6: a gigabyte of zeros is some kilobytes of zstd, a megabyte of gzip.
    for compression in [Compression::Zstd, Compression::Gzip] {
        let (read, error) = read_all(zeros(1, compression), compression, Growth::foreign(2 * GIB));
        assert_eq!((read, error), (GIB, None), "{compression:?}");
    }
}

#[test]
fn bytes_between_members_and_missing_ends_are_refused() {
    // SEC-m6
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (_, blob) = pack_as(&tar(3_000_000), 65_537, compression);
        let (_, small) = pack_as(&tar(10), 65_537, compression);
        let between = [&small[..], b"between", &blob[..]].concat();
        let after = [&blob[..], b"after it"].concat();
        for (what, bytes) in [("between", between), ("after", after), ("cut", blob[..blob.len() - 3].to_vec())] {
            let (_, error) = read_all(bytes, compression, Growth::foreign(GIB));
            assert!(error.is_some(), "{compression:?}, {what}");
        }
    }
}

#[test]
fn an_archive_that_explodes_is_refused() {
    // SEC-m6: what ADD unpacks is bounded like a layer.
    let mut zeros = tar(0)[..512].to_vec();
    zeros.resize(16 << 20, 0);
    let mut piece = Vec::new();
    liblzma::read::XzEncoder::new(zeros.as_slice(), 0).read_to_end(&mut piece).unwrap();
    let mut tar = tar_in(Box::new(Cursor::new(piece.repeat(80)))).unwrap().unwrap();
    let read = std::io::copy(&mut tar, &mut std::io::sink());
    assert!(read.unwrap_err().to_string().contains("compressed bytes allow"));
}

#[test]
fn an_archive_that_asks_for_gigabytes_of_memory_does_not_get_them() {
    // CTX-07
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(tar(10).as_slice(), 0).read_to_end(&mut packed).unwrap();
    assert!(tar_in(Box::new(Cursor::new(packed.clone()))).unwrap().is_some());
    // The block's header: size, flags, filter, length of its properties, then the dictionary's size; 40 is 4 GiB.
    let header = 12..12 + (usize::from(packed[12]) + 1) * 4;
    packed[16] = 40;
    let mut checksum = flate2::Crc::new();
    checksum.update(&packed[header.start..header.end - 4]);
    packed[header.end - 4..header.end].copy_from_slice(&checksum.sum().to_le_bytes());
    let mut decoder = liblzma::read::XzDecoder::new(packed.as_slice());
    assert!(decoder.read(&mut [0; 512]).is_ok(), "the header is a valid one");
    assert!(tar_in(Box::new(Cursor::new(packed))).unwrap().is_none());
}
