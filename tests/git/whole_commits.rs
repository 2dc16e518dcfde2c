//! Commits that do not hold all that they name, and ignore files that cannot be used: never an image with less or more.

use crate::support::build_directory::Place;
use crate::support::worker_pool::{Yard, git};
use crate::support::{push_base, shown};
use database::BuildRequest;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

/// Adds submodules, each at a path, to the last commit of a yard and returns the new commit.
fn with_submodules(yard: &Yard, paths: &[&str]) -> String {
    let work = yard.path("work");
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    for path in paths {
        git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
    }
    git(&work, &["commit", "-q", "-m", "submodules"]);
    git(&work, &["push", "-q", yard.path("git/app.git").to_str().unwrap(), "HEAD:main"]);
    git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
}

#[test]
fn what_a_commit_only_names_is_no_empty_directory_and_no_pointer() {
    // SV-33
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let modules = "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n";
    let files = |dockerfile: &str, ignored: &str| {
        let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\n{dockerfile}\n");
        yard.commit(&[
            ("Dockerfile", &dockerfile),
            (".dockerignore", ignored),
            (".gitmodules", modules),
            ("src/f", "1"),
            ("assets/large.bin", POINTER),
            ("assets/small", "2"),
        ]);
        with_submodules(&yard, &["lib", "deep/er/other"])
    };
    let ends = |dockerfile: &str, ignored: &str| {
        let mut request = yard.request(&files(dockerfile, ignored));
        (request.spec.options.submodules, request.spec.options.lfs) = (false, false);
        yard.queue(&request)
    };
    for (dockerfile, ignored, code, path) in [
        ("COPY . /c", "assets\n", "submodule_not_fetched", "`deep/er/other`"),
        ("COPY . /c", "assets\ndeep\n", "submodule_not_fetched", "`lib`"),
        ("COPY lib /c", "", "submodule_not_fetched", "`lib`"),
        ("COPY lib/src/f /c", "", "submodule_not_fetched", "`lib`"),
        ("COPY deep /c", "", "submodule_not_fetched", "`deep/er/other`"),
        ("COPY l* /c/", "", "submodule_not_fetched", "`lib`"),
        ("ADD lib /c", "", "submodule_not_fetched", "`lib`"),
        ("RUN --mount=type=bind,source=lib,target=/m true", "", "submodule_not_fetched", "`lib`"),
        ("COPY assets /c", "", "lfs_not_fetched", "`assets/large.bin`"),
        ("COPY assets/large.bin /c", "", "lfs_not_fetched", "`assets/large.bin`"),
        ("ADD assets/large.bin /c", "", "lfs_not_fetched", "`assets/large.bin`"),
        ("RUN --mount=type=bind,source=assets,target=/m true", "", "lfs_not_fetched", "`assets/large.bin`"),
    ] {
        let id = ends(dockerfile, ignored);
        let (state, found, message) = yard.failed(&id);
        assert_eq!(
            (state.as_str(), found.as_str(), yard.build(&id).attempt),
            ("failed", code, 1),
            "{dockerfile}: {message}"
        );
        assert!(message.contains(path), "{dockerfile}: {message}");
    }
    for (dockerfile, ignored) in [
        ("COPY src /c", ""),
        ("COPY . /c", "lib\ndeep\n**/*.bin\n"),
        ("COPY --exclude=*.bin assets /c", ""),
        ("COPY s* /c/", ""),
        ("RUN true", ""),
    ] {
        yard.succeeded(&ends(dockerfile, ignored));
    }
}

