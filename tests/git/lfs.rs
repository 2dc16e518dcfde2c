//! Files that Git LFS keeps: fetched when a step takes them, and never with more than the server wants for them.

use crate::support::worker_pool::{Yard, git, hook_image, serve};
use crate::support::{git_server, push_base};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::BuildRequest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// The header that the server wants with a download, and nobody else may see.
const PASS: &str = "RemoteAuth canary-of-one-download";

/// A Git LFS server beside a git server.
#[derive(Default)]
struct Lfs {
    directory: PathBuf,
    /// Contents, by what a pointer calls them.
    contents: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Where contents are; the server's own address at first.
    storage: Mutex<String>,
    /// Requests: what was asked, and the headers.
    asked: Mutex<Vec<(String, HeaderMap)>>,
}

impl Lfs {
    /// Keeps a content and returns its pointer.
    fn keep(&self, content: &[u8]) -> String {
        let object = hex::encode(Sha256::digest(content));
        self.contents.lock().unwrap().insert(object.clone(), content.to_vec());
        pointer(&object, content.len())
    }

    fn asked(&self, part: &str) -> Vec<HeaderMap> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(path, _)| path.contains(part)).map(|(_, headers)| headers.clone()).collect()
    }

    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
        self.asked.lock().unwrap().push((path.clone(), headers.clone()));
        if path.ends_with("/info/lfs/objects/batch") {
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let asked: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&asked["operation"], &asked["transfers"][0]), (&json!("download"), &json!("basic")));
            let objects: Vec<_> =
                asked["objects"].as_array().unwrap().iter().map(|object| self.place(object)).collect();
            return (
                [(header::CONTENT_TYPE, "application/vnd.git-lfs+json")],
                json!({ "objects": objects }).to_string(),
            )
                .into_response();
        }
        if let Some(object) = path.strip_prefix("/storage/") {
            let allowed = headers.get("authorization").is_some_and(|pass| pass == PASS);
            let content = self.contents.lock().unwrap().get(object).cloned();
            return match content.filter(|_| allowed) {
                Some(content) => content.into_response(),
                None => StatusCode::FORBIDDEN.into_response(),
            };
        }
        git_server::router(self.directory.join("git")).oneshot(request).await.unwrap().map(Body::new)
    }

    fn place(&self, object: &Value) -> Value {
        let oid = object["oid"].as_str().unwrap();
        if !self.contents.lock().unwrap().contains_key(oid) {
            return json!({ "oid": oid, "error": { "code": 404, "message": "Object does not exist" } });
        }
        let href = format!("{}/storage/{oid}", self.storage.lock().unwrap());
        json!({ "oid": oid, "size": object["size"], "actions": {
            "download": { "href": href, "header": { "Authorization": PASS, "X-Pass": PASS } } } })
    }
}

fn pointer(object: &str, size: usize) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{object}\nsize {size}\n")
}

/// A yard whose repositories are on a server with Git LFS.
struct Place {
    yard: Yard,
    lfs: Arc<Lfs>,
    host: String,
}

impl Place {
    fn start(configuration: impl Fn(&str) -> String) -> Place {
        let mut yard = Yard::start("");
        let lfs = Arc::new(Lfs { directory: yard.directory.path().to_owned(), ..Lfs::default() });
        let (served, tokio) = (lfs.clone(), &yard.tokio);
        let host = serve(tokio, Router::new().fallback(move |request| served.clone().answer(request)));
        *lfs.storage.lock().unwrap() = format!("http://{host}");
        std::fs::write(yard.path("slipway.toml"), configuration(&host)).unwrap();
        push_base(&yard.path("data"), &yard.registry);
        yard.git.clone_from(&host);
        Place { yard, lfs, host }
    }

    /// Queues a build of these files by a Dockerfile with `steps`.
    fn build(&self, steps: &str, files: &[(&str, &str)], change: impl Fn(&mut BuildRequest)) -> database::BuildId {
        let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\n{steps}\n");
        let work = self.yard.path("work");
        if work.join(".git").exists() {
            git(&work, &["rm", "-rfq", "--ignore-unmatch", "."]);
        }
        let files: Vec<_> = files.iter().copied().chain([("Dockerfile", dockerfile.as_str())]).collect();
        let mut request = self.yard.request(&self.yard.commit(&files));
        change(&mut request);
        self.yard.queue(&request)
    }
}

