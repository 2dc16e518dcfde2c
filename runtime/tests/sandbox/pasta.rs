//! `pasta` on a machine that the test makes: without it, with one that does not work, and how much it does for a build.

use crate::Test;
use crate::machine::{World, as_machine};
use crate::place::{Place, place};
use crate::reach::{RESOLVER, Room, nothing_else_arrived};
use runtime::{Exit, Step, StepNetwork};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("without_pasta_steps_have_no_network_and_say_so_at_once", || as_machine("missing", &without_pasta("/dev/null"))),
    ("a_pasta_that_is_not_executable_is_missing", || as_machine("missing", &pasta_is("exit 0", "644"))),
    ("a_pasta_that_ends_at_once_is_named", || as_machine("broken", &pasta_is("echo no such luck >&2; exit 1", "755"))),
    ("a_pasta_that_ends_without_a_word_is_named", || as_machine("broken", &pasta_is("exit 3", "755"))),
    ("a_pasta_of_a_version_without_an_option_is_named", || as_machine("broken", &pasta_is(OLD, "755"))),
    ("without_the_device_steps_have_no_network_and_say_so", || as_machine("device", "mount -t tmpfs none /dev/net")),
    ("pasta_is_not_root_and_opens_no_more_files_than_it_may", || as_machine("account", RESOLVER)),
    ("a_build_begins_only_so_many_connections", || as_machine("flood", RESOLVER)),
];

/// Parts of these tests that run as the machine.
pub(crate) const PARTS: &[Test] = &[
    ("missing", || without("`pasta`, which connects steps to the network, is missing")),
    ("device", || without("this account may not open /dev/net/tun")),
    ("broken", broken),
    ("account", account),
    ("flood", flood),
];

/// A script that speaks like a version without an option.
const OLD: &str =
    "case \"$*\" in *--no-ra*) echo \"$0: unrecognized option '--no-ra'\" >&2; exit 1;; esac; exec sleep 9";

/// Puts `file` in the place of `pasta`, for the machine alone.
fn without_pasta(file: &str) -> String {
    format!("mount --bind {file} $(readlink -f $(command -v pasta))")
}

/// Puts a script in the place of `pasta`.
fn pasta_is(script: &str, mode: &str) -> String {
    let quoted = script.replace('\'', "'\\''");
    let hidden = without_pasta("$f");
    format!("f=$(mktemp); printf '#!/bin/sh\\n%s\\n' '{quoted}' > $f; chmod {mode} $f; {hidden}; rm $f")
}

/// Returns what the self-test says of the network.
fn self_test(place: &Place) -> Option<String> {
    let table = runtime::self_test(&place.settings).unwrap();
    table.into_iter().find(|known| known.name == "network").expect("it is in the table").missing
}

fn without(reason: &str) {
    // US-12
    let _world = World::new();
    let place = place();
    let begin = Instant::now();
    let missing = self_test(&place).expect("the self-test sees it");
    assert!(missing.contains(reason), "{missing}");
    let step = |script: &str| Step { network: StepNetwork::Default, ..place.step(script) };
    let output = place.succeeds(&step("ip -o link | wc -l; echo it runs"));
    assert!(output.starts_with(&format!("slipway: steps have no network: {missing}")), "{output}");
    assert!(output.ends_with("1\nit runs\n"), "{output}");
    let (exit, output, _) = place.run(&step("echo before; wget -q http://198.51.100.1/"));
    assert_ne!(exit, Exit::Code(0));
    assert!(output.trim_end().lines().last().is_some_and(|last| last.contains(&missing)), "{output}");
    assert!(begin.elapsed() < Duration::from_secs(4), "it took {:?}", begin.elapsed());
}

fn broken() {
    // US-12
    let _world = World::new();
    let place = place();
    let begin = Instant::now();
    let missing = self_test(&place).expect("the self-test sees it");
    let error = place.try_run(&Step { network: StepNetwork::Default, ..place.step("true") }).err().unwrap().to_string();
    assert!(begin.elapsed() < Duration::from_secs(4), "it took {:?}", begin.elapsed());
    for said in [&missing, &error] {
        let why = ["no such luck", "exit status: 3", "unrecognized option '--no-ra'"];
        assert!(said.contains("pasta`, which connects") && why.iter().any(|why| said.contains(why)), "{said}");
    }
    assert_eq!(place.sh("echo a step without network runs"), "a step without network runs\n");
}

fn account() {
    let world = World::new();
    let room = Room::new(place());
    // As many sockets as it may have and more: what comes afterwards is served again.
    let said = room.run("0", "knock table 80 +198.51.100.1; cat /proc/net/sockstat | head -n 1");
    let output = Command::new("sh")
        .args([
            "-c",
            "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q ns-ifname.[p]asta0 || continue
        [ $(readlink $p/ns/net) = $(readlink /proc/self/ns/net) ] || continue
        awk '/^Uid/ {print $2, $3}' $p/status; awk '/open files/ {print $4, $5}' $p/limits; done",
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "one pasta on this machine: {told}");
    assert!(lines[0].split(' ').all(|id| id != "0"), "it is root: {told}");
    assert_eq!(lines[1], "4096 4096");
    assert!(said.contains("allowed 198.51.100.1 tcp plain"), "{said}");
    nothing_else_arrived(world, &[]);
}

fn flood() {
    // SEC-B1: connections and questions of a build are limited
    let world = World::new();
    let room = Room::new(place());
    let said = room.run("0", "knock flood udp 198.51.100.1 20000; knock flood tcp 198.51.100.1 8000");
    let connected: u32 = said.lines().last().unwrap().trim_start_matches("connected ").parse().unwrap();
    assert!((500..3500).contains(&connected), "{said}");
    let (_, elsewhere) = world.arrived();
    let datagrams = elsewhere.iter().filter(|line| line.starts_with("udp 198.51.100.1")).count();
    assert!((100..8000).contains(&datagrams), "{datagrams}");
}
