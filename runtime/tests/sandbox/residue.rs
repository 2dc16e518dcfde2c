//! However a sandbox ends, nothing of it stays: no process, mount, control group, namespace or directory.

use crate::Test;
use crate::place::{Place, file, place, snapshot, tar};
use runtime::{CancellationToken, Error, Exit, MountKind, Sandbox, Sharing, Step, StepNetwork};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("success_failure_and_cancelling_leave_nothing", ends),
    ("a_killed_helper_fails_the_step_and_leaves_nothing", helper_killed),
    ("a_killed_first_process_fails_the_step_and_leaves_nothing", first_process_killed),
    ("a_killed_network_leaves_nothing", network_killed),
    ("a_killed_worker_leaves_nothing", worker_killed),
    ("a_command_that_is_killed_from_outside_is_told_apart", command_killed),
    ("two_hundred_steps_at_once_leave_nothing", many_steps),
    ("a_sweep_takes_away_what_a_dead_attempt_left", sweep),
    ("what_nobody_uses_goes_and_what_is_used_stays", collect),
    ("what_was_made_last_goes_after_a_start_of_the_machine", evict_unsynced),
];

/// Names the directory in which this program, started again, is a worker: see [`be_a_worker`].
pub(crate) const WORKER: &str = "SLIPWAY_TEST_WORKER";

/// Returns the ids of processes that descend from this one or carry the attempt's name, and are no zombies.
fn processes(attempt: &str) -> Vec<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|id| {
            let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(&format!("slipway-sandbox\0{attempt}\0"))
        })
        .collect()
}

/// Returns the namespaces of a kind that processes of this machine are in.
fn namespaces(kind: &str) -> BTreeSet<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    ids.filter_map(|entry| fs::read_link(entry.path().join("ns").join(kind)).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// Returns how many namespaces this process keeps alive, with descriptors or mounts.
fn kept_namespaces() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let kinds = ["cgroup:[", "ipc:[", "mnt:[", "net:[", "pid:[", "user:[", "uts:["];
    let held = links.filter(|link| kinds.iter().any(|kind| link.to_string_lossy().starts_with(kind)));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    held.count() + mounts.lines().filter(|line| line.contains(" - nsfs ")).count()
}

fn groups(attempt: &str) -> Vec<String> {
    let find =
        Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("slipway-{attempt}")]).output();
    String::from_utf8_lossy(&find.unwrap().stdout).lines().map(str::to_owned).collect()
}