fn as_it_is(_: &mut BuildRequest) {}

#[test]
fn a_file_that_a_step_takes_is_fetched_once() {
    // hub-feedback#500
    let login = |host: &str| format!("[git.\"{host}\"]\nusername = \"me\"\npassword = \"pw\"\n");
    let place = Place::start(login);
    let _worker = place.yard.worker(&[]);
    let text = "x".repeat(5000);
    let (large, other) = (place.lfs.keep(text.as_bytes()), place.lfs.keep(b"other"));
    let files = [
        ("assets/large.bin", large.as_str()),
        ("assets/other", &other),
        ("assets/small", "2"),
        ("not/taken", &pointer(&"0".repeat(64), 1)),
    ];
    let steps = "COPY assets /a\nRUN test $(wc -c < /a/large.bin) = 5000 && test $(cat /a/other) = other && test $(cat /a/small) = 2\n\
                 RUN --mount=type=bind,source=assets,target=/m test $(cat /m/other) = other";
    place.yard.succeeded(&place.build(steps, &files, as_it_is));
    let batches = place.lfs.asked("/info/lfs/objects/batch");
    assert_eq!((batches.len(), place.lfs.asked("/storage/").len()), (1, 2));
    assert!(batches[0].get("authorization").is_some_and(|login| login == "Basic bWU6cHc="), "the login of git");
    // The same repository asks no more; another one asks whether it may have them, and has them already.
    place.yard.succeeded(&place.build(&format!("RUN true\n{steps}"), &files, as_it_is));
    assert_eq!(place.lfs.asked("/info/lfs/objects/batch").len(), 1);
    place.yard.succeeded(&place.build(steps, &files, |request| request.repository = "team/other".to_owned()));
    assert_eq!((place.lfs.asked("/info/lfs/objects/batch").len(), place.lfs.asked("/storage/").len()), (2, 2));
}

#[test]
fn a_file_that_cannot_be_fetched_fails_the_build_and_says_why() {
    // SV-33
    let place = Place::start(|_| "[limits]\nlfs_mib = 1\n".to_owned());
    let _worker = place.yard.worker(&[]);
    let wrong = place.lfs.keep(b"wrong");
    let object = wrong.split("sha256:").nth(1).unwrap()[..64].to_owned();
    place.lfs.contents.lock().unwrap().insert(object.clone(), b"other".to_vec());
    let absent = "5".repeat(64);
    let config = "[lfs]\n\turl = http://localhost:1/x\n";
    for (text, more, reason) in [
        (wrong.clone(), "", "SHA-256"),
        (pointer(&object, 2), "", "more than the 2 bytes"),
        (pointer(&object, 9), "", "has 5 bytes"),
        (pointer(&absent, 1), "", "the server says 404: Object does not exist"),
        (pointer(&absent, 2 << 20), "", "limits.lfs_mib"),
        (pointer("00", 1), "", "malformed"),
        (wrong.clone(), config, "not on the repository's own server"),
    ] {
        let id = place.build("COPY assets /a", &[("assets/f", text.as_str()), (".lfsconfig", more)], as_it_is);
        let (state, code, message) = place.yard.failed(&id);
        assert_eq!((state.as_str(), code.as_str()), ("failed", "lfs_not_fetched"), "{message}");
        assert!(message.contains("`assets/f`") && message.contains(reason), "{reason}: {message}");
    }
    let left_out = |request: &mut BuildRequest| request.spec.options.lfs = false;
    let (_, code, message) = place.yard.failed(&place.build("COPY assets /a", &[("assets/f", &wrong)], left_out));
    assert!(code == "lfs_not_fetched" && message.contains("exclude it in .dockerignore"), "{message}");
}

