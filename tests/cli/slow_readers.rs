//! Readers of a container's output that take their time, and typists who type more than is read.

use crate::support::bench::Bench;
use crate::support::wait_for;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

const BYTES: usize = 3 * 1024 * 1024;

fn print_much() -> String {
    format!("head -c {BYTES} /dev/zero")
}

#[test]
fn a_slow_reader_gets_all_that_a_joined_command_prints() {
    let bench = Bench::new();
    bench.build("bb", "");
    bench.run(&["run", "-d", "--name", "ww", "bb", "sleep", "1000"]);
    let mut exec = bench.command(&["exec", "ww", "sh", "-c", &print_much()]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let mut printed = Vec::new();
    exec.stdout.take().unwrap().read_to_end(&mut printed).unwrap();
    assert!(exec.wait().unwrap().success());
    assert_eq!(printed.len(), BYTES);
    bench.run(&["rm", "-f", "ww"]);
}

#[test]
fn a_reader_who_stops_reading_keeps_nobody_from_seeing_the_end() {
    let bench = Bench::new();
    bench.build("bb", "");
    let script = format!("{}; echo end >&2", print_much());
    let mut command = bench.command(&["run", "--name", "ww", "bb", "sh", "-c", &script]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the container", || (!bench.run(&["ps", "-q"]).is_empty()).then_some(()));
    bench.run(&["kill", "ww"]);
    assert_eq!(bench.run(&["wait", "ww"]), "137\n");
    assert!(bench.run(&["ps", "-a"]).contains("Exited (137) "));
    let mut printed = Vec::new();
    run.stdout.take().unwrap().read_to_end(&mut printed).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(137));
    assert!(printed.len() > 64 * 1024, "{}", printed.len());
    assert_eq!(bench.run(&["rm", "ww"]), "ww\n");
}

#[test]
fn signals_are_passed_on_while_nothing_that_is_typed_is_read() {
    let bench = Bench::new();
    bench.build("bb", "");
    let script = "trap 'exit 3' TERM; while true; do sleep 0.1; done";
    let mut run =
        bench.command(&["run", "-i", "--name", "ww", "bb", "sh", "-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    let mut typed = run.stdin.take().unwrap();
    std::thread::spawn(move || while typed.write_all(&[b'y'; 64 * 1024]).is_ok() {});
    wait_for("the container", || (!bench.run(&["ps", "-q"]).is_empty()).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    std::process::Command::new("kill").arg(run.id().to_string()).status().unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(3));
}
