//! The registry in a process of its own that is killed: what was answered is there, and what was under way is done, not done,
//! or done in part, and never something else.

use super::expected::{Facts, Model};
use super::player::Player;
use super::step::{Random, Step};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Tells the child where to work, and from which seed.
const DIRECTORY: &str = "SLIPWAY_MODEL_DIRECTORY";
const SEED: &str = "SLIPWAY_MODEL_SEED";
/// The test that is the child, and nothing when it is run as a test.
const CHILD: &str = "model::kill::child_that_is_killed";

#[tokio::test]
async fn a_killed_registry_has_what_it_answered_and_nothing_else() {
    kill_often(1, 12).await;
    kill_often(2, 12).await;
}

#[tokio::test]
#[ignore = "takes minutes: 1,000 kills"]
async fn a_registry_that_is_killed_a_thousand_times_has_what_it_answered() {
    for seed in 10..30 {
        kill_often(seed, 50).await;
    }
}

#[tokio::test]
async fn child_that_is_killed() {
    let (Ok(directory), Ok(seed)) = (std::env::var(DIRECTORY), std::env::var(SEED)) else { return };
    let seed: u64 = seed.parse().unwrap();
    let directory = Path::new(&directory);
    let mut player = Player::open(&directory.join("store"), seed % 2 == 1);
    let mut log = OpenOptions::new().append(true).open(directory.join("log")).unwrap();
    let mut random = Random::new(seed);
    loop {
        let step = Step::random(&mut random);
        log.write_all(b"b").unwrap();
        player.take(&step).await;
        log.write_all(b"d").unwrap();
    }
}

async fn kill_often(seed: u64, kills: u64) {
    let directory = tempfile::tempdir().unwrap();
    let has_grace = seed % 2 == 1;
    let (mut model, mut random) = (Model::new(has_grace), Random::new(seed));
    for kill in 0..kills {
        // An even difference: the grace is the same for all children.
        let child_seed = seed + 1_000 * (kill + 1);
        let life = Duration::from_micros(30_000 + random.below(150_000) as u64);
        let log = run_and_kill(directory.path(), child_seed, life);
        let (begun, done) = (count(&log, b'b'), count(&log, b'd'));
        let mut steps = Random::new(child_seed);
        model.begun.clear();
        for _ in 0..done {
            model.apply(&Step::random(&mut steps));
        }
        let (before, mut under_way) = (model.facts.clone(), None);
        if begun > done {
            let step = Step::random(&mut steps);
            model.apply(&step);
            under_way = Some(step);
        }
        let player = Player::open(&directory.path().join("store"), has_grace);
        let found = player.facts();
        check_between(&found, &before, &model.facts, &format!("seed {seed}, kill {kill} in {under_way:?}"));
        model.facts = found;
        let report = player.store().verify().unwrap();
        assert!(report.damaged.is_empty() && report.missing.is_empty(), "seed {seed}, kill {kill}: {report:?}");
    }
}

/// Each fact is as it was before the step or as it is after it.
fn check_between(found: &Facts, before: &Facts, after: &Facts, when: &str) {
    for fact in found.keys().chain(before.keys()).chain(after.keys()) {
        let is = found.get(fact);
        assert!(is == before.get(fact) || is == after.get(fact), "{when}: {fact:?} is {is:?}");
    }
}

fn count(log: &[u8], mark: u8) -> usize {
    log.iter().filter(|byte| **byte == mark).count()
}

/// Lets a child do steps for a while, kills it, and returns its log: a mark before each step, and one after it.
fn run_and_kill(directory: &Path, seed: u64, life: Duration) -> Vec<u8> {
    let log = directory.join("log");
    drop(File::create(&log).unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while std::fs::metadata(&log).unwrap().len() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended before it began");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::read(&log).unwrap()
}
