//! Trees of few objects that stand for more paths than any machine has room for.

use crate::git::bad_repositories::{commit_tree, object, tree};
use crate::support::build_directory::Place;
use crate::support::worker_pool::{Yard, git};
use crate::support::{push_base, run, shown};
use database::BuildState;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Returns a tree of `levels` levels with ten equal entries each.
fn nested(bare: &Path, levels: usize) -> String {
    let mut below = object(bare, "blob", b"x\n");
    for level in 0..levels {
        let mode = if level == 0 { "100644" } else { "40000" };
        let names: Vec<[u8; 1]> = (b'0'..=b'9').map(|name| [name]).collect();
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_slice(), below.as_str())).collect();
        below = tree(bare, &entries);
    }
    below
}

/// Commits a directory `huge` of 10^10 paths beside other files.
fn huge(bare: &Path, files: &[(&str, &str)]) -> String {
    let huge = nested(bare, 10);
    let mut entries = vec![("40000", "huge", huge)];
    entries.extend(files.iter().map(|(name, text)| ("100644", *name, object(bare, "blob", text.as_bytes()))));
    entries.sort_by_key(|(_, name, _)| *name);
    let entries: Vec<_> = entries.iter().map(|(mode, name, id)| (*mode, name.as_bytes(), id.as_str())).collect();
    let whole = tree(bare, &entries);
    commit_tree(bare, &whole)
}

/// Returns the most memory that a process had, in MiB.
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    most.parse::<u64>().unwrap() / 1024
}

#[test]
fn a_commit_of_ten_thousand_million_paths_fails_once_and_at_once() {
    // SEC-B3
    let began = Instant::now();
    assert!(fails_at_once("", &[("COPY . /c", "")]) < 1500);
    println!("with the usual limit it took {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let each = [
        ("COPY */*/*/*/*/* /c/", ""),
        ("COPY --parents **/9 /c/", ""),
        ("COPY . /c", "huge\n!huge/0/0/none\n"),
        ("RUN --mount=type=bind,source=huge,target=/m true", ""),
    ];
    fails_at_once("paths = 50000\n", &each);
}

/// Builds with Dockerfiles and ignore files that take too many paths; returns the most memory that the worker had, in MiB.
fn fails_at_once(limits: &str, each: &[(&str, &str)]) -> u64 {
    let yard = Yard::start(&format!("[limits]\nworker_memory_mib = 3000\n{limits}"));
    push_base(&yard.path("data"), &yard.registry);
    let mut worker = yard.worker(&[]);
    yard.commit(&[("f", "")]);
    let bare = yard.path("git/app.git");
    for (dockerfile, ignored) in each {
        let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\n{dockerfile}\n");
        let commit = huge(&bare, &[("Dockerfile", &dockerfile), (".dockerignore", ignored)]);
        let id = yard.queue(&yard.request(&commit));
        let (state, code, message) = yard.failed(&id);
        assert_eq!((state.as_str(), yard.build(&id).attempt), ("failed", 1), "{dockerfile}: {code} {message}");
        assert_eq!(code, "too_many_paths", "{dockerfile}: {message}");
        assert!(message.contains("limits.paths"), "{message}");
    }
    assert!(worker.0.try_wait().unwrap().is_none(), "the worker lives");
    let peak = peak(worker.0.id());
    // A directory that is ignored as a whole is not walked.
    let dockerfile = "ARG BASE\nFROM ${BASE}\nCOPY . /c\nRUN test ! -e /c/huge\n";
    let ignored = huge(&bare, &[("Dockerfile", dockerfile), (".dockerignore", "huge\n")]);
    yard.succeeded(&yard.queue(&yard.request(&ignored)));
    peak
}

/// Commits a Dockerfile that takes many paths many times, each time within the limit of one instruction.
fn long_walk(bare: &Path) -> String {
    let copies: String =
        (0..50).map(|number| format!("COPY --exclude=x{number} huge/0/0/0/[0-4] /c{number}/\n")).collect();
    huge(bare, &[("Dockerfile", &format!("FROM scratch\n{copies}"))])
}

