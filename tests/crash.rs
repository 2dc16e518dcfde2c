//! Kill -9 at a bad moment: the build runs again, and nothing is left behind.

use crate::support::{Site, run, wait_for};
use std::process::Command;

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN echo first > /first\nRUN test -e /proc/self && echo waiting; sleep 2\nRUN echo last > /last\n";

/// Returns the processes whose command line holds `text`.
fn processes(text: &str) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-f", text]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect()
}

fn nothing_left(site: &Site) {
    let data = site.path("data");
    let attempts = std::fs::read_dir(data.join("sandbox/state/w"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count();
    assert_eq!(attempts, 0, "directories of attempts");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(data.to_str().unwrap()), "mounts");
    assert!(std::fs::read_dir(data.join("images/tmp")).unwrap().next().is_none(), "unfinished blobs");
}

#[test]
fn a_build_survives_its_worker() {
    let site = Site::start("");
    site.push_base();
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    let id = site.push(&commit);
    wait_for("the second step", || site.log(&id).contains("\nwaiting\n").then_some(()));
    let workers = processes(&format!("worker --data-dir {}", site.path("data").display()));
    assert!(!workers.is_empty());
    for worker in workers {
        run(Command::new("kill").args(["-9", &worker.to_string()]));
    }
    let build = site.succeeded(&id);
    assert_eq!(build["attempt"], 2);
    assert_eq!(build["steps"][0]["cached"], true, "what the first attempt finished is not done again: {build:#}");
    wait_for("the rest", || {
        (std::fs::read_dir(site.path("data/sandbox/state/w")).unwrap().flatten().all(|entry| !entry.path().is_dir()))
            .then_some(())
    });
    nothing_left(&site);
}

#[test]
fn a_build_survives_the_server() {
    let mut site = Site::start("");
    site.push_base();
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    let id = site.push(&commit);
    wait_for("the second step", || site.log(&id).contains("\nwaiting\n").then_some(()));
    let mut server = site.server.take().unwrap();
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    for worker in processes(&format!("worker --data-dir {}", site.path("data").display())) {
        let _ = Command::new("kill").args(["-9", &worker.to_string()]).status();
    }
    site.serve();
    let build = site.succeeded(&id);
    assert_eq!(build["image"]["tags"].as_array().unwrap().len(), 2);
    wait_for("the rest", || {
        (std::fs::read_dir(site.path("data/sandbox/state/w")).unwrap().flatten().all(|entry| !entry.path().is_dir()))
            .then_some(())
    });
    nothing_left(&site);
}