fn eventually(what: &str, mut done: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match done() {
            Ok(()) => return,
            Err(left) => assert!(Instant::now() < deadline, "{what}: {left}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes sure that nothing is left of a place's attempt.
fn nothing_left(place: &Place) {
    let none = |what: &str, left: Vec<String>| if left.is_empty() { Ok(()) } else { Err(format!("{what}: {left:?}")) };
    eventually("something is left", || {
        none("processes", processes(&place.attempt))?;
        none("control groups", groups(&place.attempt))?;
        let work = fs::read_dir(place.settings.state.join("w")).unwrap().flatten();
        none("directories", work.map(|entry| entry.path().display().to_string()).collect())
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(place.directory.path().to_str().unwrap()), "{mounts}");
}

fn ends() {
    let mut place = place();
    let (exit, _, changes) = place.run(&place.step("echo x > /f; (sleep 1000 &) ; exit 0"));
    assert_eq!(exit, Exit::Code(0));
    let networked = Step { network: StepNetwork::Default, ..place.step("exit 3") };
    assert_eq!(place.run(&networked).0, Exit::Code(3));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ran = place.sandbox().run(&place.step("sleep 1000"), &mut |_| {}, &cancel).unwrap();
    assert_eq!(ran.exit, Exit::Cancelled);
    assert!(
        !groups(&place.attempt).is_empty() && !processes(&place.attempt).is_empty(),
        "there was something to leave"
    );
    // Running processes end with the sandbox.
    drop((changes, ran));
    place.sandbox = None;
    nothing_left(&place);
}

/// Runs a step that never ends, does something to the sandbox, and returns how the step ended.
fn broken(place: &Place, network: StepNetwork, breaking: impl FnOnce()) -> Result<Exit, Error> {
    let step = Step { network, ..place.step("setsid sleep 1000 & echo started; sleep 1000") };
    std::thread::scope(|scope| {
        let (started, wait) = std::sync::mpsc::channel();
        let run = scope.spawn(move || {
            let mut tell = |_: &[u8]| {
                let _ = started.send(());
            };
            place.sandbox().run(&step, &mut tell, &CancellationToken::new()).map(|ran| ran.exit)
        });
        wait.recv().unwrap();
        breaking();
        run.join().unwrap()
    })
}

fn kill(id: &str) {
    assert!(Command::new("kill").args(["-9", id]).status().unwrap().success());
}

/// Returns the children of a process. The kernel's own list of them leaves some out while others end.
fn children(id: &str) -> Vec<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    ids.filter(|child| parent(child).as_deref() == Some(id)).collect()
}

/// Returns the parent of a process, if there is such a process.
fn parent(id: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix("PPid:")?.trim().to_owned()))
}

/// Returns the helper of an attempt: the process of its name that is a child of this program.
fn helper(place: &Place) -> String {
    let own = std::process::id().to_string();
    processes(&place.attempt).into_iter().find(|id| parent(id).as_ref() == Some(&own)).unwrap()
}

fn helper_killed() {
    // RL3
    let mut place = place();
    let id = helper(&place);
    let ended = broken(&place, StepNetwork::None, || kill(&id));
    assert!(ended.is_err_and(|error| !error.is_users_fault()), "the service's fault, to be tried again");
    place.sandbox = None;
    nothing_left(&place);
}

fn first_process_killed() {
    // RL3
    let mut place = place();
    let id = helper(&place);
    let first = children(&id).pop().unwrap();
    let ended = broken(&place, StepNetwork::None, || kill(&first));
    assert!(ended.is_err_and(|error| !error.is_users_fault()));
    assert!(matches!(place.try_run(&place.step("true")), Err(Error::Gone)));
    place.sandbox = None;
    nothing_left(&place);
}

fn network_killed() {
    // RL3: the step goes on without network, and ends as it would; nothing of the network stays.
    let mut place = place();
    let cancel = CancellationToken::new();
    let step = Step { network: StepNetwork::Default, ..place.step("echo started; sleep 1; exit 5") };
    let own = std::process::id().to_string();
    let ended = place.sandbox().run(
        &step,
        &mut |_| {
            for id in children(&own) {
                let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
                if command.starts_with("slipway-network\0") && command.contains(&helper(&place)) {
                    children(&id).iter().for_each(|pasta| kill(pasta));
                }
            }
        },
        &cancel,
    );
    // SEC-m1: whoever looks at the end of the step is told.
    let ended = ended.unwrap();
    assert_eq!((ended.exit, ended.network_lost), (Exit::Code(5), true));
    drop(ended);
    let lost = |step: &Step| place.sandbox().run(step, &mut |_| (), &cancel).unwrap().network_lost;
    assert!(lost(&Step { network: StepNetwork::Default, ..place.step("true") }), "later steps have none either");
    assert!(!lost(&place.step("exit 1")), "and this one wants none");
    place.sandbox = None;
    nothing_left(&place);
}

fn command_killed() {
    // SEC-m1
    let place = place();
    let killed = |step: &Step, sought: &str| {
        let (exit, output) = std::thread::scope(|scope| {
            let ran = scope.spawn(|| place.try_run(step).map(|(exit, output, _)| (exit, output)));
            let deadline = Instant::now() + Duration::from_secs(10);
            while !ran.is_finished() {
                assert!(Instant::now() < deadline, "`{sought}` is not found");
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                    if command.starts_with(sought) {
                        kill(&entry.file_name().to_string_lossy());
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            ran.join().unwrap().unwrap()
        });
        println!("{output}");
        exit
    };
    let as_user = |user: &str| Step { user: user.into(), ..place.step("exec sleep 7654") };
    assert_eq!(killed(&as_user(""), "sleep\x007654"), Exit::Killed);
    assert_eq!(killed(&as_user("app"), "sleep\x007654"), Exit::Killed);
    // A step may signal itself: its first process does not even receive the signal.
    for (script, expected) in [
        ("kill -9 $$; exit 3", Exit::Code(3)),
        ("sh -c 'kill -9 $$'; exit $?", Exit::Code(137)),
        ("sleep 60 & kill -9 $!; wait $!; exit $?", Exit::Code(137)),
        ("kill -9 -1; exit 4", Exit::Code(4)),
        ("ulimit -t 1; while :; do :; done", Exit::Signal(9)),
    ] {
        let (exit, output, _) = place.run(&place.step(script));
        assert_eq!(exit, expected, "{script}: {output}");
    }
}

fn worker_killed() {
    // RL1, R8: the program that uses the sandbox is killed while a step runs.
    let place = place();
    let program = std::env::current_exe().unwrap();
    let mut worker = Command::new(program)
        .env(WORKER, place.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let attempt = format!("worker-{}", worker.id());
    let runs = || processes(&attempt).len() >= 4;
    eventually("the worker's step", || if runs() { Ok(()) } else { Err("does not run".into()) });
    std::thread::sleep(Duration::from_millis(300));
    worker.kill().unwrap();
    worker.wait().unwrap();
    eventually("after the worker", || {
        let left = processes(&attempt);
        let directories = fs::read_dir(place.settings.state.join("w")).unwrap().flatten().count();
        // Its control group is the next worker's to remove, as nobody is left who may; the other directory is ours.
        if left.is_empty() && directories <= 2 {
            Ok(())
        } else {
            Err(format!("{left:?} and {directories} directories"))
        }
    });
    eventually("control groups", || {
        runtime::sweep(&place.settings).unwrap();
        if groups(&attempt).is_empty() { Ok(()) } else { Err(format!("{:?}", groups(&attempt))) }
    });
}

/// Runs a step that never ends, in the directory that the environment names; never returns.
pub(crate) fn be_a_worker(directory: &std::path::Path) -> ! {
    let settings = runtime::Settings::new(directory).unwrap();
    let attempt = format!("worker-{}", std::process::id());
    let sandbox = Sandbox::start(&settings, &attempt).unwrap();
    let place = crate::place::Place {
        base: runtime::SnapshotId::new(&"0b".repeat(32)).unwrap(),
        sandbox: Some(sandbox),
        settings,
        attempt,
        // The worker is killed: what it made goes with the directory of the test.
        directory: tempfile::tempdir_in(directory).unwrap(),
    };
    let step = Step { network: StepNetwork::Default, ..place.step("trap '' TERM; setsid sleep 1000 & sleep 1000") };
    let _ = place.run(&step);
    std::process::exit(0)
}

fn many_steps() {
    // RT-28
    let mut place = place();
    let before = namespaces("net").len();
    std::thread::scope(|scope| {
        for number in 0..200 {
            let place = &place;
            scope.spawn(move || {
                let step = place.step(&format!("echo {number} > /f; echo {number}"));
                let (exit, output, changes) = place.run(&step);
                assert_eq!((exit, output.trim()), (Exit::Code(0), &*number.to_string()));
                assert_eq!(crate::place::listing(&changes), ["file f"]);
            });
        }
    });
    let first = children(&helper(&place)).pop().unwrap();
    eventually("after the steps", || {
        let left = children(&first);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    let work = place.settings.state.join("w");
    let own = fs::read_dir(&work).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap();
    eventually("changes that nobody wants", || {
        let left = fs::read_dir(own.path()).unwrap().count();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    });
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(descriptors < 200, "{descriptors} descriptors are open");
    place.sandbox = None;
    nothing_left(&place);
    eventually("other tests may have some", || {
        let now = namespaces("net").len();
        if now <= before + 20 { Ok(()) } else { Err(format!("{now} namespaces, {before} before")) }
    });
    let kept = kept_namespaces();
    assert!(kept < 40, "{kept} namespaces are kept, of 200 steps; other tests may have some");
}

fn collect() {
    let place = place();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let old = |path: &std::path::Path| {
        let long_ago = std::time::SystemTime::now() - hours(48);
        fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    };
    let (kept, unused) = (snapshot(0x51), snapshot(0x52));
    for id in [&kept, &unused] {
        place.sandbox().unpack(id, &mut tar(&[(file("f", b"x"), b"x")]).as_slice()).unwrap();
    }
    let cache = |script: &str, id: &str| {
        let (id, sharing, mode) = (id.repeat(16), Sharing::Shared, 0o755);
        let kind = MountKind::Cache { id, sharing, mode, uid: 0, gid: 0, writable: true, seed: None };
        place.mounting(script, vec![("/c", kind)])
    };
    place.succeeds(&cache("echo x > /c/f", "a0"));
    place.succeeds(&cache("echo x > /c/f", "b0"));
    assert_eq!(runtime::collect(&place.settings, hours(1)).unwrap(), 0, "all are new");
    let locks = place.settings.state.join("c");
    old(&locks.join(format!("{}.lock", "a0".repeat(16))));
    // Snapshots are as old as they say themselves: waiting is the only way to make them older.
    std::thread::sleep(Duration::from_millis(2100));
    assert!(place.sandbox().has_snapshot(&kept) && place.sandbox().has_snapshot(&place.base));
    assert_eq!(runtime::collect(&place.settings, Duration::from_secs(1)).unwrap(), 1);
    assert!(place.outside(&kept).exists() && !place.outside(&unused).exists());
    assert_eq!(place.succeeds(&cache("ls /c", "a0")), "", "the old cache is empty");
    let mut held = cache("echo x > /c/g; echo up; sleep 1; ls /c", "b0");
    held.layers.push(kept);
    std::thread::scope(|scope| {
        let step = scope.spawn(|| place.succeeds(&held));
        std::thread::sleep(Duration::from_millis(500));
        old(&locks.join(format!("{}.lock", "b0".repeat(16))));
        runtime::collect(&place.settings, hours(1)).unwrap();
        assert_eq!(step.join().unwrap(), "up\ng\n", "a cache in use stays");
    });
    eventually("the collector", || {
        let left: Vec<_> = fs::read_dir(place.settings.state.join("w")).unwrap().flatten().collect();
        if left.len() <= 2 { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

fn evict_unsynced() {
    // ST-04, RL4
    let place = place();
    let cache = |script: &str, id: &str| {
        let (id, sharing, mode) = (id.repeat(16), Sharing::Shared, 0o755);
        place.mounting(
            script,
            vec![("/c", MountKind::Cache { id, sharing, mode, uid: 0, gid: 0, writable: true, seed: None })],
        )
    };
    let (before, last) = (snapshot(0x61), snapshot(0x62));
    let unpack = |id| place.sandbox().unpack(id, &mut tar(&[(file("f", b"x"), b"x")]).as_slice()).unwrap();
    unpack(&before);
    place.succeeds(&cache("echo x > /c/f", "a0"));
    std::thread::sleep(Duration::from_millis(3100));
    unpack(&last);
    place.succeeds(&cache("echo x > /c/f", "b0"));
    assert_eq!(runtime::evict_unsynced(&place.settings, Duration::from_secs(1)).unwrap(), 1);
    assert!(place.outside(&before).exists() && place.outside(&place.base).exists() && !place.outside(&last).exists());
    assert_eq!(place.succeeds(&cache("ls /c", "a0")), "f\n");
    assert_eq!(place.succeeds(&cache("ls /c", "b0")), "");
}

fn sweep() {
    let mut place = place();
    let id = helper(&place);
    let (_, _, changes) = place.run(&place.step("mkdir -p /a/b/c; echo x > /a/b/c/d"));
    let first = children(&id).pop().unwrap();
    kill(&first);
    drop(changes);
    eventually("the helper", || if processes(&place.attempt).is_empty() { Ok(()) } else { Err("lives".into()) });
    let dead = place.sandbox.take();
    runtime::sweep(&place.settings).unwrap();
    drop(dead);
    nothing_left(&place);
}
