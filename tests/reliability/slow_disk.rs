//! A disk that takes a megabyte a second: nothing is given up that only takes long.

use crate::support::test_disk::Disk;
use crate::support::{Site, curl};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes that the disk takes each second.
const SPEED: u32 = 1_000_000;
/// A layer of two seconds, and as much for its files.
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/urandom of=/random bs=1k count=2000 2>/dev/null\n";
/// How long a delivery may take to be answered: GitHub hangs up then.
const ANSWER: Duration = Duration::from_secs(10);

/// Slows the writes to a device down, until it is dropped.
struct Throttle(&'static str, String);

impl Throttle {
    /// Needs a control group that limits blocks, of version 1 at its root or of version 2, and says so without.
    fn on(device: &str) -> Throttle {
        let number = std::fs::metadata(device).unwrap().rdev();
        let number = format!("{}:{}", number >> 8 & 0xfff, number & 0xff);
        let file = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device";
        assert!(Path::new(file).exists(), "`{file}` is not there: this machine cannot slow a disk down");
        std::fs::write(file, format!("{number} {SPEED}")).unwrap();
        Throttle(file, number)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0, format!("{} 0", self.1));
    }
}

#[test]
fn a_slow_disk_delays_builds_and_fails_none() {
    // ST-19
    let mut site = Site::start("[sandbox]\nreserve_mib = 1\n");
    site.server = None;
    let disk = Disk::over(&site.path("data"), site.path("disk"), 300);
    site.serve();
    site.push_base();
    let throttle = Throttle::on(&disk.device().unwrap());
    let mut builds = Vec::new();
    let began = Instant::now();
    for number in 0..3 {
        let commit = site.commit(&[("Dockerfile", DOCKERFILE), ("number", &number.to_string())]);
        let asked = Instant::now();
        builds.push(site.push(&commit));
        assert!(asked.elapsed() < ANSWER, "{:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(1500));
        let ready = curl(&[&format!("{}/readyz", site.url)]);
        assert_eq!(ready.status, 200, "{}", ready.text);
    }
    for id in &builds {
        let build = site.finished(id);
        let state = build["state"].as_str().unwrap();
        assert!(matches!(state, "succeeded" | "superseded"), "{build:#}\n{}", site.log(id));
        assert_eq!(build["attempt"], 1, "{build:#}\n{}", site.log(id));
    }
    println!("{} builds after {:?}", builds.len(), began.elapsed());
    drop(throttle);
    site.server = None;
    disk.unmount();
}
