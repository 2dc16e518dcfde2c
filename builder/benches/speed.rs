//! The parts of a build that no registry or container is needed for: `cargo bench -p builder`.
//!
//! Each line is the median of several runs, and what the slowest took.
#![allow(missing_docs, clippy::unwrap_used)]

use builder::dockerfile::Dockerfile;
use builder::layer::{Compression, LayerWriter};
use builder::tree::{Index, Tree};
use runtime::tar::{Entry, EntryKind, Writer};
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUNS: usize = 9;

fn measure<T>(name: &str, bytes: Option<usize>, mut work: impl FnMut() -> T) {
    black_box(work());
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed()
        })
        .collect();
    times.sort();
    let median = times[RUNS / 2];
    let rate = bytes.map_or(String::new(), |bytes| format!("{:8.0} MB/s", bytes as f64 / 1e6 / median.as_secs_f64()));
    println!("{name:44} {:10.3} ms   slowest {:10.3} ms {rate}", ms(median), ms(times[RUNS - 1]));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
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

fn main() {
    let lines: String = (0..1000).map(|line| format!("RUN echo {line} && test -n \"$HOME\"\n")).collect();
    let dockerfile = format!("FROM scratch\n{lines}");
    measure("parse a Dockerfile of 1,000 lines", None, || Dockerfile::parse(dockerfile.as_bytes()).unwrap());

    let content = text(10_000);
    measure("write a tar of 5,000 files of 10 kB", Some(50_000_000), || {
        let mut writer = Writer::new(std::io::sink());
        for number in 0..5000 {
            writer.entry(&file(format!("d/f{number}"), content.len()), &mut content.as_slice()).unwrap();
        }
        writer.finish().unwrap();
    });

    let many = tar(20_000, 100);
    measure("index a layer of 20,000 files", Some(many.len()), || Index::from_tar(&mut many.as_slice()).unwrap());
    let index = Arc::new(Index::from_tar(&mut many.as_slice()).unwrap());
    let stored = index.to_bytes();
    measure("read a stored index of 20,000 files", Some(stored.len()), || Index::from_bytes(&stored).unwrap());
    let tree = Tree::new((0..10).map(|layer| (layer, index.clone())).collect());
    measure("resolve 10,000 paths in ten such layers", None, || {
        (0..10_000).filter(|n| tree.resolve(format!("d{:05}/f{n:07}", n / 100).as_bytes()).is_ok()).count()
    });

    let large = tar(500, 100_000);
    measure("pack a layer of 50 MB of text, gzip", Some(large.len()), || pack(&large, Compression::Gzip));
    measure("pack a layer of 50 MB of text, zstd", Some(large.len()), || pack(&large, Compression::Zstd));
}
