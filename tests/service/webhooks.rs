//! Webhooks of repositories: a local receiver refuses what a real one would refuse.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::support::{Site, TOKEN, curl, free_port, run, slipway, wait_for};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Arc, Mutex};

const KEY: &str = "key of the receiver";
const GOOD: &str = "FROM scratch\nCOPY Dockerfile /\n";
const BAD: &str = "FROM scratch\nCOPY missing /\n";

/// A request as it came.
#[derive(Clone)]
struct Told {
    path: String,
    event: String,
    delivery: String,
    status: u16,
    body: Value,
}

type Log = Arc<Mutex<Vec<Told>>>;

/// A server that webhooks are told at, gone with the test.
struct Receiver {
    url: String,
    log: Log,
    _tokio: tokio::runtime::Runtime,
}

impl Receiver {
    fn at(port: u16) -> Receiver {
        let log: Log = Arc::default();
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
        let router = Router::new().fallback(take).with_state(log.clone());
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio.spawn(async move { axum::serve(listener, router).await });
        Receiver { url, log, _tokio: tokio }
    }

    fn all(&self, path: &str) -> Vec<Told> {
        self.log.lock().unwrap().iter().filter(|told| told.path == path).cloned().collect()
    }

    fn events(&self, path: &str) -> Vec<String> {
        self.all(path).into_iter().filter(|told| told.status == 200).map(|told| told.event).collect()
    }

    fn waits_for(&self, path: &str, count: usize) -> Vec<Told> {
        wait_for(path, || Some(self.all(path)).filter(|all| all.len() >= count))
    }
}

