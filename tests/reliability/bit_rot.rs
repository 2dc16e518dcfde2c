//! Blobs whose bytes change on disk: whoever uses one next finds out, it is put aside, and the layer is made again.

use crate::support::worker_pool::Yard;
use crate::support::{Process, run, shown};
use database::Build;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Output};

const DOCKERFILE: &str =
    "ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/urandom of=/random bs=1k count=700 2>/dev/null; sha256sum /random > /sum\n";

/// A yard with an image, one of whose layers has a flipped bit.
struct Rotten {
    yard: Yard,
    _worker: Process,
    first: Build,
    blob: PathBuf,
}

impl Rotten {
    fn new() -> Rotten {
        let (yard, worker) = Yard::with_worker("");
        let first = yard.succeeded(&yard.push(&[("Dockerfile", DOCKERFILE)]));
        let steps = yard.tokio.block_on(yard.database.steps(&first.id)).unwrap();
        let digest = steps.iter().rev().find_map(|step| step.layer_digest.clone()).unwrap();
        let blob = yard.path("data/images/blobs/sha256").join(digest.trim_start_matches("sha256:"));
        let file = std::fs::File::options().read(true).write(true).open(&blob).unwrap();
        let (middle, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
        file.read_exact_at(&mut byte, middle).unwrap();
        file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
        Rotten { yard, _worker: worker, first, blob }
    }

    /// Copies the image away as others pull it, which checks every byte.
    fn pull(&self) -> Output {
        let target = self.yard.path("pulled");
        let _ = std::fs::remove_dir_all(&target);
        let from = format!("docker://{}/team/app:latest", self.yard.registry);
        let mut pull = Command::new("skopeo");
        pull.args(["copy", "--src-tls-verify=false", &from]).arg(format!("dir:{}", target.display())).output().unwrap()
    }

    fn is_put_aside(&self) -> bool {
        let aside = self.yard.path("data/images/quarantine").join(self.blob.file_name().unwrap());
        aside.exists() && !self.blob.exists()
    }

    /// Checks that the image that is there now is whole.
    fn is_whole(&self) {
        let pulled = self.pull();
        assert!(pulled.status.success(), "{}", shown(&pulled));
        let store = image_store::Store::open(&self.yard.path("data/images")).unwrap();
        let report = store.verify().unwrap();
        assert!(report.damaged.is_empty() && report.missing.is_empty(), "{report:?}");
        self.yard.nothing_left();
    }
}

#[test]
fn a_build_that_unpacks_a_damaged_layer_makes_it_again() {
    // RL6, ST-08
    let rotten = Rotten::new();
    let yard = &rotten.yard;
    // Nobody has its files any more: they come from the blob.
    run(Command::new("sh").args(["-c", "rm -rf \"$0\"/*"]).arg(yard.path("data/sandbox/state/s")));
    let id = yard.push(&[("Dockerfile", &format!("{DOCKERFILE}RUN sha256sum -c /sum\n"))]);
    let build = yard.succeeded(&id);
    assert_eq!(build.attempt, 1, "{}", yard.log(&id));
    assert!(rotten.is_put_aside());
    assert_ne!(build.image.unwrap().digest, rotten.first.image.as_ref().unwrap().digest);
    rotten.is_whole();
}

#[test]
fn a_damaged_layer_is_found_by_who_pulls_it_and_made_again_by_the_next_build() {
    // RL6, ST-08
    let rotten = Rotten::new();
    let pulled = rotten.pull();
    assert!(!pulled.status.success(), "{}", shown(&pulled));
    assert!(rotten.is_put_aside(), "the registry does not go on to serve it");
    let mut request = rotten.yard.request(rotten.first.request.spec.commit.as_deref().unwrap());
    request.trigger = database::Trigger::Push { delivery: "again".to_owned(), by: "octocat".to_owned() };
    rotten.yard.succeeded(&rotten.yard.queue(&request));
    rotten.is_whole();
}
