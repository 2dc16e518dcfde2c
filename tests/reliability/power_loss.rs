//! Power losses at random moments: what was answered is there, what is served is whole, and nothing stays.
//!
//! `SLIPWAY_POWER_LOSSES` says how many there are, `SLIPWAY_SEED` which moments are chosen.

use crate::support::raw_http::{Connection, delivery, push};
use crate::support::test_disk::Disk;
use crate::support::worker_pool::{control_groups, processes};
use crate::support::{Process, SECRET, Site, curl, run, wait_for};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// A stage that later builds have from the cache, and a step that reads all that came from disk.
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE} AS made\nCOPY made /made\n\
    RUN dd if=/dev/urandom of=/large bs=1k count=1500 2>/dev/null && sha256sum /large /made/round > /sum\n\
    FROM ${BASE}\nCOPY files /files\nCOPY --from=made /large /sum /\nCOPY --from=made /made /made\n\
    RUN sha256sum -c /sum /files/sums\n";
/// How long after the first delivery the power goes at the latest: three builds take that long.
const LONGEST: u64 = 3500;

/// The same numbers for the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: a number is expected")))
}

/// Returns a process and all that it started, however deep.
fn family(of: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, parent))
        })
        .collect();
    let (mut family, mut next) = (vec![of], 0);
    while next < family.len() {
        let parent_of_next = family[next];
        family.extend(parents.iter().filter(|(_, parent)| *parent == parent_of_next).map(|(id, _)| *id));
        next += 1;
    }
    family
}

fn signal(name: &str, ids: &[u32]) {
    let _ = Command::new("kill").arg(name).args(ids.iter().map(u32::to_string)).output();
}

/// Ends a server and all that belongs to it, with no chance to tidy up.
fn kill(mut server: Process) {
    // Stopped they start nothing more, so that none is missed.
    for _ in 0..2 {
        signal("-STOP", &family(server.0.id()));
    }
    signal("-KILL", &family(server.0.id()));
    server.0.wait().unwrap();
}

/// A site on a disk, and what it said that it has done.
struct Story {
    disk: Disk,
    site: Site,
    dice: Dice,
    /// Digests by the tags that only one build has, of builds that were seen to succeed.
    images: BTreeMap<String, String>,
    answered: usize,
}

impl Story {
    fn begin(seed: u64) -> Story {
        let mut site = Site::start("[sandbox]\nreserve_mib = 1\n");
        site.server = None;
        let disk = Disk::over(&site.path("data"), site.path("disk"), 1000);
        site.serve();
        site.push_base();
        Story { disk, site, dice: Dice(seed), images: BTreeMap::new(), answered: 0 }
    }

    /// Delivers pushes until the power is gone; returns the builds of those that were answered.
    fn lose_power(&mut self, round: u64) -> Vec<String> {
        let commits: Vec<String> = (0..3).map(|number| self.commit(&format!("{round}-{number}"), round)).collect();
        let (moment, pause) = (self.dice.below(LONGEST), self.dice.below(500));
        println!("round {round}: the power goes after {moment} ms, a push comes every {pause} ms");
        let began = Instant::now();
        let mut connection = Connection::open(&self.site.url);
        std::thread::scope(|scope| {
            let delivering = scope.spawn(move || {
                let mut builds = Vec::new();
                for commit in commits {
                    let body = push("refs/heads/main", &commit, "A commit");
                    let sent = connection.send(&delivery("push", &commit, body.as_bytes(), SECRET));
                    let Some(reply) = sent.ok().and_then(|()| connection.reply()) else { break };
                    if reply.status == 202 {
                        let json: Value = serde_json::from_str(&reply.body).unwrap();
                        builds.push(json["builds"][0]["id"].as_str().unwrap().to_owned());
                    } else {
                        assert_eq!(reply.status, 503, "{}", reply.body);
                    }
                    std::thread::sleep(Duration::from_millis(pause));
                }
                builds
            });
            std::thread::sleep(Duration::from_millis(moment).saturating_sub(began.elapsed()));
            self.disk.cut();
            kill(self.site.server.take().unwrap());
            delivering.join().unwrap()
        })
    }

    /// Commits files whose sums the build checks.
    fn commit(&self, one: &str, round: u64) -> String {
        let sum = hex::encode(Sha256::digest(one));
        let (sums, round) = (format!("{sum}  /files/one\n"), format!("round {round}"));
        let files = [("Dockerfile", DOCKERFILE), ("files/one", one), ("files/sums", &sums), ("made/round", &round)];
        self.site.commit(&files)
    }

