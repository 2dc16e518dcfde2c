//! Git repositories and servers that misbehave, through the fetch that builds use.

use crate::support::scripted_git::{Hostile, Reply, pack_bomb};
use crate::support::worker_pool::{Yard, git};
use crate::support::{Process, push_base, run, slipway};
use builder::git::{FetchSettings, Mirror, Revision, SourceError};
use database::{BuildRequest, BuildState};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn fetch(directory: &Path, url: &str, wanted: &Revision, timeout: Duration) -> Result<String, SourceError> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = FetchSettings {
        client: registry_client::Client::new(registry_client::Settings::default()).unwrap(),
        tokio: tokio.handle().clone(),
        credentials: None,
        ssh: None,
        timeout,
        cancel: runtime::CancellationToken::new(),
        reach: registry_client::Reach::Anywhere,
        elsewhere: registry_client::Reach::Anywhere,
        apart: false,
    };
    Mirror::open(directory, url)?.fetch(wanted, &settings).map(|id| id.as_str().to_owned())
}

fn of_commit(yard: &Yard, commit: &str, url: &str) -> BuildRequest {
    let mut request = yard.request(commit);
    request.spec.clone_url = url.to_owned();
    request
}

/// Makes a tree object of raw entries (mode, name, id) and returns its id.
pub(crate) fn tree(bare: &Path, entries: &[(&str, &[u8], &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend(hex::decode(id).unwrap());
    }
    object(bare, "tree", &bytes)
}

pub(crate) fn object(bare: &Path, kind: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(bare)
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits a tree to the main branch of `app.git` and returns the commit's hash.
pub(crate) fn commit_tree(bare: &Path, tree: &str) -> String {
    let commit = git(bare, &["commit-tree", "-m", "made by hand", tree]).trim().to_owned();
    git(bare, &["update-ref", "refs/heads/main", &commit]);
    commit
}

#[test]
fn refs_and_urls_that_are_options_are_only_names() {
    // GIT-01, GIT-02
    let yard = Yard::start("");
    yard.commit(&[("f", "")]);
    let marker = yard.path("marker");
    let (mirrors, url) = (yard.path("mirrors"), format!("http://{}/app.git", yard.git));
    for name in [format!("--upload-pack=touch {}", marker.display()), "-x".to_owned(), "refs/heads/../../x".to_owned()]
    {
        let error = fetch(&mirrors, &url, &Revision::Ref(name.clone()), Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.code(), "ref_not_found", "{name}: {error}");
    }
    let option = format!("--upload-pack=touch {}", marker.display());
    let error = fetch(&mirrors, &option, &Revision::Ref("main".to_owned()), Duration::from_secs(20)).unwrap_err();
    assert_eq!(error.code(), "invalid_clone_url");
    assert!(!marker.exists());
}

#[test]
fn what_is_not_there_is_named_and_not_tried_again() {
    // GIT-03, GIT-04
    let yard = Yard::start("");
    let _worker = yard.worker(&[]);
    let commit = yard.commit(&[("README", "")]);
    let fails = |request: &BuildRequest| {
        let id = yard.queue(request);
        let failed = yard.failed(&id);
        assert_eq!((failed.0.as_str(), yard.build(&id).attempt), ("failed", 1), "{failed:?}");
        (failed.1, failed.2)
    };
    let gone = "1".repeat(40);
    let (code, message) = fails(&yard.request(&gone));
    assert_eq!(code, "commit_not_found");
    assert!(message.contains(&gone), "{message}");
    let mut request = yard.request(&commit);
    request.spec.dockerfile = "deploy/Dockerfile".to_owned();
    let (code, message) = fails(&request);
    assert_eq!(code, "dockerfile_not_found");
    assert!(message.contains("deploy/Dockerfile"), "{message}");
    request.spec.context = "none".to_owned();
    assert_eq!(fails(&request).0, "context_not_found");
    run(Command::new("git").args(["init", "-q", "--bare"]).arg(yard.path("git/empty.git")));
    let mut empty = of_commit(&yard, &commit, &format!("http://{}/empty.git", yard.git));
    assert_eq!(fails(&empty).0, "commit_not_found");
    empty.spec.commit = None;
    assert_eq!(fails(&empty).0, "ref_not_found");
    let nowhere = of_commit(&yard, &commit, &format!("http://{}/nowhere.git", yard.git));
    assert!(["repository_not_found", "commit_not_found"].contains(&fails(&nowhere).0.as_str()));
}

#[test]
fn refused_credentials_are_not_shown() {
    // GIT-05
    let server = Hostile::start(|_| Reply::status(401, "WWW-Authenticate: Basic realm=\"x\"\r\n"));
    let host = server.address.split(':').next().unwrap();
    let yard = Yard::start(&format!("[git.\"{host}\"]\nusername = \"me\"\npassword = \"canary-token-42\"\n"));
    let _worker = yard.worker(&[]);
    let id = yard.queue(&of_commit(&yard, &"1".repeat(40), &format!("http://{}/app.git", server.address)));
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str(), yard.build(&id).attempt), ("failed", "source_auth", 1), "{message}");
    assert!(server.asked().contains("authorization: Basic"), "the credentials were tried");
    let log = std::fs::read_to_string(yard.path("worker.log")).unwrap();
    for text in [&message, &yard.log(&id), &log] {
        assert!(!text.contains("canary-token-42") && !text.contains("bWU6Y2FuYXJ5"), "{text}");
    }
}

