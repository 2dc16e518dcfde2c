//! Kill -9 at many moments: the build runs again and ends well, nothing stays, and the store is whole.

use crate::support::worker_pool::{Yard, processes};
use crate::support::{Process, push_base, run, wait_for};
use database::{BuildId, BuildState};
use std::process::Command;
use std::time::Duration;

/// A build with all that a worker does: a fetch of some size, a step that waits, one that packs much, a copy, a push.
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN echo first; sleep 0.3; echo 1 > /first\n\
    RUN dd if=/dev/urandom of=/large bs=1M count=24 2>/dev/null; echo packed\nCOPY files /files\nRUN cat /files/* | wc -c > /last\n";

/// Kills a process, and nothing else: whatever it started has to notice.
fn kill(process: &mut Process) {
    process.0.kill().unwrap();
    process.0.wait().unwrap();
}

fn kill_id(id: u32) {
    let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
}

/// Returns a yard with a base image whose repository has a few files.
fn yard() -> Yard {
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let large: String =
        (0..200_000u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    yard.commit(&[("Dockerfile", DOCKERFILE), ("files/a", &large), ("files/b", "b")]);
    yard
}

/// Queues a build whose steps nobody has cached.
fn queue(yard: &Yard, number: u32) -> BuildId {
    let mut request = yard.request(&yard.commit(&[("files/b", &number.to_string())]));
    request.spec.build_args.insert("NUMBER".to_owned(), number.to_string());
    request.spec.use_cache = false;
    yard.queue(&request)
}

/// Checks that the build ended well and that all that is left is what belongs there.
fn whole(yard: &Yard, id: &BuildId, attempts: i64) {
    let build = yard.succeeded(id);
    assert_eq!(build.attempt, attempts, "{}", yard.log(id));
    yard.nothing_left();
    let store = image_store::Store::open(&yard.path("data/images")).unwrap();
    let report = store.verify().unwrap();
    assert!(report.damaged.is_empty() && report.missing.is_empty(), "{report:?}");
    let digest = build.image.unwrap().digest;
    let shown = run(Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
        .arg(format!("docker://{}/team/app:latest", yard.registry)));
    assert_eq!(shown.trim(), digest, "the tag shows the image of the build");
}

#[test]
fn a_build_survives_a_worker_that_is_killed_at_any_moment() {
    // RL2, ST-02, GIT-14
    let yard = yard();
    let mut worker = yard.worker(&[]);
    for number in 0..14 {
        let id = queue(&yard, number);
        wait_for("the claim", || (yard.build(&id).state != BuildState::Queued).then_some(()));
        // From the fetch to the end of the push: a build takes about a second.
        std::thread::sleep(Duration::from_millis(u64::from(number) * 90));
        let ended = yard.build(&id).state.has_ended();
        kill(&mut worker);
        let ended_before = ended && yard.build(&id).state == BuildState::Succeeded;
        worker = yard.worker(&[]);
        let build = yard.succeeded(&id);
        let attempts = build.attempt;
        assert!(attempts == 2 || ended_before || attempts == 1, "attempt {attempts}");
        whole(&yard, &id, attempts);
    }
}

#[test]
fn a_build_survives_its_worker_in_each_phase() {
    // RL2, ST-02
    let yard = yard();
    let mut worker = yard.worker(&[]);
    type Reached<'y> = &'y dyn Fn(&BuildId) -> bool;
    let moments: [(&str, Reached<'_>); 5] = [
        ("preparing", &|id| yard.build(id).state == BuildState::Preparing),
        ("the first step", &|id| yard.log(id).contains("\nfirst\n")),
        ("packing", &|id| yard.log(id).contains("\npacked\n")),
        ("the last step", &|id| yard.log(id).contains("RUN cat /files")),
        ("pushing", &|id| yard.build(id).state == BuildState::Pushing),
    ];
    for (number, (moment, reached)) in moments.iter().enumerate() {
        let id = queue(&yard, 100 + number as u32);
        wait_for(moment, || (reached(&id) || yard.build(&id).state.has_ended()).then_some(()));
        kill(&mut worker);
        let before = yard.build(&id);
        worker = yard.worker(&[]);
        whole(&yard, &id, if before.state.has_ended() { 1 } else { 2 });
    }
}

#[test]
fn a_build_survives_the_processes_of_its_sandbox() {
    // RL3
    let yard = yard();
    let _worker = yard.worker(&[]);
    for number in 0..3 {
        let id = queue(&yard, 200 + number);
        wait_for("the first step", || yard.log(&id).contains("\nfirst\n").then_some(()));
        let ours = |command: &str| command.starts_with("slipway-sandbox") && command.contains(id.as_str());
        let numbers = processes(&ours).into_iter().filter_map(|process| process.split(' ').next()?.parse::<u32>().ok());
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        // The one that waits for the others, the first of their namespace, and the one that runs the step.
        kill_id(match number {
            0 => numbers[0],
            1 => numbers[1],
            _ => numbers[numbers.len() - 1],
        });
        let attempts = yard.succeeded(&id).attempt;
        assert!(attempts == 2 || number == 0, "{}", yard.log(&id));
        whole(&yard, &id, attempts);
    }
}

#[test]
fn a_build_that_kills_its_worker_is_given_up_after_three_attempts() {
    // RL21
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let id = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 60\n")]);
    for attempt in 1..=3 {
        let mut worker = yard.worker(&[]);
        wait_for("the attempt", || (yard.build(&id).attempt == attempt).then_some(()));
        kill(&mut worker);
    }
    let _worker = yard.worker(&[]);
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("errored", "crashed_worker"), "{message}");
    let other = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo fine\n")]);
    yard.succeeded(&other);
    yard.nothing_left();
}
