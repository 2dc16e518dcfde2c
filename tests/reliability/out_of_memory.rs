//! A worker that the kernel kills for want of memory: its build is taken up again, and steps would have gone before it.

use crate::support::worker_pool::{Yard, processes};
use crate::support::{Process, push_base, wait_for};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Memory of the group that the worker is in.
const LIMIT: u64 = 400 << 20;
/// Takes memory until nobody else in its group has any.
const HOG: &str = "import sys\nsys.stdin.readline()\nheld = []\nwhile len(held) < 390: held.append(bytearray(1 << 20))\n\
    print('full', flush=True)\nsys.stdin.readline()\n";

/// A control group with little memory; gone when it is dropped, once nobody is in it.
struct Group(PathBuf);

impl Group {
    /// Makes a group in that of the test, of whichever version this machine has for memory.
    fn make() -> Group {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let of = |marker: &str| {
            own.lines().find_map(|line| Some(line.split_once(marker)?.1.trim_start_matches('/').to_owned()))
        };
        let (parent, limit) = match of(":memory:") {
            Some(path) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"),
            None => (Path::new("/sys/fs/cgroup").join(of("0::").expect("control groups")), "memory.max"),
        };
        let group = Group(parent.join(format!("out-of-memory-{}", std::process::id())));
        std::fs::create_dir(&group.0).unwrap_or_else(|error| panic!("{}: {error}", group.0.display()));
        std::fs::write(group.0.join(limit), LIMIT.to_string())
            .unwrap_or_else(|error| panic!("this machine limits no memory in `{}`: {error}", group.0.display()));
        group
    }

    fn add(&self, id: u32) {
        std::fs::write(self.0.join("cgroup.procs"), id.to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        eprintln!("`{}` cannot be removed", self.0.display());
    }
}

fn preference(id: u32) -> i32 {
    std::fs::read_to_string(format!("/proc/{id}/oom_score_adj")).unwrap().trim().parse().unwrap()
}

fn prefer(id: u32, preference: i32) {
    std::fs::write(format!("/proc/{id}/oom_score_adj"), preference.to_string()).unwrap();
}

/// Starts what will take the memory; it does so when it is sent a line.
fn hog(group: &Group) -> Child {
    let mut hog = Command::new("python3");
    let hog = hog.args(["-c", HOG]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    group.add(hog.id());
    hog
}

#[test]
fn a_worker_that_the_kernel_kills_for_want_of_memory_loses_no_build() {
    // RL20
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let group = Group::make();
    let start = || {
        let worker = yard.worker(&[]);
        group.add(worker.0.id());
        worker
    };
    let mut worker: Process = start();
    let mut hog = hog(&group);
    let id =
        yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo first > /first\nRUN echo waiting; sleep 4\n")]);
    yard.wait_for_log(&id, "\nwaiting\n");
    let steps = processes(&|command| command.contains("sleep 4"));
    let step: Vec<i32> =
        steps.iter().map(|step| preference(step.split(' ').next().unwrap().parse().unwrap())).collect();
    assert!(step.iter().any(|step| *step > preference(worker.0.id())), "{step:?}: the kernel kills steps first");
    // This time it is to be the worker.
    prefer(worker.0.id(), 1000);
    hog.stdin.as_mut().unwrap().write_all(b"take it\n").unwrap();
    let status = worker.0.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "{status}");
    hog.kill().unwrap();
    hog.wait().unwrap();
    let worker = start();
    let build = yard.succeeded(&id);
    assert_eq!(build.attempt, 2);
    let steps = yard.tokio.block_on(yard.database.steps(&id)).unwrap();
    assert!(steps[0].cached, "what was done is not done again: {steps:#?}");
    yard.nothing_left();
    drop(worker);
    wait_for("the end of all in the group", || {
        std::fs::read_to_string(group.0.join("cgroup.procs")).unwrap().is_empty().then_some(())
    });
    let events = ["memory.oom_control", "memory.events"].map(|name| std::fs::read_to_string(group.0.join(name)));
    let killed = events
        .into_iter()
        .flatten()
        .any(|text| text.lines().any(|line| line.starts_with("oom_kill ") && line != "oom_kill 0"));
    assert!(killed, "the kernel killed nobody");
}
