//! A disk that steps try to fill, in every way that there is: they end, and what must stay free stays free all the time.

use crate::Test;
use crate::place::{Place, directory, entries, entry, place_in, snapshot, tar};
use files::tar::EntryKind;
use runtime::{DiskFull, Exit, Limits, MountKind, Settings, Sharing, SnapshotId, Step};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("whatever_fills_the_disk_ends_at_the_limit", limit),
    ("what_must_stay_free_stays_free", reserve),
    ("two_steps_together_leave_what_must_stay_free", together),
    ("what_fills_nothing_works", work),
    ("setting_blocks_aside_costs_little", cost),
];

const MIB: u64 = 1024 * 1024;
const RESERVE: u64 = 300 * MIB;
/// Bytes that get through where this machine is too busy to poll in time.
const OVERSHOOT: u64 = 64 * MIB;
const LIMIT: u64 = 200 * MIB;

/// A file system in a file, without blocks that are root's.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Makes one and mounts it over `place`.
    pub(crate) fn over(place: &Path, file: &Path) -> Disk {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        std::fs::File::create(file).unwrap().set_len(1300 * MIB).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(file));
        run(Command::new("mount").args(["-o", "loop"]).arg(file).arg(place));
        Disk(place.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Names the disk of an ordinary account, which cannot make one.
pub(crate) const DISK: &str = "SLIPWAY_TEST_DISK";

/// A place on a disk of its own.
struct Ground {
    place: Place,
    _disk: Option<(Disk, tempfile::TempDir)>,
}

impl Ground {
    fn with(change: impl FnOnce(&mut Limits)) -> Ground {
        let own = tempfile::tempdir().unwrap();
        let disk = nix::unistd::geteuid().is_root().then(|| {
            std::fs::create_dir(own.path().join("disk")).unwrap();
            (Disk::over(&own.path().join("disk"), &own.path().join("file")), own)
        });
        let directory = match &disk {
            Some((disk, _)) => tempfile::tempdir_in(&disk.0).unwrap(),
            None => tempfile::tempdir_in(std::env::var_os(DISK).expect("an account's disk")).unwrap(),
        };
        let mut settings = Settings::new(directory.path()).unwrap();
        settings.limits.reserve_bytes = RESERVE;
        change(&mut settings.limits);
        Ground { place: place_in(directory, settings), _disk: disk }
    }

    fn available(&self) -> u64 {
        let known = nix::sys::statvfs::statvfs(&self.place.settings.state).unwrap();
        known.blocks_available() * known.fragment_size()
    }

    fn filler(&self) -> SnapshotId {
        static FILLER: OnceLock<Vec<u8>> = OnceLock::new();
        let filler = FILLER.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let (source, program) = (directory.path().join("filler.c"), directory.path().join("filler"));
            std::fs::write(&source, include_str!("filler.c")).unwrap();
            let mut compiler = Command::new("gcc");
            let output = compiler.args(["-O1", "-static", "-pthread", "-o"]).arg(&program).arg(&source).output();
            let output = output.expect("gcc is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::read(program).unwrap()
        });
        let id = snapshot(77);
        if !self.place.sandbox().has_snapshot(&id) {
            let program = entry("bin/filler", EntryKind::File { size: filler.len() as u64 }, 0o755);
            let layer =
                tar(&[(directory("bin"), b""), (program, filler), (entry("w", EntryKind::Directory, 0o1777), b"")]);
            assert!(self.place.sandbox().unpack(&id, &mut layer.as_slice()).unwrap().is_empty());
        }
        id
    }

    fn step(&self, script: &str, mounts: Vec<(&str, MountKind)>) -> Step {
        let layers = vec![self.place.base.clone(), self.filler()];
        Step { layers, timeout: Some(Duration::from_secs(60)), ..self.place.mounting(script, mounts) }
    }

    /// Runs a step and returns how it ended, what it said, and the least that was available meanwhile.
    fn least(&self, step: &Step) -> (Exit, String, u64) {
        let (ended, least) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let (exit, output) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    least.fetch_min(self.available(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
            let ran = self.place.try_run(step);
            ended.store(true, Ordering::Relaxed);
            let (exit, output, _) = ran.unwrap();
            (exit, output)
        });
        (exit, output, least.into_inner())
    }
}

fn cache() -> MountKind {
    let (id, sharing) = ("c".repeat(32), Sharing::Shared);
    MountKind::Cache { id, sharing, mode: 0o777, uid: 0, gid: 0, writable: true, seed: None }
}

/// Ways to fill a disk, each with what it mounts.
fn ways(ground: &Ground) -> Vec<Step> {
    let base = ground.place.base.clone();
    let bind = MountKind::Bind { layers: vec![base], source: b"dir".to_vec(), writable: true };
    let plain = [
        "filler alloc",
        "filler zero",
        "filler kept",
        "filler write",
        "filler map",
        "filler linked-alloc",
        "filler nameless-alloc",
        "filler nameless-write",
        "filler nameless-map",
        "filler threads-alloc",
        "filler processes-alloc",
        "filler processes-write",
        "filler daemon-alloc",
        "while :; do i=$((i+1)); fallocate -l 50000000 /w/$i; done",
        "chmod 777 /w; su app -s /bin/sh -c 'filler alloc /w'",
        "mkdir -p /w/a/b/c; filler alloc /w/a/b/c",
        "filler alloc & sleep 60",
    ];
    let mut ways: Vec<Step> = plain.iter().map(|script| ground.step(script, Vec::new())).collect();
    for script in ["filler alloc /cache", "filler write /cache", "filler nameless-alloc /cache"] {
        ways.push(ground.step(script, vec![("/cache", cache())]));
    }
    ways.push(ground.step("filler alloc /bound", vec![("/bound", bind)]));
    ways
}

