//! Limits of a step, and that no other build pays for it.

use crate::Test;
use crate::confinement::probe;
use crate::place::{Place, place, place_with};
use runtime::{DiskFull, Exit, Limits, MountKind, Step};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("the_self_test_tells_what_is_there", self_test),
    ("a_fork_bomb_stops_at_the_limit", fork_bomb),
    ("memory_ends_in_the_step_and_is_named", memory),
    ("a_file_larger_than_the_limit_is_not_written", large_file),
    ("a_full_disk_ends_the_step_not_the_machine", disk),
    ("any_number_of_files_ends_the_step", files),
    ("the_reserve_of_the_disk_stays_free", reserve),
    ("what_was_deleted_comes_back", deleted),
    ("processor_time_is_limited", processor),
    ("what_is_burnt_until_the_time_is_over_is_counted", counted),
    ("any_amount_of_output_passes", flood),
];

const MIB: u64 = 1024 * 1024;

fn limited(change: impl FnOnce(&mut Limits)) -> Place {
    place_with(|settings| change(&mut settings.limits))
}

/// Makes sure that this machine lets the sandbox limit `what`.
fn needs(place: &Place, what: &str) {
    let table = runtime::self_test(&place.settings).unwrap();
    let known = table.iter().find(|protection| protection.name == what).unwrap();
    assert_eq!(known.missing, None, "this test needs {what}");
}