#[test]
fn slow_and_talkative_servers_are_left() {
    // GIT-07, GIT-08
    let directory = tempfile::tempdir().unwrap();
    let commit = Revision::Commit { id: "1".repeat(40), git_ref: Some("refs/heads/main".to_owned()) };
    let slow = Hostile::start(|request| Reply::to(request, &"1".repeat(40), Reply::slow_pack));
    let began = Instant::now();
    let url = format!("http://{}/app.git", slow.address);
    let error = fetch(directory.path(), &url, &commit, Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.code(), "source_timeout", "{error}: {:?}", std::error::Error::source(&error));
    assert!(error.to_string().contains("2 s") && began.elapsed() < Duration::from_secs(10));
    let chatty = Hostile::start(|request| Reply::to(request, &"1".repeat(40), Reply::chatter));
    let url = format!("http://{}/app.git", chatty.address);
    let began = Instant::now();
    let error = fetch(directory.path(), &url, &commit, Duration::from_secs(60)).unwrap_err();
    assert!(!error.to_string().contains('\x1b') && began.elapsed() < Duration::from_secs(30), "{error}");
    assert!(error.code() == "fetch_stopped" && error.to_string().contains("said too much"), "{error}");
}

#[test]
fn a_pack_that_explodes_ends_one_fetch_and_nothing_else() {
    // GIT-09
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let mut worker = yard.worker(&["--builds", "2"]);
    // Repositories that git itself refuses, and those that only the limit of the fetching process stops.
    for copies in [640, 200] {
        let (pack, commit) = pack_bomb(copies);
        assert!(pack.len() < 1024 * 1024, "{} bytes", pack.len());
        let id = commit.clone();
        let server = Hostile::start(move |request| Reply::to(request, &id, || Reply::pack(&id, &pack)));
        let other = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN sleep 1; echo fine\n")]);
        let id = yard.queue(&of_commit(&yard, &commit, &format!("http://{}/app.git", server.address)));
        let (state, code, message) = yard.failed(&id);
        let attempt = yard.build(&id).attempt;
        assert_eq!((state.as_str(), code.as_str(), attempt), ("failed", "source_too_large", 1), "{message}");
        yard.succeeded(&other);
    }
    assert!(worker.0.try_wait().unwrap().is_none(), "the worker lives");
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.0.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(most.parse::<u64>().unwrap() < 512 * 1024, "{most} kB");
}

