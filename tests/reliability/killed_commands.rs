//! Commands by hand that are killed at any moment: the store is whole each time, and the same command again succeeds.

use crate::support::bench::Bench;
use crate::support::worker_pool::Yard;
use crate::support::{push_base, shown};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The commands, each with what has to be there first.
const COMMANDS: [&str; 5] = ["pull", "commit", "load", "rm", "prune"];

#[test]
fn commands_that_are_killed_leave_a_whole_store_and_succeed_when_they_are_repeated() {
    kill_commands(20);
}

#[test]
#[ignore = "takes minutes: 200 kills"]
fn commands_that_are_killed_two_hundred_times_leave_a_whole_store() {
    kill_commands(200);
}

fn kill_commands(kills: usize) {
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\nRUN head -c 3000000 /dev/urandom > /random\n");
    let archive = bench.path("saved.tar").display().to_string();
    bench.run(&["save", "-o", &archive, "bb"]);
    let pulled = format!("{}/base/busybox", yard.registry);
    let mut durations = [Duration::from_millis(300); COMMANDS.len()];
    let mut killed = 0;
    for number in 0..kills {
        let kind = number % COMMANDS.len();
        let arguments: Vec<&str> = match COMMANDS[kind] {
            "pull" => vec!["pull", "-q", &pulled],
            "commit" => vec!["commit", "work", "made"],
            "load" => vec!["load", "-q", "-i", &archive],
            "rm" => vec!["rm", "gone"],
            _ => vec!["system", "prune", "-af"],
        };
        prepare(&bench, COMMANDS[kind]);
        // Moments spread over the whole of the command, in no order.
        let part = ((number / COMMANDS.len()) * 37 + 11) % 100;
        let moment = durations[kind] * u32::try_from(part).unwrap() / 100;
        let mut command = bench.command(&arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        check(&bench, &format!("{arguments:?} after {moment:?}"));
        let began = Instant::now();
        let again = bench.command(&arguments).output().unwrap();
        let is_gone = shown(&again).contains("No such container: gone");
        assert!(again.status.success() || is_gone, "{arguments:?} after {moment:?}: {}", shown(&again));
        durations[kind] = began.elapsed();
        check(&bench, &format!("{arguments:?} once more"));
    }
    assert!(killed * 2 > kills, "only {killed} of {kills} were killed while they ran");
    prepare(&bench, "commit");
    assert_eq!(bench.run(&["run", "--rm", "bb", "echo", "whole"]), "whole\n");
}

/// Makes sure that a command has something to do: what was pruned is there again.
fn prepare(bench: &Bench, command: &str) {
    let has = |name: &str| bench.output(&["inspect", name]).status.success();
    if matches!(command, "pull" | "load") {
        bench.run(&["image", "prune", "-af"]);
    }
    if command != "load" && !has("bb") {
        bench.run(&["load", "-q", "-i", bench.path("saved.tar").to_str().unwrap()]);
    }
    if matches!(command, "commit" | "prune") && !has("work") {
        bench.run(&["run", "--name", "work", "bb", "sh", "-c", "head -c 3000000 /dev/urandom > /changed"]);
    }
    if command == "rm" && !has("gone") {
        bench.run(&["create", "--name", "gone", "bb"]);
    }
    if command == "prune" {
        bench.run(&["commit", "work", "left"]);
    }
}

/// Everything that a name leads to is there, and is what its digest says.
fn check(bench: &Bench, when: &str) {
    let store = image_store::Store::open(&bench.path("data/images")).unwrap();
    let report = store.verify().unwrap();
    assert!(report.damaged.is_empty() && report.missing.is_empty(), "{when}: {report:?}");
}