fn self_test() {
    let place = limited(|limits| limits.cpus = Some(1.0));
    let began = Instant::now();
    let table = runtime::self_test(&place.settings).unwrap();
    println!("the self-test took {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let names: Vec<_> = table.iter().map(|known| known.name.as_str()).collect();
    let all = ["namespaces", "seccomp", "overlay", "proc", "cgroup.memory", "cgroup.pids", "cgroup.cpu", "network"];
    assert_eq!(names, all);
    assert!(table.iter().filter(|known| known.name != "network").all(|known| known.missing.is_none()), "{table:?}");
    assert_eq!(std::fs::read_dir(place.settings.state.join("e2")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(place.settings.state.join("w")).unwrap().count(), 2, "the place's own");
}

fn fork_bomb() {
    // RT-15
    let place = limited(|limits| limits.pids = Some(64));
    needs(&place, "cgroup.pids");
    let began = Instant::now();
    let mut step = place.step("b() { b | b & }; b; sleep 1; for i in $(seq 100); do sleep 5 & done; wait");
    step.timeout = Some(Duration::from_secs(3));
    let (exit, output, _) = place.run(&step);
    assert_ne!(exit, Exit::Code(0), "{output}");
    assert!(output.contains("can't fork"), "{output}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(place.sh("echo fine"), "fine\n", "the sandbox goes on");
}

fn memory() {
    // RT-16, DF-14
    let place = limited(|limits| limits.memory_bytes = Some(64 * MIB));
    needs(&place, "cgroup.memory");
    let with_probe =
        |script: &str| Step { layers: vec![place.base.clone(), probe().unpacked(&place)], ..place.step(script) };
    for script in ["exec probe hog 640000000", "probe hog 640000000", "probe hog 640000000 || exit 2"] {
        let (exit, output, _) = place.run(&with_probe(script));
        assert_eq!(exit, Exit::OutOfMemory(64 * MIB), "{script}: {output}");
    }
    let (exit, output, _) = place.run(&with_probe("probe hog 20000000"));
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "had it all\n"));
    // /dev/shm has a size of its own; a tmpfs without one counts as memory; the page cache gives way.
    let (exit, output, _) = place
        .run(&place.mounting("dd if=/dev/zero of=/t/f bs=1M count=200", vec![("/t", MountKind::Tmpfs { size: None })]));
    assert!(matches!(exit, Exit::OutOfMemory(_)), "{exit:?} {output}");
    let output = place.sh("dd if=/dev/zero of=/f bs=1M count=200 2>/dev/null; stat -c %s /f");
    assert_eq!(output, "209715200\n");
    assert_eq!(place.sh("df -m /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2"), "64\n");
}

fn large_file() {
    // RT-17
    let place = limited(|limits| limits.disk_bytes = 8 * MIB);
    let (exit, output, changes) = place.run(&place.step("dd if=/dev/zero of=/f bs=1M count=100; ls -l /f"));
    assert!(matches!(exit, Exit::Code(0) | Exit::Signal(_)), "{exit:?} {output}");
    let size = crate::place::entries(&changes)[0].size();
    assert_eq!(size, 8 * MIB, "{output}");
}

fn disk() {
    // RT-17
    let place = limited(|limits| limits.disk_bytes = 32 * MIB);
    let script = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > /f$i || exit 4; done";
    let began = Instant::now();
    let (exit, output, changes) = place.run(&place.step(script));
    assert_eq!(exit, Exit::DiskFull(DiskFull::Bytes(32 * MIB)), "{output}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(changes);
    assert_eq!(place.sh("echo fine"), "fine\n");
}

fn files() {
    // RT-18: also in directories beside and below each other.
    let place = limited(|limits| limits.disk_files = 20_000);
    let script = "i=0; while :; do i=$((i+1)); mkdir /d$i; cd /d$i; touch $(seq 500); done";
    let (exit, output, changes) = place.run(&place.step(script));
    if exit != Exit::DiskFull(DiskFull::Files(20_000)) {
        // File systems that do not number files in advance do not tell how many there are.
        assert_eq!(rustix_files(&place), 0, "{exit:?} {output}");
    }
    let began = Instant::now();
    drop(changes);
    drop(place);
    assert!(began.elapsed() < Duration::from_secs(20), "cleaning up: {:?}", began.elapsed());
}

fn rustix_files(place: &Place) -> u64 {
    nix::sys::statvfs::statvfs(&place.settings.state).unwrap().files()
}

fn reserve() {
    let probe = place();
    let known = nix::sys::statvfs::statvfs(&probe.settings.state).unwrap();
    let free = known.blocks_available() * known.fragment_size();
    let place = limited(|limits| limits.reserve_bytes = free.saturating_sub(100 * MIB));
    let step = place.step("i=0; while :; do i=$((i+1)); head -c 5000000 /dev/zero > /f$i || exit 4; done");
    let (exit, output, _) = place.run(&step);
    assert!(matches!(exit, Exit::DiskFull(DiskFull::Reserve(_))), "{exit:?} {output}");
}

fn deleted() {
    // RT-25
    let place = place();
    let free = || {
        let known = nix::sys::statvfs::statvfs(&place.settings.state).unwrap();
        known.blocks_free() * known.fragment_size()
    };
    let before = free();
    let (exit, _, changes) = place.run(
        &place.step("dd if=/dev/zero of=/f bs=1M count=300 2>/dev/null; exec 3</f; rm /f; sleep 100 <&3 & exit 0"),
    );
    assert_eq!(exit, Exit::Code(0));
    drop(changes);
    let deadline = Instant::now() + Duration::from_secs(20);
    while free() + 200 * MIB < before {
        assert!(Instant::now() < deadline, "{} are missing", before - free());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn processor() {
    // RT-22
    let place = limited(|limits| limits.cpus = Some(0.25));
    needs(&place, "cgroup.cpu");
    let used = place.sh("for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; sleep 2; kill $(jobs -p); for p in $(jobs -p); do wait $p; done 2>/dev/null; times | tail -n 1");
    let minutes_seconds = used.split_whitespace().next().unwrap().trim_end_matches('s').split_once('m').unwrap();
    let seconds: f64 = minutes_seconds.0.parse::<f64>().unwrap() * 60.0 + minutes_seconds.1.parse::<f64>().unwrap();
    assert!(seconds < 1.5, "{used}");
}

fn counted() {
    // RT-30
    let place = place();
    let mut step = place.step("(while :; do :; done) & (while :; do :; done) & while :; do :; done");
    step.timeout = Some(Duration::from_secs(1));
    let used = || place.sandbox().cpu_time().expect("this test needs a control group that counts processor time");
    let before = used();
    assert_eq!(place.run(&step).0, Exit::TimedOut);
    let burnt = used() - before;
    assert!(burnt > Duration::from_millis(200), "{burnt:?}");
    std::thread::sleep(Duration::from_millis(300));
    let after = used() - before - burnt;
    assert!(after < Duration::from_millis(100), "something goes on: {after:?}");
}

fn flood() {
    // RT-20: what is printed passes through in pieces, whatever it is.
    let place = place();
    let mut step = place.step("head -c 300000000 /dev/zero; head -c 1000000 /dev/urandom");
    step.timeout = Some(Duration::from_secs(60));
    let (mut passed, mut largest) = (0, 0);
    let ran = place.sandbox().run(
        &step,
        &mut |bytes| {
            passed += bytes.len();
            largest = largest.max(bytes.len());
        },
        &runtime::CancellationToken::new(),
    );
    assert_eq!((ran.unwrap().exit, passed), (Exit::Code(0), 301_000_000));
    assert!(largest <= 256 * 1024);
}
