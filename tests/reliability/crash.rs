//! Kill -9 at a bad moment: the build runs again, and nothing is left behind.

use crate::support::{Site, run, wait_for};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

/// Reads a database in a transaction that does not end, so that its journal only grows.
const READER: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('BEGIN')\n\
    c.execute('SELECT COUNT(*) FROM builds').fetchall()\nprint('reading', flush=True)\nsys.stdin.read()\n";

#[test]
fn a_server_that_is_killed_with_a_large_journal_is_there_again_soon() {
    // ST-03: a hundred megabytes instead of a thousand, which take as long for each
    let mut site = Site::start_with("workers = 0", "");
    let database = site.path("data/slipway.db");
    let mut reader = Command::new("python3");
    let mut reader =
        reader.args(["-c", READER]).arg(&database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(reader.stdout.as_mut().unwrap(), &mut [0; 8]).unwrap();
    let padding = "x".repeat(9 << 20);
    let deliver = |site: &Site, number: u32| {
        let body = crate::support::raw_http::push("refs/heads/main", &format!("{number:040x}"), &padding);
        site.deliver("push", &format!("large-{number}"), &body, crate::support::SECRET)
    };
    let mut builds = Vec::new();
    let journal = site.path("data/slipway.db-wal");
    while std::fs::metadata(&journal).map_or(0, |known| known.len()) < 100 << 20 {
        let answer = deliver(&site, 1 + builds.len() as u32);
        assert_eq!(answer.status, 202, "{}", answer.text);
        builds.push(answer.json()["builds"][0]["id"].as_str().unwrap().to_owned());
    }
    let mut server = site.server.take().unwrap();
    std::thread::scope(|scope| {
        // One more is being written when it dies.
        let last = scope.spawn(|| deliver(&site, 1000).status);
        std::thread::sleep(Duration::from_millis(60));
        server.0.kill().unwrap();
        reader.kill().unwrap();
        server.0.wait().unwrap();
        reader.wait().unwrap();
        println!("the last delivery was answered {}", last.join().unwrap());
    });
    let size = std::fs::metadata(&journal).unwrap().len();
    let began = Instant::now();
    site.serve();
    let took = began.elapsed();
    println!("there again after {took:?}, with a journal of {} MB and {} deliveries", size >> 20, builds.len());
    assert!(size >= 100 << 20 && took < Duration::from_secs(5), "{took:?}, {size} bytes");
    for build in &builds {
        assert_eq!(site.get(&format!("/v1/builds/{build}"))["state"], "queued");
    }
    let check =
        "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    assert_eq!(run(Command::new("python3").args(["-c", check]).arg(&database)).trim(), "ok");
}
