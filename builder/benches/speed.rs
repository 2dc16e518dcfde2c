//! The parts of a build that no registry or container is needed for: `cargo bench -p builder`.
#![allow(missing_docs, clippy::unwrap_used)]

use builder::layer::{Compression, LayerWriter};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use dockerfile::Dockerfile;
use files::tar::{Entry, EntryKind, Writer};
use files::tree::{Index, Tree};
use std::io::Write;
use std::sync::Arc;

/// Measures `work`, and tells how many `bytes` a second that is.
fn throughput<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: usize, work: impl FnMut() -> T) {
    group.throughput(Throughput::Bytes(bytes as u64));
    let mut work = work;
    group.bench_function(name, |bencher| bencher.iter(&mut work));
}

/// Text of the kind that sources are: a small alphabet, repeated words, no two lines alike.
fn text(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    let mut state = 1u64;
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let words = ["let", "index", "tree", "layer", "return", "value", "fn", "match"];
        let word = words[(state >> 33) as usize % words.len()];
        write!(bytes, "{word}_{} ", (state >> 48) % 977).unwrap();
    }
    bytes.truncate(length);
    bytes
}

fn file(path: String, size: usize) -> Entry {
    let (kind, path) = (EntryKind::File { size: size as u64 }, path.into_bytes());
    Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

/// A tar of `count` files in directories of a hundred.
fn tar(count: usize, size: usize) -> Vec<u8> {
    let content = text(size);
    let mut writer = Writer::new(Vec::new());
    for number in 0..count {
        writer.entry(&file(format!("d{:05}/f{number:07}", number / 100), size), &mut content.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn pack(tar: &[u8], compression: Compression) -> usize {
    let mut writer = LayerWriter::new(Vec::new(), compression);
    tar.chunks(256 * 1024).for_each(|chunk| writer.write_all(chunk).unwrap());
    writer.finish().unwrap().1.len()
}

fn parser(criterion: &mut Criterion) {
    let lines: String = (0..1000).map(|line| format!("RUN echo {line} && test -n \"$HOME\"\n")).collect();
    let dockerfile = format!("FROM scratch\n{lines}");
    criterion.bench_function("parse a Dockerfile of 1,000 lines", |bencher| {
        bencher.iter(|| Dockerfile::parse(dockerfile.as_bytes()).unwrap());
    });
}

fn tar_writer(criterion: &mut Criterion) {
    let content = text(10_000);
    let mut group = criterion.benchmark_group("tar writer");
    throughput(&mut group, "5,000 files of 10 kB", 50_000_000, || {
        let mut writer = Writer::new(std::io::sink());
        for number in 0..5000 {
            writer.entry(&file(format!("d/f{number}"), content.len()), &mut content.as_slice()).unwrap();
        }
        writer.finish().unwrap();
    });
}

fn index_resolution(criterion: &mut Criterion) {
    let many = tar(20_000, 100);
    let index = Arc::new(Index::from_tar(&mut many.as_slice()).unwrap());
    let stored = index.to_bytes();
    let tree = Tree::new((0..10).map(|layer| (layer, index.clone())).collect());
    let mut group = criterion.benchmark_group("index of 20,000 files");
    throughput(&mut group, "made from a tar", many.len(), || Index::from_tar(&mut many.as_slice()).unwrap());
    throughput(&mut group, "read", stored.len(), || Index::from_bytes(&stored).unwrap());
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("10,000 paths resolved in ten of them", |bencher| {
        let resolves = |n: &usize| tree.resolve(format!("d{:05}/f{n:07}", n / 100).as_bytes()).is_ok();
        bencher.iter(|| (0..10_000).filter(resolves).count());
    });
}

fn compression(criterion: &mut Criterion) {
    let large = tar(500, 100_000);
    let mut group = criterion.benchmark_group("a layer of 50 MB of text");
    throughput(&mut group, "gzip", large.len(), || pack(&large, Compression::Gzip));
    throughput(&mut group, "zstd", large.len(), || pack(&large, Compression::Zstd));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = parser, tar_writer, index_resolution, compression
}
criterion_main!(benches);
