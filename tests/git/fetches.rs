//! Fetches: how little they ask of a git server, with real repositories behind `git http-backend`.

use crate::support::worker_pool::{git, serve};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use builder::git::{CommitId, CommitTree, FetchSettings, Mirror, Revision, SourceError, remove_unused};
use files::view::View;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The behaviour of a server.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// It speaks all versions of the protocol.
    Current,
    /// It speaks version 0 only.
    Old,
    /// It is old and gives only what its refs name.
    Strict,
}

/// A repository, a server for it, and a mirror.
struct Forge {
    tokio: tokio::runtime::Runtime,
    /// Method and path of each request.
    asked: Arc<Mutex<Vec<String>>>,
    url: String,
    directory: TempDir,
}

impl Forge {
    fn start(manner: Manner) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        git(directory.path(), &["init", "-q", "-b", "main", "work"]);
        git(directory.path(), &["init", "-q", "--bare", "-b", "main", "app.git"]);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let router = crate::support::git_server::router(directory.path().to_owned());
        let router = router.layer(from_fn(move |mut request: Request, next: Next| {
            heard.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
            async move {
                if manner != Manner::Current {
                    request.headers_mut().remove("git-protocol");
                }
                next.run(request).await
            }
        }));
        let url = format!("http://{}/app.git", serve(&tokio, router));
        let forge = Forge { directory, tokio, asked, url };
        if manner == Manner::Strict {
            git(&forge.bare(), &["config", "uploadpack.allowTipSHA1InWant", "false"]);
        }
        forge
    }

    fn bare(&self) -> PathBuf {
        self.directory.path().join("app.git")
    }

    /// Commits a file and pushes to `branch`.
    fn push(&self, name: &str, content: &str, branch: &str) -> String {
        let work = self.directory.path().join("work");
        std::fs::write(work.join(name), content).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", name]);
        git(&work, &["push", "-q", "-f", self.bare().to_str().unwrap(), &format!("HEAD:{branch}")]);
        git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn mirror(&self) -> Mirror {
        Mirror::open(&self.directory.path().join("mirrors"), &self.url).unwrap()
    }

    fn settings(&self) -> FetchSettings {
        settings(self.tokio.handle())
    }

    fn fetch(&self, wanted: &Revision) -> Result<String, SourceError> {
        self.mirror().fetch(wanted, &self.settings()).map(|id| id.as_str().to_owned())
    }

    fn commit(&self, id: &str, git_ref: Option<&str>) -> Result<String, SourceError> {
        self.fetch(&Revision::Commit { id: id.to_owned(), git_ref: git_ref.map(str::to_owned) })
    }

    /// Returns the requests since it was last asked.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Returns the packs of the mirror, their sizes in bytes, smallest first.
    fn packs(&self) -> Vec<u64> {
        let mirrors = std::fs::read_dir(self.directory.path().join("mirrors")).unwrap().flatten();
        let mirror = mirrors.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
        let packs = std::fs::read_dir(mirror.join("objects/pack")).unwrap().flatten();
        let packs = packs.filter(|entry| entry.path().extension().is_some_and(|end| end == "pack"));
        let mut sizes: Vec<_> = packs.map(|entry| entry.metadata().unwrap().len()).collect();
        sizes.sort();
        sizes
    }

    fn has(&self, id: &str, file: &str) -> bool {
        let id = builder::git::CommitId::parse(id).unwrap();
        let tree = CommitTree::open(&self.mirror(), &id, "").unwrap();
        let mut text = String::new();
        let file = tree.lookup(file.as_bytes()).unwrap().map(|_| tree.open_file(file.as_bytes()).unwrap());
        file.is_some_and(|mut file| std::io::Read::read_to_string(&mut file, &mut text).is_ok())
    }
}

fn settings(tokio: &tokio::runtime::Handle) -> FetchSettings {
    FetchSettings {
        client: registry_client::Client::new(registry_client::Settings::default()).unwrap(),
        tokio: tokio.clone(),
        credentials: None,
        ssh: None,
        timeout: Duration::from_secs(60),
        cancel: runtime::CancellationToken::new(),
        reach: registry_client::Reach::Anywhere,
        elsewhere: registry_client::Reach::Anywhere,
        apart: false,
    }
}

/// Returns 100 KB that do not compress.
fn noise() -> String {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(33 + (state >> 33) as u8 % 90)
    };
    (0..100_000).map(next).collect()
}