fn limit() {
    // SEC-B2b
    let ground = Ground::with(|limits| limits.disk_bytes = LIMIT);
    let ended = |step: &Step| {
        let began = Instant::now();
        let (exit, output, least) = ground.least(step);
        let said = format!("{}: {output} {least} after {:?}", step.argv[2], began.elapsed());
        println!("{said}");
        assert_eq!(exit, Exit::DiskFull(DiskFull::Bytes(LIMIT)), "{said}");
        assert!(least >= RESERVE - OVERSHOOT && began.elapsed() < Duration::from_secs(10), "{said}");
    };
    let mut ways = ways(&ground);
    // A step that has ended has still left what it left.
    ways.push(ground.step("filler once; exit 0", Vec::new()));
    ways.push(ground.step("filler once /cache; exit 3", vec![("/cache", cache())]));
    for step in ways {
        ended(&step);
        ground.place.succeeds(&ground.step("rm -rf /cache/*", vec![("/cache", cache())]));
    }
    assert_eq!(ground.place.sh("echo fine"), "fine\n");
}

fn reserve() {
    // SEC-B2b: the limit of the step is far away.
    let ground = Ground::with(|limits| limits.disk_bytes = 50 << 30);
    let mut ways = ways(&ground);
    ways.push(ground.step("filler one", Vec::new()));
    for step in ways {
        let (exit, output, least) = ground.least(&step);
        println!("{}: {exit:?} {output} {least}", step.argv[2]);
        assert_eq!(exit, Exit::DiskFull(DiskFull::Reserve(RESERVE)), "{}: {output}", step.argv[2]);
        assert!(least >= RESERVE - OVERSHOOT, "{}: {} MiB were left", step.argv[2], least / MIB);
        ground.place.succeeds(&ground.step("rm -rf /cache/*", vec![("/cache", cache())]));
        let deadline = Instant::now() + Duration::from_secs(10);
        while ground.available() < 1000 * MIB {
            assert!(Instant::now() < deadline, "only {} MiB came back", ground.available() / MIB);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn together() {
    // SEC-B2b
    let ground = Ground::with(|limits| limits.disk_bytes = 50 << 30);
    let step = ground.step("filler alloc", Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (exit, output, least) = ground.least(&step);
                assert!(matches!(exit, Exit::DiskFull(DiskFull::Reserve(_))), "{exit:?} {output}");
                assert!(least >= RESERVE - OVERSHOOT, "{} MiB were left", least / MIB);
            });
        }
    });
}

fn work() {
    // SEC-B2b: nothing that ends well elsewhere ends otherwise here.
    let ground = Ground::with(|limits| limits.disk_bytes = LIMIT);
    assert_eq!(ground.place.succeeds(&ground.step("filler work", Vec::new())), "done\n");
    let sparse = "truncate -s 150M /f; truncate -s 150M /g; dd if=/dev/zero of=/h bs=1M count=150 2>/dev/null; rm /f /g /h; dd if=/dev/zero of=/i bs=1M count=150 2>/dev/null; echo ok";
    assert_eq!(ground.place.sh(sparse), "ok\n");
    // Memory is none of the disk's business.
    let step = ground.step("fallocate -l 300M /t/f && stat -c %s /t/f", vec![("/t", MountKind::Tmpfs { size: None })]);
    let unlimited = Ground::with(|limits| limits.disk_bytes = 1 << 30);
    assert_eq!(unlimited.place.succeeds(&Step { layers: vec![unlimited.place.base.clone()], ..step }), "314572800\n");
    let (exit, output, changes) = ground.place.run(&ground.place.step("fallocate -l 1000000 /f; echo x > /g"));
    assert_eq!(exit, Exit::Code(0), "{output}");
    let sizes: Vec<_> = entries(&changes).iter().map(|entry| entry.size()).collect();
    assert_eq!(sizes, [1_000_000, 2]);
    // Space that was used before the step does not count.
    let filled = ground.step("dd if=/dev/zero of=/cache/f bs=1M count=150 2>/dev/null", vec![("/cache", cache())]);
    ground.place.succeeds(&filled);
    std::thread::sleep(Duration::from_millis(1100));
    let again = "dd if=/dev/zero of=/f bs=1M count=150 2>/dev/null; echo x > /cache/g; echo ok";
    assert_eq!(ground.place.succeeds(&ground.step(again, vec![("/cache", cache())])), "ok\n");
}

fn cost() {
    // SEC-B2b: 2,000 calls of 4 KiB.
    let ground = Ground::with(|_| {});
    let step = ground.step("time sh -c 'for i in $(seq 200); do fallocate -l 4096 /w/$i; done'", Vec::new());
    let began = Instant::now();
    println!("{}", ground.place.succeeds(&step));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
