//! Pushes that cannot change the image are skipped, with what was compared; whatever could change it is built.

use crate::support::worker_pool::{Yard, git};
use database::{BuildRequest, BuildState, PathFilter, Trigger};
use std::fmt::Write;

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE} AS tools\nRUN --mount=type=bind,source=scripts,target=/s cat /s/* > /made\nFROM ${BASE}\nCOPY src /src\nCOPY *.json link/f /app/\nCOPY --from=tools /made /made\n";

fn files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Dockerfile", DOCKERFILE),
        (".dockerignore", "**/*.md\n"),
        ("src/a", "1"),
        ("package.json", "{}"),
        ("scripts/s", "1"),
        ("real/f", "1"),
        ("README.md", "1"),
    ]
}

/// Returns a yard with one published image of `files`, and the request it was made from.
fn published(filter: PathFilter, paths: &[&str]) -> (Yard, crate::support::Process, BuildRequest) {
    let (yard, worker) = Yard::with_worker("");
    yard.commit(&files());
    std::os::unix::fs::symlink("real", yard.path("work/link")).unwrap();
    let mut request = yard.request(&yard.commit(&[]));
    request.spec.options.path_filter = filter;
    request.spec.options.paths = paths.iter().map(|path| (*path).to_owned()).collect();
    yard.succeeded(&yard.queue(&request));
    (yard, worker, request)
}

fn of_commit(request: &BuildRequest, commit: &str) -> BuildRequest {
    let mut request = request.clone();
    request.spec.commit = Some(commit.to_owned());
    request
}

#[test]
fn a_push_that_changes_nothing_that_is_read_is_skipped() {
    let (yard, _worker, request) = published(PathFilter::Automatic, &[]);
    let commit = yard.commit(&[("README.md", "2"), ("src/notes.md", "ignored"), ("docs/new", "2"), ("other.txt", "2")]);
    let id = yard.queue(&of_commit(&request, &commit));
    let build = yard.finished(&id);
    let reason = build.reason.unwrap();
    assert_eq!((build.state, reason.code.as_str()), (BuildState::Skipped, "path_unchanged"), "{}", yard.log(&id));
    let before = &request.spec.commit.clone().unwrap()[..12];
    assert!(reason.message.contains(before) && reason.message.contains("README.md"), "{}", reason.message);
    assert!(yard.log(&id).contains("skipped: "), "{}", yard.log(&id));
    assert!(yard.tokio.block_on(yard.database.steps(&id)).unwrap().is_empty());
}

#[test]
fn whatever_is_read_is_built() {
    let (yard, _worker, request) = published(PathFilter::Automatic, &[]);
    let changes: [&[(&str, &str)]; 7] = [
        &[("src/a", "2")],
        &[("src/new/b", "1")],
        &[("lock.json", "{}")],
        &[("scripts/s", "2")],
        &[("real/f", "2")],
        &[(".dockerignore", "**/*.md\n*.txt\n")],
        &[("Dockerfile", &format!("{DOCKERFILE}LABEL changed=1\n"))],
    ];
    for change in changes {
        let id = yard.queue(&of_commit(&request, &yard.commit(change)));
        assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "{change:?}: {}", yard.log(&id));
    }
    // A directory of which everything is ignored is still a directory that is copied.
    let id = yard.queue(&of_commit(&request, &yard.commit(&[("src/only/x.md", "1")])));
    assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "a new directory: {}", yard.log(&id));
}

#[test]
fn only_pushes_are_skipped_and_only_with_equal_settings() {
    let (yard, _worker, request) = published(PathFilter::Automatic, &[]);
    let unchanged = of_commit(&request, &yard.commit(&[("README.md", "2")]));
    let with = |change: &dyn Fn(&mut BuildRequest)| {
        let mut request = unchanged.clone();
        change(&mut request);
        yard.finished(&yard.queue(&request)).state
    };
    assert_eq!(with(&|request| request.trigger = Trigger::Manual { by: "ci".into() }), BuildState::Succeeded);
    assert_eq!(with(&|_| ()), BuildState::Skipped);
    assert_eq!(with(&|request| request.spec.use_cache = false), BuildState::Succeeded);
    assert_eq!(with(&|request| request.spec.options.path_filter = PathFilter::Off), BuildState::Succeeded);
    assert_eq!(with(&|request| request.spec.target = Some("tools".into())), BuildState::Succeeded);
    let labels = |request: &mut BuildRequest| drop(request.spec.options.labels.insert("a".into(), "b".into()));
    assert_eq!(with(&labels), BuildState::Succeeded);
}

