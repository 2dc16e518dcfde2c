//! Outages and refusals, and how the service reports them: a database that is gone, readers that do not read, heads
//! that two servers could read in two ways, redirects inwards, pull requests of strangers.

use crate::support::raw_http::{Connection, delivery, push};
use crate::support::worker_pool::serve;
use crate::support::{SECRET, Site, TOKEN, curl, slipway};
use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ADMIN: &str =
    "[[tokens]]\nname = \"admin\"\ntoken = \"fedcba9876543210fedcba9876543210\"\nscopes = [\"admin\"]\n";
const ADMIN_BEARER: &str = "Authorization: Bearer fedcba9876543210fedcba9876543210";

fn trigger(site: &Site, repository: &str) -> String {
    let url = format!("{}/v1/repos/{repository}/builds", site.url);
    let answer = curl(&["-X", "POST", "-H", ADMIN_BEARER, "-d", r#"{"ref":"main"}"#, &url]);
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_database_that_is_gone_is_said_to_be_and_works_again() {
    // WH-29, RL9
    let cluster = crate::support::cluster::Cluster::start();
    let site = Site::start_with(&format!("database = \"{}\"", cluster.create()), "");
    let deliver = |number: usize| {
        let body = push("refs/heads/main", &format!("{number:040x}"), "x");
        let began = Instant::now();
        let (reply, _) =
            Connection::open(&site.url).ask(&delivery("push", &format!("d-{number}"), body.as_bytes(), SECRET));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        reply
    };
    assert_eq!(deliver(1).status, 202);
    cluster.crash();
    let refused = deliver(2);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{:?}", refused.head);
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(body["code"], "database_unavailable", "{body}");
    cluster.up();
    assert_eq!(deliver(2).status, 202, "what was refused was not stored");
}

#[test]
fn a_pull_request_builds_nothing() {
    // WH-31: what a fork wants is built for nobody who did not ask for it.
    let site = Site::start("");
    let body = json!({
        "action": "opened", "number": 1,
        "pull_request": {
            "head": { "ref": "main", "sha": "1".repeat(40), "repo": { "fork": true, "full_name": "stranger/fork", "clone_url": "http://x/y.git" } },
            "base": { "ref": "main", "sha": "2".repeat(40) },
        },
        "repository": { "full_name": "Codertocat/Hello-World" },
    });
    let answer = site.deliver("pull_request", "fork", &body.to_string(), SECRET);
    assert_eq!((answer.status, &answer.json()["reason"]), (200, &"pull_requests_off".into()), "{}", answer.text);
    assert_eq!(site.get("/v1/builds")["builds"], json!([]));
    assert_eq!(site.get("/v1/deliveries")["deliveries"][0]["reason"], "pull_requests_off");
}

#[test]
fn a_line_feed_alone_ends_no_line_of_a_head() {
    // API-15
    let site = Site::start("");
    for head in ["GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", "GET /healthz HTTP/1.1\nHost: x\n\n"] {
        let mut connection = Connection::open(&site.url);
        // Valid requests before it do not help.
        assert_eq!(connection.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").0.status, 200);
        connection.send(head.as_bytes()).unwrap();
        assert_eq!(connection.reply().map(|reply| reply.status), Some(400), "{head:?}");
        assert!(connection.reply().is_none(), "the connection is closed");
    }
}

#[test]
fn a_redirect_leads_nowhere_near_this_machine() {
    // API-22
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = reached.clone();
    let inner = axum::Router::new().fallback(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::OK }
    });
    let inner = serve(&tokio, inner);
    let target = format!("http://{inner}/app.git/git-upload-pack");
    let outer = serve(
        &tokio,
        axum::Router::new().fallback(move || {
            let answer = (StatusCode::FOUND, [(header::LOCATION, target.clone())]);
            async move { answer }
        }),
    );
    let site = Site::start(&format!("{ADMIN}[network]\nallow = [\"{outer}\"]\n"));
    let document = json!({
        "name": "other/app", "clone_url": format!("http://{outer}/app.git"), "image": format!("{}/other/app", site.registry),
    });
    let url = format!("{}/v1/repos", site.url);
    let added = curl(&["-X", "POST", "-H", ADMIN_BEARER, "-d", &document.to_string(), &url]);
    assert_eq!(added.status, 201, "{}", added.text);
    let build = site.finished(&trigger(&site, "other/app"));
    assert_eq!(
        (&build["state"], &build["reason"]["code"]),
        (&"failed".into(), &"invalid_clone_url".into()),
        "{build:#}"
    );
    assert!(build["reason"]["message"].as_str().unwrap().contains("not public"), "{build:#}");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

/// A reader of a log as server-sent events.
fn read_events(site: &Site, id: &str, after: usize) -> TcpStream {
    let mut stream = TcpStream::connect(site.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "GET /v1/builds/{id}/logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
         Accept: text/event-stream\r\nLast-Event-ID: {after}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn a_reader_that_stalls_is_dropped_and_resumes() {
    // API-14
    let site = Site::start(ADMIN);
    site.push_base();
    let line = "a line of a long log, again and again and again and again";
    site.commit(&[("Dockerfile", &format!("ARG BASE\nFROM ${{BASE}}\nRUN yes '{line}' | head -n 300000\n"))]);
    let id = trigger(&site, "team/app");
    site.succeeded(&id);
    let mut stalled: Vec<TcpStream> = (0..20).map(|_| read_events(&site, &id, 0)).collect();
    // They read nothing for longer than the server waits (30 s, once no more fits on the way); then what was on its way still
    // arrives, and the connection ends.
    std::thread::sleep(Duration::from_secs(55));
    let mut texts = stalled.iter_mut().map(|reader| {
        reader.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut text = Vec::new();
        let ended = reader.read_to_end(&mut text);
        let kind = ended.as_ref().err().map(std::io::Error::kind);
        assert!(
            !matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            "a reader is still there: {ended:?}"
        );
        text
    });
    let text = texts.next().unwrap();
    assert_eq!(texts.count(), 19);
    let text = String::from_utf8_lossy(&text).into_owned();
    let ids = text
        .split("\n\n")
        .filter(|event| event.contains("data:"))
        .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("id: ")?.trim().parse::<usize>().ok()));
    let last = ids.last().unwrap();
    assert!(!text.contains("event: end"), "the log was longer than what fits on the way");
    let mut rest = String::new();
    read_events(&site, &id, last).read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: end"));
    let event = rest.split("\n\n").find(|event| event.contains("event: log")).unwrap();
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let data: Value = serde_json::from_str(field("data: ")).unwrap();
    let end: usize = field("id: ").parse().unwrap();
    assert_eq!(end - data["text"].as_str().unwrap().len(), last, "nothing is left out and nothing comes twice");
    // A command whose reader goes away ends as others do, and says nothing.
    for follow in ["", "-f"] {
        let script = format!("(\"$0\" logs {follow} --server {} {id}; echo code $? >&2) | head -n 1", site.url);
        let output =
            std::process::Command::new("sh").arg("-c").arg(script).arg(slipway().get_program()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "code 141\n", "logs {follow}");
    }
}