#[test]
fn an_ignore_file_that_cannot_be_used_is_said_by_hand() {
    // EN-98
    let place = Place::new();
    let context = place.path("context");
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    std::fs::write(place.path("outside"), "x\n").unwrap();
    std::fs::create_dir(context.join("d")).unwrap();
    let fails = |name: &str, make: &dyn Fn(&Path), problem: &str| {
        let file = context.join(name);
        make(&file);
        for arguments in [&["context"][..], &["-f", "context/Dockerfile", "context"]] {
            let said = shown(&place.command().args(arguments).output().unwrap());
            assert!(said.contains("cannot be used") && said.contains(problem) && said.contains(name), "{name}: {said}");
        }
        match file.symlink_metadata().unwrap().is_dir() {
            true => std::fs::remove_dir(&file).unwrap(),
            false => std::fs::remove_file(&file).unwrap(),
        }
    };
    let own = "Dockerfile.dockerignore";
    fails(".dockerignore", &|file| symlink("nowhere", file).unwrap(), "`nowhere`, which is not in the context");
    fails(".dockerignore", &|file| symlink("d/nowhere", file).unwrap(), "not in the context");
    fails(".dockerignore", &|file| symlink(".dockerignore", file).unwrap(), "circle");
    fails(".dockerignore", &|file| symlink("../outside", file).unwrap(), "out of the context");
    fails(".dockerignore", &|file| symlink("/etc/hostname", file).unwrap(), "out of the context");
    fails(".dockerignore", &|file| symlink("d", file).unwrap(), "directory");
    fails(".dockerignore", &|file| std::fs::create_dir(file).unwrap(), "directory");
    fails(own, &|file| std::fs::create_dir(file).unwrap(), "directory");
    let fifo = |file: &Path| assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    fails(".dockerignore", &fifo, "regular file");
    fails(own, &fifo, "regular file");
    for name in [".dockerignore", own] {
        fails(name, &|file| std::fs::write(file, b"caf\xe9\n").unwrap(), "UTF-8");
        fails(name, &|file| std::fs::write(file, b"\xff\xfes\0e\0c\0").unwrap(), "UTF-8");
        fails(name, &|file| std::fs::write(file, vec![b'#'; 2 << 20]).unwrap(), "bytes");
    }
    symlink("nowhere", context.join(own)).unwrap();
    let said = shown(&place.command().arg("context").output().unwrap());
    assert!(said.contains("cannot be used") && said.contains(own), "{said}");
    std::fs::remove_file(context.join(own)).unwrap();
    // A link within the context is followed, and a byte order mark is not a pattern.
    std::fs::write(context.join("d/ignored"), "\u{feff}d\n").unwrap();
    symlink("d/ignored", context.join(".dockerignore")).unwrap();
    let files = place.files("FROM scratch\nCOPY . /\n", &[]).unwrap();
    assert!(!files.lines().any(|line| line.starts_with('-') && line.ends_with(" d/ignored")), "{files}");
}

#[test]
fn an_ignore_file_of_a_commit_that_cannot_be_used_fails_its_build() {
    // EN-98
    let yard = Yard::start("");
    let _worker = yard.worker(&[]);
    for (name, target, problem) in [
        (".dockerignore", "nowhere", "not in the context"),
        (".dockerignore", ".dockerignore", "circle"),
        (".dockerignore", "../out", "out of the context"),
        (".dockerignore", "/etc/hostname", "out of the context"),
        ("Dockerfile.dockerignore", "d", "directory"),
    ] {
        yard.commit(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("d/f", "1")]);
        let work = yard.path("work");
        let _ = std::fs::remove_file(work.join(name));
        symlink(target, work.join(name)).unwrap();
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", "a link"]);
        git(&work, &["push", "-q", yard.path("git/app.git").to_str().unwrap(), "HEAD:main"]);
        std::fs::remove_file(work.join(name)).unwrap();
        let id = yard.queue(&yard.request(git(&work, &["rev-parse", "HEAD"]).trim()));
        let (state, code, message) = yard.failed(&id);
        assert_eq!((state.as_str(), code.as_str()), ("failed", "invalid_ignore_file"), "{target}: {message}");
        assert!(message.contains(problem) && yard.build(&id).attempt == 1, "{target}: {message}");
    }
}

#[test]
fn a_repository_of_the_api_is_fetched_only_from_where_it_may_be() {
    // SEC-M5: whatever was checked when it was made, the address that is connected to counts
    let ends = |configuration: &str, host: Option<&str>| {
        let yard = Yard::start(configuration);
        yard.tokio.block_on(yard.database.put_repository("team/app", "{}", Some(0))).unwrap();
        let _worker = yard.worker(&[]);
        let commit = yard.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
        let mut request: BuildRequest = yard.request(&commit);
        if let Some(host) = host {
            request.spec.clone_url = request.spec.clone_url.replace("127.0.0.1", host);
        }
        let build = yard.finished(&yard.queue(&request));
        build.reason.map(|reason| (reason.code, reason.message))
    };
    let (code, message) = ends("", None).unwrap();
    assert_eq!(code, "invalid_clone_url", "{message}");
    assert!(message.contains("[network] allow"), "{message}");
    assert_eq!(ends("[network]\nallow = [\"127.0.0.0/8\"]\n", None), None);
    assert_eq!(ends("", Some("localhost")).unwrap().0, "invalid_clone_url");
    assert_eq!(ends("[network]\nallow = [\"localhost\"]\n", Some("localhost")), None);
}