#[test]
fn a_pushed_commit_is_one_request_and_only_what_changed() {
    let forge = Forge::start(Manner::Current);
    let first = forge.push("large", &noise(), "main");
    assert_eq!(forge.commit(&first, Some("refs/heads/main")).unwrap(), first);
    assert_eq!(forge.asked(), ["POST /app.git/git-upload-pack"]);
    let second = forge.push("small", "1", "main");
    forge.commit(&second, Some("refs/heads/main")).unwrap();
    assert_eq!(forge.asked().len(), 1);
    let packs = forge.packs();
    assert!(packs.len() == 2 && packs[0] < 2_000 && packs[1] > 50_000, "{packs:?}");
    assert!(forge.has(&second, "large") && forge.has(&second, "small"));
    forge.commit(&second, Some("refs/heads/main")).unwrap();
    assert_eq!(forge.asked(), Vec::<String>::new(), "it is here");
    // A file that only the part of the history had that is not here comes again.
    let work = forge.directory.path().join("work");
    git(&work, &["rm", "-q", "large"]);
    let without = forge.push("small", "2", "main");
    let back = forge.push("large", &noise(), "main");
    let mirror = Mirror::open(&forge.directory.path().join("other"), &forge.url).unwrap();
    for id in [&without, &back] {
        let wanted = Revision::Commit { id: id.clone(), git_ref: Some("refs/heads/main".to_owned()) };
        let id = mirror.fetch(&wanted, &forge.settings()).unwrap();
        let tree = CommitTree::open(&mirror, &id, "").unwrap();
        assert_eq!(tree.lookup(b"large").unwrap().is_some(), id.as_str() == back);
    }
}

#[test]
fn a_branch_that_did_not_move_is_one_request() {
    let forge = Forge::start(Manner::Current);
    let id = forge.push("f", "1", "main");
    git(&forge.bare(), &["tag", "-a", "-m", "x", "v1", &id]);
    let of = |name: &str| forge.fetch(&Revision::Ref(name.to_owned()));
    assert_eq!(of("main").unwrap(), id);
    assert_eq!(forge.asked().len(), 2);
    for name in ["main", "HEAD", "refs/heads/main", &id] {
        assert_eq!(of(name).unwrap(), id, "{name}");
        assert_eq!(forge.asked().len(), 1, "{name}");
    }
    assert_eq!(of("v1").unwrap(), id, "an annotated tag names a commit");
    assert_eq!(of("none").unwrap_err().code(), "ref_not_found");
}

#[test]
fn a_commit_that_a_newer_one_overtook_is_still_there() {
    // GIT-03
    let forge = Forge::start(Manner::Current);
    let first = forge.push("f", "1", "main");
    let second = forge.push("f", "2", "main");
    assert_eq!(forge.commit(&first, Some("refs/heads/main")).unwrap(), first);
    assert_eq!(forge.asked().len(), 1);
    assert_eq!(forge.commit(&second, None).unwrap(), second);
    assert_eq!(forge.commit(&"1".repeat(40), Some("refs/heads/main")).unwrap_err().code(), "commit_not_found");
}

#[test]
fn servers_that_speak_the_old_protocol_are_understood() {
    for manner in [Manner::Old, Manner::Strict] {
        let forge = Forge::start(manner);
        let first = forge.push("large", &noise(), "main");
        git(&forge.bare(), &["tag", "-a", "-m", "x", "v1", &first]);
        assert_eq!(forge.fetch(&Revision::Ref("v1".to_owned())).unwrap(), first);
        let second = forge.push("f", "2", "main");
        assert_eq!(forge.commit(&second, Some("refs/heads/main")).unwrap(), second);
        assert!(forge.packs()[0] < 2_000, "{:?}", forge.packs());
        let third = forge.push("f", "3", "main");
        let fourth = forge.push("f", "4", "main");
        // Only the history of the branch has it.
        assert_eq!(forge.commit(&third, Some("refs/heads/main")).unwrap(), third);
        assert!(forge.has(&third, "large"));
        assert_eq!(forge.fetch(&Revision::Ref("main".to_owned())).unwrap(), fourth);
        assert_eq!(forge.commit(&"1".repeat(40), None).unwrap_err().code(), "commit_not_found");
        assert_eq!(forge.fetch(&Revision::Ref("none".to_owned())).unwrap_err().code(), "ref_not_found");
    }
}

