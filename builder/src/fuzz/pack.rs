//! Packs: objects whose headers, deltas and contents are any bytes, in a pack whose checksum is right.

use crate::git::unpack;
use flate2::{Compression, write::ZlibEncoder};
use git2::{ObjectType, Oid, Repository};
use sha1::{Digest, Sha1};
use std::io::Write;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Memory that libgit2 may allocate: it believes the sizes that a pack names, so the worker's child has a limit, too.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// Objects of one pack.
const MAX_OBJECTS: usize = 64;
/// Type of an object that is a delta against an earlier one, named by how far back it is.
const OFFSET_DELTA: u8 = 6;
/// Type of an object that is a delta against one that is named by its id.
const ID_DELTA: u8 = 7;
/// Mark of an object that claims a size which is not its own.
const LIES: u8 = 0x80;

/// Limits what this process may allocate; only a process that does nothing else calls it.
pub fn limit_memory() {
    runtime::limit_memory(Some(MEMORY)).expect("a limit can be lowered");
}

/// Unpacks a pack: its bytes as they are, and a pack of the objects that they describe.
pub fn pack(data: &[u8]) {
    static REPOSITORY: OnceLock<TempDir> = OnceLock::new();
    let repository = REPOSITORY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory can be made");
        Repository::init_bare(directory.path()).expect("a repository can be made");
        directory
    });
    for mut pack in [data, &composed(data)] {
        if let Err(problem) = unpack(repository.path(), &mut pack) {
            assert!(!problem.is_empty(), "an error says something");
        }
    }
}

/// Returns a pack of the objects that `data` describes: type, length and content of each.
fn composed(data: &[u8]) -> Vec<u8> {
    let mut objects = Vec::new();
    let (mut count, mut rest) = (0_u32, data);
    let mut last = Oid::ZERO_SHA1;
    while let [kind, length, tail @ ..] = rest
        && (count as usize) < MAX_OBJECTS
    {
        let (content, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        count += 1;
        let before = objects.len();
        object(&mut objects, *kind, content, last);
        if objects.len() > before
            && let Ok(id) = Oid::hash_object(ObjectType::Blob, content)
        {
            last = id;
        }
    }
    let mut pack = [b"PACK".as_slice(), &2_u32.to_be_bytes(), &count.to_be_bytes(), &objects].concat();
    let checksum = Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);
    pack
}

/// Adds an object: its header, what it is a delta against, and its content, compressed.
fn object(objects: &mut Vec<u8>, kind: u8, content: &[u8], base: Oid) {
    let (lie, content) = match content.split_first_chunk::<8>() {
        Some((size, content)) if kind & LIES != 0 => (Some(u64::from_le_bytes(*size)), content),
        _ => (None, content),
    };
    let (back, content) = match content.split_first() {
        Some((back, content)) if kind & 7 == OFFSET_DELTA => (*back, content),
        _ => (0, content),
    };
    let mut size = lie.unwrap_or(content.len() as u64);
    let mut byte = (kind & 7) << 4 | (size & 15) as u8;
    size >>= 4;
    while size > 0 {
        objects.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    objects.push(byte);
    match kind & 7 {
        OFFSET_DELTA => objects.push(back & 0x7f),
        ID_DELTA => objects.extend_from_slice(base.as_bytes()),
        _ => {}
    }
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(content).expect("memory takes everything");
    objects.extend(compressed.finish().expect("memory takes everything"));
}
