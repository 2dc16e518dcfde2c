//! Floods of output: little is kept, memory stays flat, and the step goes on.

use crate::support::worker_pool::Yard;

/// Largest growth of the worker's memory, in KiB: a build without output needs some of it too.
const GROWTH: u64 = 64 * 1024;

fn memory(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t']).split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_flood_is_cut_and_the_build_goes_on() {
    // RL15, RT-20
    let (yard, worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN head -c 1073741824 /dev/zero | tr '\\0' a\n\
        RUN yes | head -n 10000000\nRUN head -c 33554432 /dev/urandom\nRUN echo; echo last words\n";
    let id = yard.push(&[("Dockerfile", dockerfile)]);
    let before = memory(worker.0.id(), "VmRSS");
    yard.succeeded(&id);
    let most = memory(worker.0.id(), "VmHWM");
    let log = yard.log(&id);
    assert!(most - before < GROWTH, "{before} KiB, later {most} KiB");
    assert_eq!(log.matches("[log truncated: output of the step at 16 MiB]").count(), 3);
    assert!(log.contains("\nlast words\n"));
    assert!(log.len() > 32 * 1024 * 1024 && log.len() < 100 * 1024 * 1024, "{}", log.len());
    yard.nothing_left();
}