#[test]
fn what_is_sent_with_a_download_goes_nowhere_else() {
    let login = |host: &str| {
        format!(
            "[git.\"{host}\"]\nusername = \"me\"\npassword = \"pw\"\n[network]\nallow = [\"localhost\", \"127.0.0.0/8\"]\n"
        )
    };
    let place = Place::start(login);
    let _worker = place.yard.worker(&[]);
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let noted = seen.clone();
    let elsewhere = serve(
        &place.yard.tokio,
        Router::new().fallback(move |request: Request| {
            noted.lock().unwrap().push(request.headers().clone());
            async { "moved" }
        }),
    );
    let target = format!("http://{}/moved", elsewhere.replace("127.0.0.1", "localhost"));
    let redirecting = serve(
        &place.yard.tokio,
        Router::new().fallback(move || {
            let target = target.clone();
            async move { (StatusCode::FOUND, [(header::LOCATION, target)]).into_response() }
        }),
    );
    let anywhere = registry_client::Reach::Anywhere;
    let request = registry_client::WebRequest {
        url: format!("http://{redirecting}/x"),
        reach: anywhere,
        elsewhere: anywhere,
        headers: Vec::new(),
        private_headers: vec![("X-Pass".to_owned(), PASS.to_owned())],
        authorization: Some(PASS.to_owned()),
        body: None,
    };
    let client = registry_client::Client::new(registry_client::Settings::default()).unwrap();
    place.yard.tokio.block_on(client.ask(&request)).map(drop).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
    for headers in seen.lock().unwrap().iter() {
        assert!(!headers.contains_key("authorization") && !headers.contains_key("x-pass"), "{headers:?}");
    }
    // A stranger's `.lfsconfig` may name any repository of the server, but not with the login.
    place.lfs.asked.lock().unwrap().clear();
    let config = format!("[lfs]\nurl = http://{}/secret.git/info/lfs\n", place.host);
    let secret = place.lfs.keep(b"secret");
    let stranger = |request: &mut BuildRequest| {
        (request.spec.options.trusted, request.spec.push) = (false, false);
    };
    place.yard.finished(&place.build("COPY f /", &[("f", &secret), (".lfsconfig", &config)], stranger));
    let batches = place.lfs.asked("/secret.git/info/lfs/objects/batch");
    assert!(batches.len() == 1 && !batches[0].contains_key("authorization"), "{batches:?}");
    let log = std::fs::read_to_string(place.yard.path("worker.log")).unwrap();
    let found =
        Command::new("grep").args(["-rlaF", "canary-of-one-download"]).arg(place.yard.path("data")).output().unwrap();
    assert!(!log.contains("canary-of-one-download") && found.stdout.is_empty());
}

#[test]
fn hooks_find_the_files_that_git_lfs_keeps() {
    let place = Place::start(|_| String::new());
    hook_image(&place.yard);
    let _worker = place.yard.worker(&[]);
    let text = "x".repeat(5000);
    let large = place.lfs.keep(text.as_bytes());
    let hook = "#!/bin/sh\nset -e\nwc -c < assets/large.bin > size\n";
    let files = [("assets/large.bin", large.as_str()), ("hooks/pre_build", hook)];
    let steps = "COPY size assets/large.bin /\nRUN test $(cat /size) = 5000 && test $(wc -c < /large.bin) = 5000";
    let with_hooks = |request: &mut BuildRequest| request.spec.options.hub_hooks = true;
    place.yard.succeeded(&place.build(steps, &files, with_hooks));
    assert_eq!(place.lfs.asked("/storage/").len(), 1);

    let missing = pointer(&"0".repeat(64), 1);
    let files = [("assets/large.bin", missing.as_str()), ("hooks/pre_build", hook)];
    let (state, code, message) = place.yard.failed(&place.build(steps, &files, with_hooks));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "lfs_not_fetched"));
    assert!(message.contains("assets/large.bin"), "{message}");

    // A rule that wants none has the pointers, as a clone without Git LFS.
    let without = "COPY size /\nRUN test $(cat /size) -lt 200";
    let without_lfs = |request: &mut BuildRequest| {
        request.spec.options.hub_hooks = true;
        request.spec.options.lfs = false;
    };
    place.yard.succeeded(&place.build(without, &files, without_lfs));
}