#[test]
fn links_out_of_the_tree_and_names_of_git_reach_nothing() {
    // GIT-15, GIT-16
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY a* /x/\nRUN cat /x/passwd /x/a/passwd 2>&1 || true\n")]);
    let bare = yard.path("git/app.git");
    let dockerfile = git(&bare, &["rev-parse", "HEAD:Dockerfile"]).trim().to_owned();
    let link = object(&bare, "blob", b"/etc");
    let inside = tree(&bare, &[("100644", b"passwd", &object(&bare, "blob", b"from the tree\n"))]);
    let both =
        tree(&bare, &[("100644", b"Dockerfile", &dockerfile), ("120000", b"a", &link), ("40000", b"a", &inside)]);
    let id = yard.queue(&yard.request(&commit_tree(&bare, &both)));
    let build = yard.finished(&id);
    assert!(matches!(build.state, BuildState::Succeeded | BuildState::Failed), "{:?} {}", build.state, yard.log(&id));
    assert!(!yard.log(&id).contains("root:"), "{}", yard.log(&id));
    for name in [".git", ".GIT", ".g\u{200c}it", "git~1"] {
        let hostile = tree(&bare, &[("40000", name.as_bytes(), &inside), ("100644", b"Dockerfile", &dockerfile)]);
        let (state, code, message) = yard.failed(&yard.queue(&yard.request(&commit_tree(&bare, &hostile))));
        assert_eq!((state.as_str(), code.as_str()), ("failed", "source_unsafe"), "{name}: {message}");
    }
}

#[test]
fn attributes_submodules_and_lfs_are_only_files() {
    // GIT-18, GIT-19, GIT-21, GIT-22, GIT-26
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let marker = yard.path("marker");
    git_config(&yard, &["filter.evil.smudge", &format!("touch {}", marker.display())]);
    let modules = format!(
        "[submodule \"a\"]\n\tpath = sub\n\turl = ext::touch {}\n[submodule \"b\"]\n\tpath = -x\n\turl = file:///etc\n",
        marker.display()
    );
    let attributes = format!("*.txt ident filter=evil\n*.bin filter=lfs\n[attr]{}\n", "x".repeat(3_000));
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let commit = yard.commit(&[
        (
            "Dockerfile",
            "ARG BASE\nFROM ${BASE}\nCOPY --exclude=sub --exclude=*.bin . /x\nRUN cat /x/id.txt; ls -a /x\n",
        ),
        (".gitmodules", &modules),
        (".gitattributes", &attributes),
        ("id.txt", "<$Id$>\n"),
        ("large.bin", pointer),
    ]);
    let work = yard.path("work");
    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    git(&work, &["commit", "-q", "-m", "a submodule"]);
    git(&work, &["push", "-q", yard.path("git/app.git").to_str().unwrap(), "HEAD:main"]);
    let mut request = yard.request(git(&work, &["rev-parse", "HEAD"]).trim());
    let (_, code, message) = yard.failed(&yard.queue(&request));
    assert!(code == "submodule_not_fetched" && message.contains("only http, https and ssh"), "{message}");
    (request.spec.options.submodules, request.spec.options.lfs) = (false, false);
    let id = yard.queue(&request);
    yard.succeeded(&id);
    let log = yard.log(&id);
    for text in ["<$Id$>", "WARNING: submodules are not fetched", "WARNING: files that Git LFS"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert!(!log.lines().any(|line| line == ".git"), "{log}");
    assert!(!marker.exists());
}

fn git_config(yard: &Yard, pair: &[&str]) {
    std::fs::create_dir_all(yard.path("home")).unwrap();
    run(Command::new("git").env("HOME", yard.path("home")).args(["config", "--global"]).args(pair));
}

#[test]
fn names_are_kept_byte_for_byte() {
    // GIT-24
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY d /d\nRUN cd /d && for f in *; do printf %s \"$f\" | od -An -v -tx1 | tr -d ' \\n'; echo; done\n")]);
    let bare = yard.path("git/app.git");
    let (dockerfile, file) = (git(&bare, &["rev-parse", "HEAD:Dockerfile"]), object(&bare, "blob", b"x"));
    let long = vec![b'l'; 255];
    let mut names: Vec<&[u8]> =
        vec![b"A", b"a", b"new\nline", b"tab\t", b"\xff\xfe", b" space ", b"back\\slash", &long];
    names.sort();
    let entries: Vec<_> = names.iter().map(|name| ("100644", *name, file.as_str())).collect();
    let root = tree(&bare, &[("100644", b"Dockerfile", dockerfile.trim()), ("40000", b"d", &tree(&bare, &entries))]);
    let id = yard.queue(&yard.request(&commit_tree(&bare, &root)));
    yard.succeeded(&id);
    let log = yard.log(&id);
    for name in names {
        assert!(log.lines().any(|line| line == hex::encode(name)), "{name:?}: {log}");
    }
}