#[test]
fn a_base_image_that_moved_is_built_on() {
    let (yard, _worker, request) = published(PathFilter::Automatic, &[]);
    let mut base = yard.request(&yard.commit(&[("Base", "ARG BASE\nFROM ${BASE}\nRUN echo newer > /newer\n")]));
    base.rule = "base".to_owned();
    base.spec.dockerfile = "Base".to_owned();
    base.spec.tags = vec![format!("{}/base/busybox:latest", yard.registry)];
    yard.succeeded(&yard.queue(&base));
    let id = yard.queue(&of_commit(&request, &yard.commit(&[("README.md", "2")])));
    assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "{}", yard.log(&id));
}

#[test]
fn a_tag_that_is_new_is_pushed_by_a_build_that_runs_nothing() {
    let (yard, _worker, mut request) = published(PathFilter::Automatic, &[]);
    let commit = yard.commit(&[("README.md", "2")]);
    let tag = format!("{}/team/app:{}", yard.registry, &commit[..7]);
    request.spec.tags.push(tag.clone());
    let id = yard.queue(&of_commit(&request, &commit));
    let build = yard.succeeded(&id);
    assert!(build.image.unwrap().tags.contains(&tag));
    let steps = yard.tokio.block_on(yard.database.steps(&id)).unwrap();
    assert!(steps.iter().filter(|step| step.layer_digest.is_some()).all(|step| step.cached), "{steps:#?}");
}

#[test]
fn patterns_of_a_rule_decide_what_is_built() {
    let (yard, _worker, request) = published(PathFilter::Paths, &["src", "*.json", "!src/*.txt"]);
    for (path, expected) in [
        ("real/f", BuildState::Skipped),
        ("src/x.txt", BuildState::Skipped),
        ("deep/x.json", BuildState::Skipped),
        ("src/deep/y", BuildState::Succeeded),
        ("x.json", BuildState::Succeeded),
    ] {
        let id = yard.queue(&of_commit(&request, &yard.commit(&[(path, "2")])));
        let build = yard.finished(&id);
        assert_eq!(build.state, expected, "{path}: {}", yard.log(&id));
        if expected == BuildState::Skipped {
            assert!(build.reason.unwrap().message.contains("src, *.json, !src/*.txt"));
            // The next change is compared with the last image, which was made before this one.
            git(&yard.path("work"), &["reset", "-q", "--hard", "HEAD~1"]);
        }
    }
    // A rewritten branch is compared like any other; a commit that cannot be had counts as changed.
    git(&yard.path("work"), &["checkout", "-q", "--orphan", "rewritten"]);
    let id = yard.queue(&of_commit(&request, &yard.commit(&[("README.md", "3")])));
    assert_eq!(yard.finished(&id).state, BuildState::Skipped, "{}", yard.log(&id));
    std::fs::remove_dir_all(yard.path("data/git")).unwrap();
    git(&yard.path("git/app.git"), &["reflog", "expire", "--expire=now", "--all"]);
    git(&yard.path("git/app.git"), &["gc", "-q", "--prune=now"]);
    let id = yard.queue(&of_commit(&request, &yard.commit(&[("README.md", "4")])));
    assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "{}", yard.log(&id));
}

/// Fills a bare repository with a commit of 100,000 files on `main`, and with one on `next` that changes one of them.
fn import_hundred_thousand(bare: &std::path::Path) {
    let mut stream = String::new();
    let _ = write!(stream, "commit refs/heads/main\ncommitter t <t@example.com> 1700000000 +0000\ndata 1\na\n");
    for number in 0..100_000 {
        let _ = write!(stream, "M 644 inline d{}/e{}/f{number}\ndata 6\n{number:06}\n", number / 2500, number / 50);
    }
    let _ = write!(
        stream,
        "commit refs/heads/next\ncommitter t <t@example.com> 1700000001 +0000\ndata 1\nb\nfrom refs/heads/main\n"
    );
    let _ = write!(stream, "M 644 inline d8/e400/f20000\ndata 2\nx\n\n");
    import(bare, &stream);
}