#[test]
fn a_branch_may_take_the_place_of_a_directory_of_branches() {
    let forge = Forge::start(Manner::Current);
    let first = forge.push("f", "1", "a");
    forge.commit(&first, Some("refs/heads/a")).unwrap();
    git(&forge.bare(), &["update-ref", "-d", "refs/heads/a"]);
    let second = forge.push("f", "2", "refs/heads/a/b");
    assert_eq!(forge.commit(&second, Some("refs/heads/a/b")).unwrap(), second);
    let work = git(&forge.directory.path().join("work"), &["status", "--porcelain"]);
    assert_eq!(work, "", "nothing is left over");
}

#[test]
fn a_repository_that_moved_is_followed_but_its_login_stays() {
    let forge = Forge::start(Manner::Current);
    let id = forge.push("f", "1", "main");
    let (url, logins) = (forge.url.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = logins.clone();
    let moved = axum::Router::new().fallback(move |request: Request| {
        seen.lock().unwrap().push(request.headers().get("authorization").cloned());
        let target = format!("{url}{}", request.uri().path().trim_start_matches("/old.git"));
        async move { redirect(&target) }
    });
    let address = serve(&forge.tokio, moved);
    let mirror = Mirror::open(&forge.directory.path().join("moved"), &format!("http://{address}/old.git")).unwrap();
    let login = FetchSettings { credentials: Some(("me".to_owned(), "secret".to_owned())), ..forge.settings() };
    let wanted = Revision::Ref("main".to_owned());
    assert_eq!(mirror.fetch(&wanted, &login).unwrap().as_str(), id);
    assert!(logins.lock().unwrap().iter().all(Option::is_some), "the old host gets the login");
    let inner = FetchSettings { reach: registry_client::Reach::PublicOnly, ..forge.settings() };
    let mirror = Mirror::open(&forge.directory.path().join("inner"), &forge.url).unwrap();
    let error = mirror.fetch(&wanted, &inner).unwrap_err();
    assert!(error.code() == "invalid_clone_url" && error.to_string().contains("not public"), "{error}");
}

#[test]
fn mirrors_are_made_anew_when_they_grew_and_go_when_nobody_reads_them() {
    let forge = Forge::start(Manner::Current);
    let mirrors = forge.directory.path().join("mirrors");
    let first = forge.push("f", "1", "main");
    forge.commit(&first, Some("refs/heads/main")).unwrap();
    let packs = std::fs::read_dir(&mirrors).unwrap().flatten().map(|entry| entry.path().join("objects/pack"));
    let packs = packs.into_iter().find(|path| path.is_dir()).unwrap();
    for number in 0..100 {
        std::fs::write(packs.join(format!("pack-{number}.pack")), "").unwrap();
    }
    let reading = CommitTree::open(&forge.mirror(), &CommitId::parse(&first).unwrap(), "").unwrap();
    let second = forge.push("f", "2", "main");
    forge.commit(&second, Some("refs/heads/main")).unwrap();
    assert_eq!(forge.packs().len(), 102, "somebody reads it");
    assert_eq!(remove_unused(&mirrors, Duration::ZERO).unwrap(), 0);
    drop(reading);
    let third = forge.push("f", "3", "main");
    forge.commit(&third, Some("refs/heads/main")).unwrap();
    assert_eq!(forge.packs().len(), 1);
    assert!(forge.has(&third, "f"));
    assert_eq!(remove_unused(&mirrors, Duration::from_secs(3600)).unwrap(), 0, "it was just used");
    assert_eq!(remove_unused(&mirrors, Duration::ZERO).unwrap(), 1);
    forge.commit(&second, Some("refs/heads/main")).unwrap();
    assert!(forge.has(&second, "f"), "it is fetched again");
}

fn redirect(target: &str) -> Response {
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    response.headers_mut().insert("location", HeaderValue::from_str(target).unwrap());
    response
}

#[test]
fn what_is_no_repository_is_said_to_be_none() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = axum::Router::new().fallback(async || ([("content-type", "text/html")], "<html>a page</html>"));
    let address = serve(&tokio, page);
    let directory = tempfile::tempdir().unwrap();
    let fetch = |path: &Path, url: &str| {
        let mirror = Mirror::open(path, url).unwrap();
        mirror.fetch(&Revision::Ref("main".to_owned()), &settings(tokio.handle())).unwrap_err()
    };
    let error = fetch(directory.path(), &format!("http://{address}/page"));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.code() == "fetch_failed" && cause.contains("is this the URL of a repository?"), "{cause}");
    let gone = fetch(directory.path(), "http://127.0.0.1:9/app.git");
    assert!(gone.code() == "fetch_failed" && gone.is_transient(), "{gone}");
}
