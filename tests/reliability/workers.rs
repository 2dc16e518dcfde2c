//! Workers: they cancel builds, time out, drain, run side by side, lose leases.

use crate::support::worker_pool::{Yard, processes};
use crate::support::{Process, run, wait_for};
use database::{BuildId, BuildState, Outcome};
use std::process::Command;
use std::time::{Duration, Instant};

/// A step that nothing but the end of its container ends.
const STUBBORN: &str = "ARG BASE\nFROM ${BASE}\nRUN trap '' TERM INT; echo waiting; while true; do sleep 1; done\n";

/// Returns the processes of a step of `id`: those of its sandbox, besides the helper itself.
fn sandbox_of(id: &BuildId) -> Vec<String> {
    processes(&|command| command.starts_with("slipway-sandbox") && command.contains(id.as_str()))
}

fn signal(worker: &Process, name: &str) {
    run(Command::new("kill").args([name, &worker.0.id().to_string()]));
}

fn wait_for_end(worker: &mut Process) -> bool {
    wait_for("the end of a worker", || worker.0.try_wait().unwrap()).success()
}

#[test]
fn cancelling_ends_the_container_within_two_seconds() {
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", STUBBORN)]);
    yard.wait_for_log(&id, "\nwaiting\n");
    assert!(!sandbox_of(&id).is_empty());
    let asked = Instant::now();
    yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
    wait_for("the end of the container", || sandbox_of(&id).is_empty().then_some(()));
    let took = asked.elapsed();
    let build = yard.finished(&id);
    assert_eq!((build.state, build.reason.unwrap().code.as_str()), (BuildState::Cancelled, "cancelled"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    yard.nothing_left();
}

#[test]
fn timeouts_of_steps_and_builds_name_their_limit() {
    // DF-15, RT-21
    let (yard, _worker) = Yard::with_worker("");
    let commit = yard.commit(&[("Dockerfile", STUBBORN)]);
    let mut request = yard.request(&commit);
    request.spec.options.step_timeout_ms = Some(1_000);
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("timed_out", "step_timeout"), "{message}");
    assert!(message.contains("took longer than 1 s") && message.contains("waiting"), "{message}");
    request.spec.options.step_timeout_ms = None;
    request.spec.options.timeout_ms = Some(2_000);
    let (state, code, message) = yard.failed(&yard.queue(&request));
    // US-23: which limit, and what was running.
    assert_eq!((state.as_str(), code.as_str()), ("timed_out", "build_timeout"));
    assert!(message.starts_with("the build took longer than 2 s: the rule's `timeout` or"), "{message}");
    assert!(message.contains("; step ") && message.ends_with(" was running"), "{message}");
    yard.nothing_left();
}

#[test]
fn a_worker_that_is_asked_to_end_finishes_its_build_and_claims_nothing_more() {
    // RL17
    let (yard, mut worker) = Yard::with_worker("");
    let first = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 2; echo x > /x\n")]);
    yard.wait_for_log(&first, "\nwaiting\n");
    let second = yard.queue(&yard.request(&yard.commit(&[("f", "")])));
    let known = || yard.tokio.block_on(yard.database.workers()).unwrap().len();
    assert_eq!(known(), 1);
    signal(&worker, "-TERM");
    assert!(wait_for_end(&mut worker));
    assert_eq!(known(), 0, "who has ended is not counted any more");
    assert_eq!(yard.build(&first).state, BuildState::Succeeded);
    assert_eq!(yard.build(&second).state, BuildState::Queued);
}

#[test]
fn what_cannot_end_in_time_goes_back_to_the_queue_and_does_not_count() {
    // RL17
    let (yard, mut worker) = Yard::with_worker("[limits]\ndrain_seconds = 1\n");
    let id = yard.push(&[("Dockerfile", STUBBORN)]);
    for attempt in 1..=4 {
        yard.wait_for_log(&id, "\nwaiting\n");
        wait_for("the attempt", || (yard.build(&id).attempt == attempt && !sandbox_of(&id).is_empty()).then_some(()));
        signal(&worker, "-TERM");
        assert!(wait_for_end(&mut worker));
        assert_eq!(yard.build(&id).state, BuildState::Queued, "after attempt {attempt}");
        yard.nothing_left();
        worker = yard.worker(&[]);
    }
}

#[test]
fn asking_twice_ends_a_worker_at_once() {
    let (yard, mut worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", STUBBORN)]);
    yard.wait_for_log(&id, "\nwaiting\n");
    signal(&worker, "-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(worker.0.try_wait().unwrap().is_none(), "the build has its time");
    signal(&worker, "-TERM");
    assert!(wait_for_end(&mut worker));
    assert_eq!(yard.build(&id).state, BuildState::Queued);
    yard.nothing_left();
}

#[test]
fn a_worker_runs_several_builds_at_once() {
    let yard = Yard::start("");
    crate::support::push_base(&yard.path("data"), &yard.registry);
    let ids: Vec<_> = (0..3)
        .map(|number| {
            let mut request = yard.request(&yard.commit(&[("Dockerfile", STUBBORN), ("n", &number.to_string())]));
            request.spec.tags = vec![format!("{}/team/app:n{number}", yard.registry)];
            yard.queue(&request)
        })
        .collect();
    let _worker = yard.worker(&["--builds", "2"]);
    yard.wait_for_log(&ids[0], "\nwaiting\n");
    yard.wait_for_log(&ids[1], "\nwaiting\n");
    assert_eq!(yard.build(&ids[2]).state, BuildState::Queued);
    yard.tokio.block_on(yard.database.cancel(&ids[0])).unwrap();
    yard.wait_for_log(&ids[2], "\nwaiting\n");
    for id in &ids[1..] {
        yard.tokio.block_on(yard.database.cancel(id)).unwrap();
        yard.finished(id);
    }
    yard.nothing_left();
}

#[test]
fn a_worker_that_lost_its_lease_ends_the_container_and_writes_nothing() {
    // MW-03, RL13
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", STUBBORN)]);
    yard.wait_for_log(&id, "\nwaiting\n");
    yard.tokio.block_on(yard.database.pause_queue()).unwrap();
    let holder = yard.tokio.block_on(yard.database.lease_holders()).unwrap().remove(0);
    assert_eq!(yard.tokio.block_on(yard.database.release(&holder)).unwrap(), std::slice::from_ref(&id));
    wait_for("the end of the container", || sandbox_of(&id).is_empty().then_some(()));
    yard.tokio.block_on(yard.database.resume_queue()).unwrap();
    let claim = wait_for("the second attempt", || Some(yard.build(&id)).filter(|build| build.attempt == 2));
    let stale = database::Claim { attempt: 1, build: claim };
    let refused = yard.tokio.block_on(yard.database.finish(stale, Outcome::Cancelled));
    assert!(matches!(refused, Err(database::Error::LeaseLost)), "{refused:?}");
    yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
    assert_eq!(yard.finished(&id).state, BuildState::Cancelled);
}

#[test]
fn of_two_branches_with_one_tag_the_one_that_was_pushed_last_has_it() {
    // MW-08
    let yard = Yard::start("");
    crate::support::push_base(&yard.path("data"), &yard.registry);
    let file = |text: &str| format!("ARG BASE\nFROM ${{BASE}}\nRUN {text}\n");
    let commit = yard.commit(&[("Dockerfile", &file("sleep 2; echo dev > /which"))]);
    crate::support::worker_pool::git(&yard.path("git/app.git"), &["branch", "dev", &commit]);
    let mut slow = yard.request(&commit);
    slow.spec.git_ref = "refs/heads/dev".to_owned();
    let quick = yard.request(&yard.commit(&[("Dockerfile", &file("echo main > /which"))]));
    let (dev, main) = (yard.queue(&slow), yard.queue(&quick));
    let _worker = yard.worker(&["--builds", "2"]);
    let pushed = yard.succeeded(&main).image.unwrap();
    assert!(!yard.build(&dev).state.has_ended(), "the older build is slower");
    assert_eq!(yard.finished(&dev).state, BuildState::Superseded, "{}", yard.log(&dev));
    let tag = crate::support::curl(&["-I", &format!("http://{}/v2/team/app/manifests/latest", yard.registry)]).text;
    assert!(tag.contains(&pushed.digest), "{tag}");
}
