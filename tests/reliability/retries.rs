//! Retries: of faults of the service and of upstreams, never of the Dockerfile; and by people.

use crate::support::scripted_git::{Hostile, Reply};
use crate::support::worker_pool::Yard;
use database::{BuildId, Retried, RetryFrom};

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN echo first > /first\nRUN echo second; exit 3\n";

fn retried(yard: &Yard, id: &BuildId, from: RetryFrom) -> BuildId {
    match yard.tokio.block_on(yard.database.retry(id, from)).unwrap() {
        Retried::Queued(id) => id,
        other => panic!("{other:?}"),
    }
}

fn cached(yard: &Yard, id: &BuildId) -> Vec<bool> {
    yard.tokio.block_on(yard.database.steps(id)).unwrap().iter().map(|step| step.cached).collect()
}

#[test]
fn a_failed_build_is_repeated_from_its_failed_step_or_from_the_start() {
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", DOCKERFILE)]);
    let (state, code, _) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str(), yard.build(&id).attempt), ("failed", "step_failed", 1));
    let again = retried(&yard, &id, RetryFrom::FailedStep);
    assert_eq!(yard.failed(&again).1, "step_failed");
    assert_eq!(cached(&yard, &again)[..2], [true, false], "the step before the failed one comes from the cache");
    let again_from_start = retried(&yard, &again, RetryFrom::Start);
    assert_eq!(yard.failed(&again_from_start).1, "step_failed");
    assert_eq!(cached(&yard, &again_from_start)[..2], [false, false]);
}

#[test]
fn a_server_that_fails_is_asked_three_times() {
    // RL8
    let (yard, _worker) = Yard::with_worker("");
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo fine\n")]);
    let server = Hostile::start(|_| Reply::status(503, ""));
    let mut request = yard.request(&commit);
    request.spec.clone_url = format!("http://{}/app.git", server.address);
    let id = yard.queue(&request);
    let other = yard.queue(&yard.request(&commit));
    yard.succeeded(&other);
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str(), yard.build(&id).attempt), ("errored", "fetch_failed", 3), "{message}");
    let log = yard.log(&id);
    let attempts: Vec<_> = log.lines().filter(|line| line.starts_with("attempt ")).collect();
    assert_eq!(attempts, ["attempt 2: the build begins once more", "attempt 3: the build begins once more"], "{log}");
}
