//! A worker that has nothing to do leaves the database alone, and takes a build at once.

use crate::support::wait_for;
use crate::support::worker_pool::Yard;
use std::time::Duration;

/// Time that a worker needs to settle after its start.
const SETTLED: Duration = Duration::from_secs(15);
/// Limit of the best of a few builds, from their acceptance to their claim.
const LIMIT_MS: i64 = 50;

#[test]
fn an_idle_worker_executes_no_statement_for_a_minute_and_takes_a_build_at_once() {
    let yard = Yard::start("");
    let _worker = yard.worker_with(&[], &[("SLIPWAY_LOG", "info,database=trace")]);
    let statements = || {
        let log = std::fs::read_to_string(yard.path("worker.log")).unwrap();
        log.lines().filter(|line| line.contains("executing a statement")).map(str::to_owned).collect::<Vec<_>>()
    };
    wait_for("the first statement of a worker", || (!statements().is_empty()).then_some(()));
    std::thread::sleep(SETTLED);
    let before = statements().len();
    std::thread::sleep(Duration::from_secs(60));
    let executed = statements().split_off(before);
    assert!(executed.is_empty(), "{executed:#?}");
    let mut times = Vec::new();
    for number in 0..8 {
        let id = yard.push(&[("Dockerfile", &format!("FROM scratch\nLABEL number={number}\n"))]);
        let build = wait_for("the end of a build", || Some(yard.build(&id)).filter(|build| build.state.has_ended()));
        times.push(build.started_ms.unwrap() - build.created_ms);
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("milliseconds from acceptance to claim: {times:?}");
    assert!(times.iter().min().is_some_and(|time| *time <= LIMIT_MS), "{times:?}");
}
