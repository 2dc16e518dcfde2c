//! The store on a real file system.

use super::*;
use registry_client::{Descriptor, Manifest, media_type};
use std::collections::HashSet;
use std::io::Write;

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

fn tagged(store: &Store) -> Descriptor {
    let (config, layer) = (store.put(b"{}").unwrap(), store.put(b"layer").unwrap());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.into()),
        config: Descriptor::new(media_type::OCI_CONFIG, config, 2),
        layers: vec![Descriptor::new(media_type::OCI_LAYER_GZIP, layer, 5)],
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let descriptor = Descriptor::new(media_type::OCI_MANIFEST, store.put(&bytes).unwrap(), bytes.len() as u64);
    store.tag("team/app", "latest", &descriptor).unwrap();
    descriptor
}

#[test]
fn a_blob_is_visible_when_it_is_committed_and_never_half() {
    let (directory, store) = store();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"hello").unwrap();
    let digest = Digest::of(b"hello");
    assert!(!store.contains(&digest));
    assert_eq!(writer.commit().unwrap(), Written { digest: digest.clone(), size: 5 });
    assert_eq!(store.read(&digest, 5).unwrap(), b"hello");
    assert!(matches!(store.read(&digest, 4), Err(Error::TooLarge(..))));
    drop(store.writer().unwrap());
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

// REG-25
#[test]
fn other_bytes_than_promised_are_not_kept() {
    let (directory, store) = store();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"evil").unwrap();
    assert!(matches!(writer.commit_expecting(&Digest::of(b"good")), Err(Error::Mismatch { .. })));
    assert_eq!(fs::read_dir(directory.path().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn tags_move_and_go() {
    let (_directory, store) = store();
    let descriptor = tagged(&store);
    assert_eq!(store.resolve("team/app", "latest").unwrap(), Some(descriptor.clone()));
    assert_eq!(store.repositories().unwrap(), ["team/app"]);
    assert_eq!(store.tags("team/app").unwrap(), ["latest"]);
    assert!(store.untag("team/app", "latest").unwrap());
    assert!(!store.untag("team/app", "latest").unwrap());
    assert_eq!(store.repositories().unwrap(), Vec::<String>::new());
}

#[test]
fn names_are_no_paths() {
    let (_directory, store) = store();
    let descriptor = tagged(&store);
    for (repository, tag) in [("../x", "t"), ("a/../b", "t"), ("", "t"), ("a", ".."), ("a", "b/c"), ("a//b", "t")] {
        assert!(matches!(store.tag(repository, tag, &descriptor), Err(Error::Name(_))), "{repository} {tag}");
    }
}

// ST-08
#[test]
fn damage_and_loss_are_found() {
    let (_directory, store) = store();
    tagged(&store);
    assert_eq!(store.verify().unwrap(), Report { blobs: 3, ..Report::default() });
    fs::write(store.path(&Digest::of(b"layer")), b"other").unwrap();
    fs::remove_file(store.path(&Digest::of(b"{}"))).unwrap();
    let report = store.verify().unwrap();
    assert_eq!((report.damaged.len(), report.missing), (1, vec![Digest::of(b"{}")]));
}

#[test]
fn only_what_nobody_needs_is_collected() {
    let (_directory, store) = store();
    tagged(&store);
    let kept = store.put(b"kept").unwrap();
    let loose = store.put(b"loose").unwrap();
    let keep = HashSet::from([kept.clone()]);
    assert_eq!(store.collect(&keep, Duration::from_secs(3600)).unwrap(), Collected::default());
    assert_eq!(store.collect(&keep, Duration::ZERO).unwrap(), Collected { blobs: 1, bytes: 5 });
    assert!(store.contains(&kept) && !store.contains(&loose));
    assert!(store.verify().unwrap().missing.is_empty());
}