    /// Starts the server on what the disk holds, as after a start of the machine.
    fn go_on(&mut self) {
        self.disk.unmount();
        self.disk.mount();
        std::fs::write(self.site.path("data/boot"), "the machine's last start").unwrap();
        self.site.serve();
        // Everything promised is served at once, before any repair.
        for (tag, digest) in &self.images {
            assert_eq!(self.served(tag).as_ref(), Some(digest), "{tag}");
        }
    }

    /// Returns the digest of the manifest that the registry serves for a tag.
    fn served(&self, tag: &str) -> Option<String> {
        let answer = curl(&["-I", &format!("http://{}/v2/team/app/manifests/{tag}", self.site.registry)]);
        let digest = answer
            .text
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("docker-content-digest: ").map(str::to_owned));
        digest.map(|digest| digest.trim().to_owned()).filter(|_| answer.status == 200)
    }

    /// Checks that all builds end, and well.
    fn check(&mut self, builds: &[String]) {
        for id in builds {
            let build = self.site.finished(id);
            let state = build["state"].as_str().unwrap();
            assert!(matches!(state, "succeeded" | "superseded"), "{build:#}\n{}", self.site.log(id));
            let tags = build["image"]["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for tag in tags.filter_map(|tag| tag.rsplit(':').next()).filter(|tag| *tag != "latest") {
                self.images.insert(tag.to_owned(), build["image"]["digest"].as_str().unwrap().to_owned());
            }
        }
        self.answered += builds.len();
        wait_for("the removal of what builds left", || self.leftovers(builds).is_empty().then_some(()));
        let store = image_store::Store::open(&self.site.path("data/images")).unwrap();
        let report = store.verify().unwrap();
        assert!(report.damaged.is_empty() && report.missing.is_empty(), "{report:?}");
        for tag in store.tags("team/app").unwrap() {
            assert!(self.served(&tag).is_some(), "{tag} is not served");
        }
    }

    fn leftovers(&self, builds: &[String]) -> Vec<String> {
        let ours = |text: &str| builds.iter().any(|id| text.contains(id.as_str()));
        let mut left = processes(&|command| command.starts_with("slipway-sandbox") && ours(command));
        left.extend(control_groups().into_iter().filter(|group| ours(group)));
        let attempts = std::fs::read_dir(self.site.path("data/sandbox/state/w")).into_iter().flatten().flatten();
        left.extend(attempts.filter(|entry| entry.path().is_dir()).map(|entry| entry.path().display().to_string()));
        left
    }

    /// Pulls an image as others do, which checks every byte of it.
    fn pull(&self, tag: &str) {
        let target = tempfile::tempdir().unwrap();
        let from = format!("docker://{}/team/app:{tag}", self.site.registry);
        run(Command::new("skopeo")
            .args(["copy", "-q", "--src-tls-verify=false", &from])
            .arg(format!("dir:{}", target.path().display())));
    }
}

#[test]
fn a_power_loss_at_any_moment_takes_nothing_that_was_promised() {
    // ST-04, RL4, I1, I2, I3
    let (rounds, seed) = (number("SLIPWAY_POWER_LOSSES", 4), number("SLIPWAY_SEED", 1));
    let mut story = Story::begin(seed);
    for round in 0..rounds {
        let builds = story.lose_power(round);
        story.go_on();
        story.check(&builds);
    }
    let store = image_store::Store::open(&story.site.path("data/images")).unwrap();
    store.tags("team/app").unwrap().iter().for_each(|tag| story.pull(tag));
    println!("{rounds} power losses, {} deliveries answered, {} images", story.answered, story.images.len());
    assert!(story.answered > 0, "nothing was answered before the power went");
    story.site.server = None;
    story.disk.unmount();
}

#[test]
fn a_server_whose_disk_is_gone_says_that_it_is_not_ready_and_accepts_nothing() {
    // ST-19, RL9
    let mut story = Story::begin(1);
    let ready = |site: &Site| curl(&[&format!("{}/readyz", site.url)]).status;
    assert_eq!(ready(&story.site), 200);
    let commit = story.commit("x", 0);
    story.disk.cut();
    wait_for("the server to notice", || (ready(&story.site) == 503).then_some(()));
    assert_eq!(curl(&[&format!("{}/healthz", story.site.url)]).status, 200);
    let body = push("refs/heads/main", &commit, "A commit");
    let answer = story.site.deliver("push", "refused", &body, SECRET);
    assert_eq!(answer.status, 503, "{}", answer.text);
    kill(story.site.server.take().unwrap());
    story.go_on();
    assert_eq!(ready(&story.site), 200);
    let build = story.site.push(&commit);
    story.check(&[build]);
    story.site.server = None;
    story.disk.unmount();
}