#[test]
fn configuration_and_templates_of_git_run_nothing() {
    // GIT-25, GIT-28
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let (marker, template) = (yard.path("marker"), yard.path("template"));
    std::fs::create_dir_all(template.join("hooks")).unwrap();
    for hook in ["post-checkout", "reference-transaction", "post-merge"] {
        let path = template.join("hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", marker.display())).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    git_config(&yard, &["init.templateDir", template.to_str().unwrap()]);
    git_config(&yard, &["core.hooksPath", template.join("hooks").to_str().unwrap()]);
    git_config(&yard, &["core.fsmonitor", template.join("hooks/post-merge").to_str().unwrap()]);
    let log = std::fs::File::create(yard.path("worker.log")).unwrap();
    let mut command = slipway();
    command.env("HOME", yard.path("home")).arg("worker").arg("--data-dir").arg(yard.path("data"));
    command.arg("--config").arg(yard.path("slipway.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let _worker = Process(command.spawn().unwrap());
    let elsewhere = Hostile::start(|_| Reply::status(200, ""));
    yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY . /x\n")]);
    let bare = yard.path("git/app.git");
    for (key, value) in [
        ("uploadpack.advertiseBundleURIs", "true"),
        ("bundle.version", "1"),
        ("bundle.mode", "all"),
        ("bundle.a.uri", &format!("http://{}/a.bundle", elsewhere.address)),
    ] {
        git(&bare, &["config", key, value]);
    }
    yard.succeeded(&yard.push(&[("f", "2")]));
    assert!(!marker.exists());
    assert_eq!(elsewhere.asked(), "", "another host was asked");
}

/// Commits `files` small files in directories of 300 to the branch `many` and returns the commit's hash.
fn many_files(bare: &Path, files: usize) -> String {
    let mut stream = "commit refs/heads/many\ncommitter t <t@example.com> 0 +0000\ndata 1\nx\n".to_owned();
    let mut put = |path: String, text: String| {
        stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
    };
    put("Dockerfile".to_owned(), "ARG BASE\nFROM ${BASE}\nCOPY d7 /d7\nRUN ls /d7 | wc -l; cat /d7/f2107\n".to_owned());
    (0..files).for_each(|number| put(format!("d{}/f{number}", number / 300), format!("file {number}")));
    let file = bare.join("stream");
    std::fs::write(&file, stream).unwrap();
    run(Command::new("sh").args(["-c", "git fast-import --quiet < stream && rm stream"]).current_dir(bare));
    git(bare, &["rev-parse", "many"]).trim().to_owned()
}

#[test]
fn many_small_files_take_about_as_long_as_with_git() {
    // GIT-11
    let (yard, _worker) = Yard::with_worker("");
    yard.commit(&[("f", "")]);
    let commit = many_files(&yard.path("git/app.git"), 30_000);
    let began = Instant::now();
    let url = format!("http://{}/app.git", yard.git);
    run(Command::new("git").args(["clone", "-q", "--depth", "1", "-b", "many", &url]).arg(yard.path("clone")));
    let git_took = began.elapsed();
    let mut request = yard.request(&commit);
    request.spec.git_ref = "refs/heads/many".to_owned();
    let id = yard.queue(&request);
    yard.succeeded(&id);
    let log = yard.log(&id);
    assert!(log.contains("\n300\nfile 2107"), "{log}");
    let path = yard.tokio.block_on(yard.database.critical_path(&id)).unwrap();
    let micros = path.iter().filter(|piece| piece.work == "fetch").map(|piece| piece.duration_us).sum::<i64>();
    let took = Duration::from_micros(micros.unsigned_abs());
    println!("30,000 files: git clone {git_took:?}, slipway's fetch {took:?}");
    // A program that is not optimised takes longer to unpack; what must not be is that it takes ever longer with each file.
    assert!(took < git_took * 2 + Duration::from_secs(3), "{took:?}, git {git_took:?}");
}