/// Writes commits without a work tree.
fn import(bare: &std::path::Path, stream: &str) {
    let file = bare.with_extension("stream");
    std::fs::write(&file, stream).unwrap();
    let import = format!("git -C {} fast-import --quiet < {}", bare.display(), file.display());
    crate::support::run(std::process::Command::new("sh").args(["-c", &import]));
}

/// Commits files on top of `main` of a bare repository and returns the commit's hash.
fn commit_without_work_tree(bare: &std::path::Path, files: &[(&str, &str)]) -> String {
    let mut stream = "commit refs/heads/main\ncommitter t <t@example.com> 1700000002 +0000\ndata 1\nc\n".to_owned();
    stream.push_str("from refs/heads/main^0\n");
    for (name, content) in files {
        let _ = write!(stream, "M 644 inline {name}\ndata {}\n{content}\n", content.len());
    }
    import(bare, &stream);
    git(bare, &["rev-parse", "main"]).trim().to_owned()
}

#[test]
fn the_automatic_filter_takes_at_most_50_ms_with_a_hundred_thousand_files() {
    let (yard, _worker) = Yard::with_worker("");
    let bare = yard.path("git/app.git");
    crate::support::run(std::process::Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
    import_hundred_thousand(&bare);
    let commit = |files: &[(&str, &str)]| commit_without_work_tree(&bare, files);
    let dockerfile = "FROM scratch\nCOPY d1 d7/e35* /some/\nCOPY --parents d9/*/f2251? /more/\n";
    let mut request = yard.request(&commit(&[("Dockerfile", dockerfile), (".dockerignore", "**/f9*\n")]));
    request.spec.options.path_filter = PathFilter::Automatic;
    yard.succeeded(&yard.queue(&request));
    let mut times: Vec<f64> = (0..4)
        .map(|number| {
            let commit = commit(&[("d8/e400/f20000", &number.to_string()), ("docs/new", &number.to_string())]);
            let id = yard.queue(&of_commit(&request, &commit));
            assert_eq!(yard.finished(&id).state, BuildState::Skipped, "{}", yard.log(&id));
            let log = yard.log(&id);
            let (_, time) = log.split_once("compared with the last image in ").unwrap_or_else(|| panic!("{log}"));
            time.split(' ').next().unwrap().parse().unwrap()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("the automatic filter with 100,000 files, in ms: {times:?}");
    assert!(times[0] <= 50.0, "{times:?}");
    let id = yard.queue(&of_commit(&request, &commit(&[("d1/e50/f2500", "changed")])));
    assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "{}", yard.log(&id));
}

#[test]
fn a_hundred_thousand_files_are_compared_within_50_ms() {
    let directory = tempfile::tempdir().unwrap();
    let bare = directory.path().join("big.git");
    crate::support::run(std::process::Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
    import_hundred_thousand(&bare);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let address =
        crate::support::worker_pool::serve(&tokio, crate::support::git_server::router(directory.path().to_owned()));
    let url = format!("http://{address}/big.git");
    let mirror = builder::git::Mirror::open(&directory.path().join("mirrors"), &url).unwrap();
    let settings = builder::git::FetchSettings {
        client: registry_client::Client::new(registry_client::Settings::default()).unwrap(),
        tokio: tokio.handle().clone(),
        credentials: None,
        ssh: None,
        timeout: std::time::Duration::from_secs(120),
        reach: registry_client::Reach::Anywhere,
        elsewhere: registry_client::Reach::Anywhere,
        apart: false,
        cancel: runtime::CancellationToken::new(),
    };
    let fetch = |name: &str| mirror.fetch(&builder::git::Revision::Ref(name.to_owned()), &settings).unwrap();
    let (older, newer) = (fetch("main"), fetch("next"));
    let open = |id| builder::git::CommitTree::open(&mirror, id, "").unwrap();
    let mut times: Vec<_> = (0..5)
        .map(|_| {
            let began = std::time::Instant::now();
            let changes = open(&newer).changes_since(&open(&older)).unwrap();
            assert_eq!(changes.len(), 1);
            assert_eq!(changes[0].path, b"d8/e400/f20000");
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("comparing two commits of 100,000 files: {times:?}");
    assert!(times[0] < std::time::Duration::from_millis(50), "{times:?}");
}