/// Takes a request as a careful receiver does; what the path says besides is done to those that are fine.
async fn take(State(log): State<Log>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let path = uri.path().to_owned();
    if path == "/silent" {
        let (event, delivery) = (text("x-slipway-event"), text("x-slipway-delivery"));
        log.lock().unwrap().push(Told { path: path.clone(), event, delivery, status: 0, body: Value::Null });
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = text("x-hub-signature-256");
    let digits = hex::decode(signature.strip_prefix("sha256=").unwrap_or_default()).unwrap_or_default();
    let tries = log.lock().unwrap().iter().filter(|told| told.path == path).count();
    let parsed = serde_json::from_str::<Value>(&body).unwrap_or_default();
    let headed = text("content-type") == "application/json"
        && text("user-agent").starts_with("slipway/")
        && text("x-slipway-delivery").starts_with("ntc_")
        && !text("x-slipway-event").is_empty();
    let status = if !headed || !parsed.is_object() || path == "/signed" && signature.is_empty() {
        400
    } else if !["/hub", "/chat"].contains(&path.as_str()) && mac.verify_slice(&digits).is_err() {
        401
    } else {
        match path.as_str() {
            "/twice" if tries < 2 => 503,
            "/redirect" => 307,
            "/gone" => 410,
            _ => 200,
        }
    };
    let (event, delivery) = (text("x-slipway-event"), text("x-slipway-delivery"));
    log.lock().unwrap().push(Told { path, event, delivery, status, body: parsed });
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/elsewhere")]).into_response()
}

fn hook(receiver: &Receiver, name: &str, rest: &str) -> String {
    format!("[[repositories.webhooks]]\nname = \"{name}\"\nurl = \"{}/{name}\"\n{rest}\n", receiver.url)
}

fn deliveries(site: &Site, repository: &str) -> Vec<Value> {
    let answer = ask(site, "GET", &format!("/v1/repos/{repository}/webhooks/deliveries"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["deliveries"].as_array().unwrap().clone()
}

fn delivery_to(site: &Site, webhook: &str, event: &str) -> Value {
    let all = deliveries(site, "team/app");
    all.into_iter().find(|one| one["webhook"] == webhook && one["event"] == event).unwrap()
}

#[test]
fn webhooks_are_told_how_builds_end() {
    let receiver = Receiver::at(0);
    let signed = format!("secret = \"{KEY}\"\n");
    let failures = format!("{signed}events = [\"failed\"]");
    let everything =
        format!("{signed}events = [\"queued\", \"started\", \"succeeded\", \"failed\", \"fixed\", \"cancelled\"]");
    let hooks = [
        hook(&receiver, "silent", &everything),
        hook(&receiver, "all", &everything),
        hook(&receiver, "usual", &signed),
        hook(&receiver, "twice", &failures),
        hook(&receiver, "redirect", &failures),
        hook(&receiver, "gone", &failures),
        hook(&receiver, "forged", "secret = \"another key\"\nevents = [\"failed\"]"),
        hook(&receiver, "signed", "events = [\"failed\"]"),
        hook(&receiver, "hub", "format = \"dockerhub\""),
    ];
    // They belong to the repository above them, so they stand before everything outside it.
    let site = Site::start(&format!("{}{ADMIN}", hooks.concat()));
    let bad = site.push(&site.commit(&[("Dockerfile", BAD)]));
    assert_eq!(site.finished(&bad)["state"], "failed");
    let told = receiver.waits_for("/all", 3);
    assert_eq!(receiver.events("/all"), ["queued", "started", "failed"]);
    let last = &told[2].body;
    assert_eq!((&last["event"], &last["build"]["id"]), (&json!("failed"), &json!(bad)));
    assert_eq!((&last["build"]["state"], &last["delivery"]), (&json!("failed"), &json!(told[2].delivery)));
    assert!(last["at"].is_string() && last["sequence"].is_i64() && last["build"]["steps"].is_array(), "{last}");
    let good = site.commit(&[("Dockerfile", GOOD)]);
    site.succeeded(&site.push(&good));
    receiver.waits_for("/all", 6);
    assert_eq!(receiver.events("/all")[3..], ["queued", "started", "fixed"]);
    let again = site.commit(&[("Dockerfile", &format!("{GOOD}# again\n"))]);
    site.succeeded(&site.push(&again));
    receiver.waits_for("/usual", 3);
    assert_eq!(receiver.events("/usual"), ["failed", "fixed", "succeeded"]);
    hub_is_told_of_each_tag(&site, &receiver, &good);
    receivers_that_refuse(&site, &receiver);
    a_replay_is_the_same_delivery(&site, &receiver);
    only_administrators_see_urls(&site, &receiver);
}

fn hub_is_told_of_each_tag(site: &Site, receiver: &Receiver, commit: &str) {
    let told = receiver.waits_for("/hub", 4);
    let tags: Vec<_> = told.iter().map(|told| told.body["push_data"]["tag"].as_str().unwrap().to_owned()).collect();
    let mut first: Vec<_> = tags[..2].to_vec();
    first.sort();
    let mut expected = vec![commit[..7].to_owned(), "latest".to_owned()];
    expected.sort();
    assert_eq!(first, expected, "{tags:?}");
    let body = &told[0].body;
    assert_eq!((&body["repository"]["repo_name"], &body["repository"]["name"]), (&json!("team/app"), &json!("app")));
    assert_eq!((&body["repository"]["namespace"], &body["push_data"]["images"]), (&json!("team"), &json!([])));
    assert_eq!(body["repository"]["repo_url"], format!("{}/repos/team/app", site.url));
    assert!(body["push_data"]["pushed_at"].is_i64() && body.get("callback_url").is_none(), "{body}");
}

fn receivers_that_refuse(site: &Site, receiver: &Receiver) {
    // Two answers of 503, then one of 200: the same delivery each time.
    let told = receiver.waits_for("/twice", 3);
    assert_eq!(told.iter().map(|told| told.status).collect::<Vec<_>>(), [503, 503, 200]);
    assert!(told.iter().all(|one| one.delivery == told[0].delivery && one.body["build"] == told[0].body["build"]));
    let delivered =
        wait_for("the record", || Some(delivery_to(site, "twice", "failed")).filter(|one| one["state"] == "delivered"));
    assert_eq!((&delivered["tries"], &delivered["status"]), (&json!(3), &json!(200)));
    // Nothing was sent to where it redirects; it is tried again.
    let redirected = delivery_to(site, "redirect", "failed");
    assert_eq!((&redirected["state"], &redirected["status"]), (&json!("pending"), &json!(307)));
    assert!(redirected["problem"].as_str().unwrap().contains("not followed") && redirected["due_at"].is_string());
    assert!(receiver.all("/elsewhere").is_empty());
    for (webhook, status) in [("forged", 401), ("signed", 400), ("gone", 410)] {
        let refused = delivery_to(site, webhook, "failed");
        let found = (&refused["state"], &refused["status"], &refused["tries"]);
        assert_eq!(found, (&json!("failed"), &json!(status), &json!(1)), "{webhook}");
    }
    // It never answers, and is not asked by several requests at once.
    assert_eq!(receiver.waits_for("/silent", 1)[0].status, 0);
}

fn a_replay_is_the_same_delivery(site: &Site, receiver: &Receiver) {
    let before = receiver.all("/all").len();
    let failed = delivery_to(site, "all", "failed");
    let path = |id: &str| format!("/v1/repos/team/app/webhooks/deliveries/{id}/replay");
    let answer = ask(site, "POST", &path(failed["id"].as_str().unwrap()), &Value::Null);
    assert_eq!((answer.status, &answer.json()["state"]), (202, &json!("pending")), "{}", answer.text);
    let told = receiver.waits_for("/all", before + 1);
    assert_eq!(told.last().unwrap().delivery, failed["id"].as_str().unwrap());
    assert_eq!(ask(site, "POST", &path("ntc_none"), &Value::Null).json()["code"], "delivery_not_found");
}

fn only_administrators_see_urls(site: &Site, receiver: &Receiver) {
    let shown = ask(site, "GET", "/v1/repos/team/app/webhooks", &Value::Null);
    assert!(!shown.text.contains(KEY) && shown.text.contains(&receiver.url), "{}", shown.text);
    let webhooks = shown.json()["webhooks"].clone();
    assert_eq!((&webhooks[1]["name"], &webhooks[1]["has_secret"]), (&json!("all"), &json!(true)));
    assert_eq!((&webhooks[7]["name"], &webhooks[7]["has_secret"]), (&json!("signed"), &json!(false)));
    assert_eq!(webhooks[8]["format"], "dockerhub");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for path in ["/v1/repos/team/app/webhooks", "/v1/repos/team/app/webhooks/deliveries"] {
        let url = format!("{}{path}", site.url);
        assert_eq!((curl(&[&url]).status, curl(&["-H", &bearer, &url]).status), (401, 403), "{path}");
    }
    for path in ["/v1/repos", "/v1/repos/team/app", "/repos/team/app"] {
        let text = curl(&["-H", &bearer, &format!("{}{path}", site.url)]).text;
        assert!(!text.contains(&receiver.url) && text.contains("team/app"), "{path}: {text}");
    }
    let page = curl(&[&format!("{}/repos/team/app", site.url)]).text;
    assert!(page.contains("Webhooks") && page.contains("delivered") && page.contains("fixed"), "{page}");
}

/// Returns a repository of the API with a webhook at `url`.
#[test]
fn a_chat_is_told_a_line() {
    let receiver = Receiver::at(0);
    let site = Site::start(&format!("{}{ADMIN}", hook(&receiver, "chat", "format = \"slack\"")));
    let bad = site.push(&site.commit(&[("Dockerfile", BAD)]));
    site.finished(&bad);
    let told = receiver.waits_for("/chat", 1).remove(0);
    let line = told.body["text"].as_str().unwrap();
    let start = format!("<{}/builds/{bad}|team/app #1> 'main' of main at ", site.url).replace('\'', "`");
    assert!(line.starts_with(&start) && line.contains(" *failed*\n> ") && line.ends_with("\n> A commit"), "{line}");
    assert_eq!((told.status, told.event.as_str()), (200, "failed"));
}

fn document(site: &Site, url: &str) -> Value {
    json!({
        "name": "other/app", "clone_url": format!("http://{}/app.git", site.git), "image": format!("{}/other/app", site.registry),
        "secret": "other secret",
        "webhooks": [{ "name": "chat", "url": url, "secret": KEY, "events": ["queued", "cancelled"] }],
    })
}

fn trigger(site: &Site) -> String {
    let answer = ask(site, "POST", "/v1/repos/other/app/builds", &json!({ "ref": "main" }));
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
}

/// Takes the network's setting out of the configuration and restarts the server.
fn forbid(site: &mut Site) {
    site.server = None;
    let text = std::fs::read_to_string(site.path("slipway.toml")).unwrap();
    std::fs::write(site.path("slipway.toml"), text.replace("allow = [\"127.0.0.1\"]", "allow = []")).unwrap();
    site.serve();
}

#[test]
fn private_addresses_are_the_operators_to_allow() {
    let receiver = Receiver::at(0);
    let mut site = Site::start_with("workers = 0", &format!("{ADMIN}[network]\nallow = [\"127.0.0.1\"]\n"));
    let url = format!("{}/chat", receiver.url);
    let made = ask(&site, "POST", "/v1/repos", &document(&site, &url));
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(!made.text.contains(KEY), "{}", made.text);
    trigger(&site);
    assert_eq!(receiver.waits_for("/chat", 1)[0].status, 200);
    // A change that does not name the secret leaves it as it was.
    let changed = json!({ "webhooks": [{ "name": "chat", "url": url, "events": ["queued"] }] });
    let changed = ask(&site, "PATCH", "/v1/repos/other/app", &changed);
    assert_eq!(
        (changed.status, &changed.json()["webhooks"][0]["events"]),
        (200, &json!(["queued"])),
        "{}",
        changed.text
    );
    trigger(&site);
    assert_eq!(receiver.waits_for("/chat", 2)[1].status, 200);
    // One that is added is told of the next build, however freshly the repository was read before.
    let both = json!({ "webhooks": [
        { "name": "chat", "url": url, "events": ["queued"] },
        { "name": "late", "url": format!("{}/late", receiver.url), "secret": KEY, "events": ["queued"] },
    ] });
    trigger(&site);
    receiver.waits_for("/chat", 3);
    assert_eq!(ask(&site, "PATCH", "/v1/repos/other/app", &both).status, 200);
    trigger(&site);
    assert_eq!(receiver.waits_for("/late", 1)[0].status, 200);
    receiver.waits_for("/chat", 4);
    // Another rule of the operator counts at once, also for webhooks that were accepted before.
    forbid(&mut site);
    trigger(&site);
    let refused =
        wait_for("a refusal", || deliveries(&site, "other/app").into_iter().find(|one| one["state"] == "failed"));
    assert!(refused["problem"].as_str().unwrap().contains("[network] allow"), "{refused}");
    assert_eq!((receiver.all("/chat").len(), receiver.all("/late").len()), (4, 1));
    let wrong = |url: &str| {
        let body = json!({ "webhooks": [{ "name": "chat", "url": url }] });
        ask(&site, "PATCH", "/v1/repos/other/app", &body).json()["code"].clone()
    };
    assert_eq!(
        (wrong(&url), wrong("http://169.254.169.254/x")),
        (json!("address_not_allowed"), json!("address_not_allowed"))
    );
    assert_eq!(wrong("https://me:pass@chat.example.com/x"), "invalid_repository");
    let typo = json!({ "webhooks": [{ "url": url, "evnets": [] }] });
    let typo = ask(&site, "PATCH", "/v1/repos/other/app", &typo).json();
    assert!(
        typo["code"] == "unknown_field" && typo["detail"].as_str().unwrap().contains("did you mean `events`?"),
        "{typo}"
    );
}

#[test]
fn what_a_command_shows_of_webhooks_can_be_added_again() {
    let site = Site::start_with("workers = 0", &format!("{ADMIN}[network]\nallow = [\"127.0.0.1\"]\n"));
    let made = ask(&site, "POST", "/v1/repos", &document(&site, "http://127.0.0.1:9/chat"));
    assert_eq!(made.status, 201, "{}", made.text);
    let command = |arguments: &[&str]| {
        run(slipway().args(arguments).env("SLIPWAY_URL", &site.url).env("SLIPWAY_TOKEN", ADMIN_TOKEN))
    };
    let shown = command(&["repo", "show", "other/app"]);
    assert!(shown.contains("[[webhooks]]") && !shown.contains(KEY), "{shown}");
    let file = site.path("shown.toml");
    std::fs::write(&file, &shown).unwrap();
    command(&["repo", "rm", "other/app"]);
    command(&["repo", "add", "other/app", "--file", file.to_str().unwrap()]);
    assert_eq!(command(&["repo", "show", "other/app"]).replace("secret: none", "secret: set"), shown);
    // Secrets are not part of what is shown.
    let webhooks = ask(&site, "GET", "/v1/repos/other/app/webhooks", &Value::Null).json()["webhooks"].clone();
    assert_eq!((&webhooks[0]["name"], &webhooks[0]["has_secret"]), (&json!("chat"), &json!(false)));
}

#[test]
fn a_server_that_is_killed_tells_it_afterwards() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/chat");
    let mut site = Site::start_with("workers = 0", &format!("{ADMIN}[network]\nallow = [\"127.0.0.1\"]\n"));
    assert_eq!(ask(&site, "POST", "/v1/repos", &document(&site, &url)).status, 201);
    let id = trigger(&site);
    let answer = ask(&site, "POST", &format!("/v1/builds/{id}/cancel"), &Value::Null);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let server = &mut site.server.as_mut().unwrap().0;
    server.kill().unwrap();
    server.wait().unwrap();
    let receiver = Receiver::at(port);
    site.serve();
    receiver.waits_for("/chat", 2);
    let mut events = receiver.events("/chat");
    events.sort();
    assert_eq!(events, ["cancelled", "queued"]);
}

#[test]
fn what_a_commit_says_reaches_a_receiver_as_data() {
    // SEC-30
    let receiver = Receiver::at(0);
    let site = Site::start(&hook(&receiver, "all", &format!("secret = \"{KEY}\"\nevents = [\"failed\"]")));
    site.commit(&[("Dockerfile", BAD)]);
    let said = "@channel **x** <!here> \"}, \u{1b}[31m \u{202e} X-Slipway-Event: succeeded";
    let work = site.path("work");
    crate::support::worker_pool::git(&work, &["commit", "-q", "--amend", "-m", &format!("{said}\n\nX-Evil: 1")]);
    let bare = site.path("git/app.git");
    crate::support::worker_pool::git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), "HEAD:main"]);
    let commit = crate::support::worker_pool::git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    let id = site.push(&commit);
    let told = receiver.waits_for("/all", 1).remove(0);
    assert_eq!((told.status, told.event.as_str()), (200, "failed"), "{:#}", told.body);
    assert_eq!((&told.body["build"]["id"], &told.body["build"]["commit_message"]), (&json!(id), &json!(said)));
}