#[test]
fn a_build_that_walks_ends_at_its_time_limit() {
    // SEC-B3
    let yard = Yard::start("[limits]\npaths = 2000000\n");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    yard.commit(&[("f", "")]);
    let mut request = yard.request(&long_walk(&yard.path("git/app.git")));
    // A fast machine walks all paths that are allowed within a second.
    request.spec.options.timeout_ms = Some(300);
    let id = yard.queue(&request);
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("timed_out", "build_timeout"), "{message}");
    let build = yard.build(&id);
    let took = build.finished_ms.unwrap() - build.started_ms.unwrap();
    assert!((300..5_000).contains(&took), "it took {took} ms");
}

#[test]
fn a_build_that_walks_is_cancelled_and_limits_are_the_operators() {
    // SEC-B3
    let yard = Yard::start("[limits]\npaths = 2000000\n");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    yard.commit(&[("f", "")]);
    let bare = yard.path("git/app.git");
    let commit = long_walk(&bare);
    let id = yard.queue(&yard.request(&commit));
    crate::support::wait_for("the build to run", || (yard.build(&id).state != BuildState::Queued).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
    let build = yard.finished(&id);
    assert_eq!(build.state, BuildState::Cancelled, "{build:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let few = Yard::start("[limits]\npaths = 5\n");
    let _other = few.worker(&[]);
    let files: Vec<_> = (0..6).map(|number| format!("d/{number}")).collect();
    let mut files: Vec<_> = files.iter().map(|name| (name.as_str(), "")).collect();
    files.push(("Dockerfile", "FROM scratch\nCOPY d /\n"));
    let (_, code, message) = few.failed(&few.push(&files));
    assert_eq!(code, "too_many_paths", "{message}");
    assert!(message.contains("more than 5 paths"), "{message}");
}

#[test]
fn by_hand_every_place_with_files_has_the_same_limit() {
    // SEC-B3
    let place = Place::new();
    place.repository("many", &[("f", "")], "");
    let bare = place.path("git/many.git");
    huge(&bare, &[("Dockerfile", "FROM scratch\nCOPY . /c\n")]);
    let url = format!("{}/git/many.git", place.web);
    let fails = |dockerfile: &str, arguments: &[&str]| {
        std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
        let began = Instant::now();
        let mut command = place.command();
        let output = command.args(["--max-paths", "20000"]).args(arguments).output().unwrap();
        let said = shown(&output);
        assert!(!output.status.success() && said.contains("20000 paths"), "{dockerfile} {arguments:?}: {said}");
        assert!(began.elapsed() < Duration::from_secs(10), "{arguments:?}: {:?}", began.elapsed());
    };
    fails("", &[&format!("{url}#main")]);
    fails(&format!("FROM scratch\nADD {url}#main /c\n"), &["context"]);
    fails(&format!("FROM scratch\nADD --keep-git-dir {url}#main /c\n"), &["context"]);
    let named = format!("more={url}#main");
    fails("FROM scratch\nCOPY --from=more . /c\n", &["--build-context", &named, "context"]);
    for number in 0..20_001 {
        std::fs::create_dir_all(place.path("context/d")).unwrap();
        std::fs::write(place.path(&format!("context/d/{number}")), "").unwrap();
    }
    fails("FROM scratch\nCOPY d /c\n", &["context"]);
    run(Command::new("tar").args(["-cf", "../c.tar", "."]).current_dir(place.path("context")));
    fails("", &["c.tar"]);
    let twice = "FROM scratch AS one\nCOPY --from=d / /a\nFROM scratch\nCOPY --from=one / /c\nCOPY --from=one / /d\n\
                 COPY --from=one / /e\nCOPY --from=one / /f\nCOPY --from=one / /g\n";
    std::fs::remove_file(place.path("context/d/0")).unwrap();
    std::fs::remove_file(place.path("context/d/1")).unwrap();
    std::fs::remove_file(place.path("context/d/2")).unwrap();
    std::fs::remove_file(place.path("context/d/3")).unwrap();
    // Each instruction is within the limit, all together are not.
    std::fs::write(place.path("context/Dockerfile"), twice).unwrap();
    let output = place.command().args(["--max-paths", "20000", "--build-context", "d=context/d", "context"]).output();
    let said = shown(&output.unwrap());
    assert!(said.contains("80000 paths together"), "{said}");
    assert!(!git(&bare, &["rev-parse", "HEAD"]).is_empty());
}
