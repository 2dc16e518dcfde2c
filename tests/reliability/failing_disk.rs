//! Disks that fail once, and clocks that are wrong: a library is put between slipway and the C library.

use crate::support::worker_pool::Yard;
use crate::support::{curl, run};
use std::path::PathBuf;
use std::process::Command;

/// Steps whose results differ each time.
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/urandom of=/random bs=1k count=300 2>/dev/null\n";

/// Compiles the library into the directory of the test.
fn library(yard: &Yard) -> String {
    let (source, library) =
        (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reliability/failing_disk.c"), yard.path("faulty.so"));
    run(Command::new("gcc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
    library.to_str().unwrap().to_owned()
}

#[test]
fn a_blob_that_cannot_be_synced_is_removed_and_the_build_tried_again() {
    // ST-17
    let (yard, worker) = Yard::with_worker("");
    drop(worker);
    let (library, once) = (library(&yard), yard.path("once"));
    std::fs::write(&once, "").unwrap();
    let environment =
        [("LD_PRELOAD", library.as_str()), ("FAULTY_ONCE", once.to_str().unwrap()), ("FAULTY_PLACE", "/blobs/sha256/")];
    let _worker = yard.worker_with(&[], &environment);
    let id = yard.push(&[("Dockerfile", DOCKERFILE)]);
    let build = yard.succeeded(&id);
    assert!(!once.exists(), "no sync failed");
    assert_eq!(build.attempt, 2, "{}", yard.log(&id));
    let said = std::fs::read_to_string(yard.path("worker.log")).unwrap();
    let line = said.lines().find(|line| line.contains("a blob cannot be made durable; it is removed")).expect(&said);
    let blob = line.split("sha256:").nth(1).unwrap()[..64].to_owned();
    assert!(!yard.path("data/images/blobs/sha256").join(&blob).exists(), "{blob}");
    let store = image_store::Store::open(&yard.path("data/images")).unwrap();
    let report = store.verify().unwrap();
    assert!(report.damaged.is_empty() && report.missing.is_empty(), "{report:?}");
    let shown = curl(&["-I", &format!("http://{}/v2/team/app/manifests/latest", yard.registry)]).text;
    assert!(shown.contains(&build.image.unwrap().digest), "{shown}");
    yard.nothing_left();
}

/// Returns all files of a directory, however deep.
fn files(directory: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut waiting) = (Vec::new(), vec![directory]);
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files
}

#[test]
fn a_start_with_the_clock_a_day_back_removes_nothing_and_waits_for_nothing() {
    // ST-16: all that is there was made in a day that is still to come
    let (yard, worker) = Yard::with_worker("");
    yard.succeeded(&yard.push(&[("Dockerfile", DOCKERFILE)]));
    drop(worker);
    let kept = ["data/images/blobs", "data/images/indexes", "data/images/tags", "data/git", "data/sandbox/state/s"];
    let kept: Vec<_> = kept.iter().flat_map(|directory| files(yard.path(directory))).collect();
    let library = library(&yard);
    let _worker = yard.worker_with(&[], &[("LD_PRELOAD", &library), ("FAULTY_CLOCK", "-86400")]);
    let began = std::time::Instant::now();
    // Unchanged but for a file that nothing copies: all of it is known.
    let again =
        yard.succeeded(&yard.push(&[("new", "1"), ("Dockerfile", &format!("{DOCKERFILE}RUN echo more > /more\n"))]));
    assert!(yard.log(&again.id).contains("CACHED"), "{}", yard.log(&again.id));
    println!("built after {:?}", began.elapsed());
    let missing: Vec<_> = kept.iter().filter(|file| !file.exists()).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let behind =
        again.started_ms.unwrap() - i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!(behind < -80_000_000, "the clock was not set back: {behind} ms");
    yard.nothing_left();
}
