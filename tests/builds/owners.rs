//! Ids of files and accounts, mounts in mounts, and steps that fill the disk or are killed, in whole builds.

use crate::support::build_directory::Place;
use crate::support::test_disk::Disk;
use crate::support::worker_pool::{Yard, processes};
use crate::support::{Site, run, wait_for};
use database::BuildState;
use std::process::Command;
use std::time::{Duration, Instant};

const BASE: &str = "FROM scratch AS base\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n\
    COPY <<EOF /etc/passwd\nroot:x:0:0::/root:/bin/sh\nmail:x:8:8::/var/mail:/bin/sh\nEOF\n";

fn place() -> Place {
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).expect("busybox-static is installed");
    place
}

/// Returns the owners of files of an image.
fn owners(listed: &str, name: &str) -> String {
    let line = listed.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap_or_else(|| panic!("{listed}"));
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn files_of_any_id_pass_through_steps() {
    // EN-44
    let place = place();
    let dockerfile = format!(
        "{BASE}COPY --chown=1516583083 Dockerfile /big\nCOPY --chown=100000:4294967294 Dockerfile /copied\n\
         FROM base AS next\nCOPY --from=base /big /big\n\
         FROM base\nRUN busybox stat -c %u:%g /big /copied && echo x > /t && busybox chown 1000640000 /t\n\
         RUN busybox mkdir /a && echo x > /a/f && busybox chown -R 197609:197121 /a && \
             busybox tar cf /a.tar -C /a f && busybox rm -r /a && busybox tar xf /a.tar\n\
         RUN --mount=type=cache,target=/c,uid=100001,gid=100002 busybox test \"$(busybox stat -c %u:%g /c)\" = 100001:100002\n\
         RUN echo app:x:70000:70000::/home/app:/bin/sh >> /etc/passwd && busybox mkdir -p /home/app && busybox chown 70000:70000 /home/app\n\
         USER app\nRUN echo x > /home/app/f\nUSER 1000640000\nWORKDIR /home/of/it\nRUN echo x > /home/of/it/f\n"
    );
    let listed = place.files(&dockerfile, &[]).unwrap();
    for (name, expected) in [
        ("big", "1516583083/1516583083"),
        ("copied", "100000/4294967294"),
        ("t", "1000640000/0"),
        ("f", "197609/197121"),
        ("home/app/f", "70000/70000"),
        ("home/of/it/f", "1000640000/0"),
    ] {
        assert_eq!(owners(&listed, name), expected, "{name}");
    }
}

#[test]
fn what_is_not_an_id_is_refused() {
    // EN-44, EN-13
    let place = place();
    for chown in ["4294967295", "1:4294967295", "99999999999", "-1"] {
        let error = place.files(&format!("{BASE}COPY --chown={chown} Dockerfile /f\n"), &[]).unwrap_err();
        assert!(error.contains("between 0 and 4294967294"), "{chown}: {error}");
    }
    let mount = format!("{BASE}RUN --mount=type=cache,target=/c,uid=4294967295 echo\n");
    let error = place.files(&mount, &[]).unwrap_err();
    assert!(error.contains("the largest id is 4294967294"), "{error}");
    let listed = place.files(&format!("{BASE}COPY --chown=mail:nosuch Dockerfile /f\n"), &[]).unwrap();
    assert_eq!(owners(&listed, "f"), "8/8");
}

#[test]
fn parallel_stages_share_caches_in_caches() {
    // EN-11
    for turn in 0..5 {
        let place = place();
        let caches = "RUN --mount=type=cache,target=/foo/bar --mount=type=cache,target=/foo/bar/baz";
        let stage = |name: &str| {
            format!("FROM base AS {name}\n{caches} echo {name} > /foo/bar/baz/{name} && echo {name} > /{name}\n")
        };
        let last = "FROM base\nCOPY --from=one /one /\nCOPY --from=two /two /\n";
        let dockerfile = format!("{BASE}{}{}{last}", stage("one"), stage("two"));
        let listed = place.files(&dockerfile, &[]).unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        assert!(listed.contains(" one\n") && listed.contains(" two\n"), "{listed}");
    }
}

#[test]
fn a_step_that_fills_the_disk_ends_and_deliveries_are_stored_meanwhile() {
    // SEC-B2b
    let mut site = Site::start("[sandbox]\nreserve_mib = 100\ndisk_mib = 200\n");
    site.server = None;
    let disk = Disk::over(&site.path("data"), site.path("disk"), 700);
    run(Command::new("tune2fs").args(["-m", "0", &disk.device().unwrap()]));
    site.serve();
    site.push_base();
    let fill = "ARG BASE\nFROM ${BASE}\nRUN while :; do i=$((i+1)); fallocate -l 52428800 /f$i; done\n";
    let filling = site.push(&site.commit(&[("Dockerfile", fill)]));
    let (began, mut more) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(4) {
        let free = free_bytes(&site.path("data"));
        assert!(free >= 100 << 20, "{} MiB are free", free >> 20);
        let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY n /\n"), ("n", &format!("{}", more.len()))]);
        // The answer is 202, or the test ends there.
        more.push(site.push(&commit));
    }
    let build = site.finished(&filling);
    assert_eq!((build["state"].as_str(), build["reason"]["code"].as_str()), (Some("failed"), Some("disk_full")));
    assert!(build["reason"]["message"].as_str().unwrap().contains("used more than 200 MiB"), "{build:#}");
    for id in &more {
        let build = site.finished(id);
        assert!(matches!(build["state"].as_str().unwrap(), "succeeded" | "superseded"), "{build:#}\n{}", site.log(id));
    }
    site.server = None;
    disk.unmount();
}

/// Returns the bytes that are free for everybody.
fn free_bytes(directory: &std::path::Path) -> u64 {
    let shown = run(Command::new("stat").args(["-f", "-c", "%a %S"]).arg(directory));
    let numbers: Vec<u64> = shown.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers[0] * numbers[1]
}

#[test]
fn a_step_that_is_killed_from_outside_is_tried_again() {
    // SEC-m1
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[(
        "Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN --mount=type=cache,target=/c test -e /c/x || { touch /c/x; echo waiting; exec sleep 7655; }\n",
    )]);
    yard.wait_for_log(&id, "\nwaiting\n");
    let found = wait_for("the step", || processes(&|command| command.starts_with("sleep 7655")).pop());
    run(Command::new("kill").args(["-9", found.split(' ').next().unwrap()]));
    assert_eq!(yard.succeeded(&id).attempt, 2);
    // A child that kills itself is the author's fault. The step's first process cannot: the kernel protects it from its own.
    let id = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN sh -c 'kill -9 $$'; exit $?\n")]);
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("failed", "step_failed"), "{message}");
    assert_eq!(yard.build(&id).state, BuildState::Failed);
}

#[test]
fn any_number_of_workers_start_at_once() {
    // SEC-m2
    for turn in 0..3 {
        let yard = Yard::start("");
        let mut workers: Vec<_> = (0..8).map(|_| yard.worker(&[])).collect();
        wait_for("all workers", || {
            for worker in &mut workers {
                assert!(worker.0.try_wait().unwrap().is_none(), "turn {turn}: a worker has ended");
            }
            (yard.tokio.block_on(yard.database.workers()).unwrap().len() == workers.len()).then_some(())
        });
    }
}
