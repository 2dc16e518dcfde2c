//! The store on a real file system.

use super::*;
use crate::{Collected, Report, Written};
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

#[test]
fn a_blob_that_is_there_is_not_replaced_by_one_that_is_not_durable() {
    // ST-04
    use std::os::unix::fs::MetadataExt;
    let (_directory, store) = store();
    let digest = store.put(b"hello").unwrap();
    let number = fs::metadata(store.path(&digest)).unwrap().ino();
    let again = |bytes: &[u8]| {
        let mut writer = store.writer().unwrap();
        writer.write_all(bytes).unwrap();
        assert_eq!(writer.commit_expecting(&digest).unwrap(), Written { digest: digest.clone(), size: 5 });
        fs::metadata(store.path(&digest)).unwrap().ino()
    };
    assert_eq!(again(b"hello"), number);
    // But one that was cut short is.
    fs::write(store.path(&digest), b"hel").unwrap();
    assert_ne!(again(b"hello"), number);
    assert_eq!(store.read(&digest, 5).unwrap(), b"hello");
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

#[test]
fn a_damaged_blob_is_put_aside_and_can_be_stored_again() {
    // ST-08
    let (_directory, store) = store();
    let digest = store.put(b"layer").unwrap();
    assert!(store.check_blob(&digest).unwrap());
    fs::write(store.path(&digest), b"other").unwrap();
    assert_eq!(store.recover(Duration::from_secs(60)).unwrap(), 1);
    assert!(!store.contains(&digest) && !store.check_blob(&digest).unwrap());
    assert_eq!(store.put(b"layer").unwrap(), digest);
    assert_eq!((store.recover(Duration::from_secs(60)).unwrap(), store.verify().unwrap().damaged.len()), (0, 0));
}

#[test]
fn a_damaged_document_is_put_aside_by_who_reads_it() {
    // RL6, ST-08: else nobody would store it again, because one of the same size is there
    let (_directory, store) = store();
    let digest = store.put(b"{\"a\": 1}").unwrap();
    fs::write(store.path(&digest), b"{\"a\": 2}").unwrap();
    assert!(matches!(store.read(&digest, 100), Err(Error::Mismatch { .. })));
    assert!(matches!(store.read(&digest, 100), Err(Error::Missing(_))));
    assert_eq!(store.put(b"{\"a\": 1}").unwrap(), digest);
    assert_eq!(store.read(&digest, 100).unwrap(), b"{\"a\": 1}");
}

#[test]
fn what_is_leased_stays_until_the_lease_ends() {
    let (_directory, store) = store();
    let digest = store.put(b"old").unwrap();
    let none = HashSet::new();
    let build = store.leased().unwrap();
    assert!(build.contains(&digest));
    let made = build.put(b"made by the build").unwrap();
    assert_eq!(store.collect(&none, Duration::ZERO).unwrap().blobs, 0);
    drop(build);
    assert_eq!(store.collect(&none, Duration::ZERO).unwrap().blobs, 2);
    assert!(!store.contains(&digest) && !store.contains(&made));
}

#[test]
fn collections_beside_builds_take_nothing_from_them() {
    // RL18, ST-12: four builders and a collector that never rests, with no age to protect anything.
    let (_directory, store) = store();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut collected = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                collected += store.collect(&HashSet::new(), Duration::ZERO).unwrap().blobs;
            }
            collected
        });
        let builders: Vec<_> = (0..4)
            .map(|builder| {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..60 {
                        let build = store.leased().unwrap();
                        // A layer that several builds share, used if it is there and made if it is not; and one of its own.
                        let contents = [format!("shared {}", number % 3), format!("own {builder} {number}")];
                        let digests = contents.iter().map(|content| build.put(content.as_bytes()).unwrap());
                        for digest in digests.collect::<Vec<_>>() {
                            assert!(build.read(&digest, 100).is_ok(), "a blob of a living build is gone");
                        }
                        let manifest = Digest::of(contents[1].as_bytes());
                        let descriptor = Descriptor::new(media_type::OCI_MANIFEST, manifest, contents[1].len() as u64);
                        build.tag("team/app", &format!("t{builder}"), &descriptor).unwrap();
                    }
                })
            })
            .collect();
        builders.into_iter().for_each(|builder| builder.join().unwrap());
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(collector.join().unwrap() > 0, "nothing was collected");
    });
    assert!(store.verify().unwrap().missing.is_empty());
}

#[test]
fn a_blob_that_somebody_was_promised_is_young() {
    let (_directory, store) = store();
    let digest = store.put(b"old").unwrap();
    let file = fs::File::options().write(true).open(store.path(&digest)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(7200)).unwrap();
    assert!(store.promise(&digest) && !store.promise(&Digest::of(b"never stored")));
    assert_eq!(store.collect(&HashSet::new(), Duration::from_secs(3600)).unwrap().blobs, 0);
}

#[test]
fn what_was_written_before_the_machine_went_down_is_checked_however_long_it_was_off() {
    // ST-04
    let (_directory, store) = store();
    let hours_ago = |hours: u64, seconds: u64| {
        std::time::SystemTime::now() - Duration::from_secs(hours * 3600) + Duration::from_secs(seconds)
    };
    let damaged = |content: &[u8], written| {
        let digest = store.put(content).unwrap();
        fs::write(store.path(&digest), b"other").unwrap();
        fs::File::options().write(true).open(store.path(&digest)).unwrap().set_modified(written).unwrap();
        digest
    };
    let old = damaged(b"old", hours_ago(30, 0));
    let last = [damaged(b"one", hours_ago(20, 0)), damaged(b"two", hours_ago(20, 500))];
    assert_eq!(store.recover(Duration::from_secs(600)).unwrap(), 2);
    assert!(store.contains(&old) && last.iter().all(|digest| !store.contains(digest)));
}

#[test]
fn with_the_clock_a_day_back_nothing_is_old() {
    // ST-16
    let (_directory, store) = store();
    let digest = store.put(b"nobody needs it").unwrap();
    store.put_note("downloads", b"x", b"note").unwrap();
    let ahead = |path: PathBuf| {
        let tomorrow = std::time::SystemTime::now() + Duration::from_secs(24 * 3600);
        fs::File::options().write(true).open(path).unwrap().set_modified(tomorrow).unwrap();
    };
    ahead(store.path(&digest));
    fs::read_dir(store.root().join("notes/downloads")).unwrap().flatten().for_each(|note| ahead(note.path()));
    assert_eq!(store.collect(&HashSet::new(), Duration::ZERO).unwrap(), Collected::default());
    assert_eq!(store.forget_notes("downloads", Duration::ZERO).unwrap(), 0);
    assert_eq!(store.recover(Duration::from_secs(60)).unwrap(), 0);
    assert!(store.contains(&digest));
}
