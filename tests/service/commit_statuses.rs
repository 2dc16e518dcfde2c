//! Commit statuses: told to a local server that refuses what GitHub would refuse.

use crate::support::worker_pool::git;
use crate::support::{Site, curl, slipway, wait_for};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

pub(crate) type Told = Arc<Mutex<Vec<(String, Value)>>>;

/// `POST /repos/{owner}/{repo}/statuses/{sha}` as GitHub documents it.
async fn status(
    State(told): State<Told>,
    Path((owner, repo, sha)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, axum::Json<Value>) {
    let refuse = |status: StatusCode, message: &str| {
        (status, axum::Json(json!({ "message": message, "documentation_url": "x" })))
    };
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some("Bearer forge-token") {
        return refuse(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "Problems parsing JSON");
    };
    let valid = (owner.as_str(), repo.as_str()) == ("Codertocat", "Hello-World")
        && sha.len() == 40
        && ["error", "failure", "pending", "success"].iter().any(|state| body["state"] == *state)
        && body["description"].as_str().is_some_and(|text| text.chars().count() <= 140)
        && body["target_url"].as_str().is_some_and(|url| url.starts_with("http"));
    if !valid {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    }
    told.lock().unwrap().push((sha, body.clone()));
    let creator = json!({ "login": "x", "id": 1 });
    let answer = json!({
        "id": 1, "node_id": "x", "state": body["state"], "description": body["description"], "target_url": body["target_url"],
        "context": body["context"], "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "url": "http://x/", "creator": creator,
    });
    (StatusCode::CREATED, axum::Json(answer))
}

fn states(told: &Told, commit: &str) -> Vec<String> {
    let told = told.lock().unwrap();
    told.iter().filter(|(sha, _)| sha == commit).map(|(_, body)| body["state"].as_str().unwrap().to_owned()).collect()
}

/// Starts a forge and a site that tells it of its builds.
pub(crate) fn told_site(server: &str, more: &str) -> (Told, tokio::runtime::Runtime, Site) {
    let told: Told = Arc::default();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let api = listener.local_addr().unwrap();
    let router = Router::new().route("/repos/{owner}/{repo}/statuses/{sha}", post(status)).with_state(told.clone());
    tokio.spawn(async move { axum::serve(listener, router).await });
    let github = format!("[github]\napi_url = \"http://{api}/\"\ntoken = \"forge-token\"\n");
    let site = Site::start_with(server, &format!("{more}{github}"));
    site.push_base();
    (told, tokio, site)
}

#[test]
fn the_forge_is_told_pending_then_how_it_ended() {
    let (told, _tokio, site) = told_site("", "");
    for (dockerfile, last) in
        [("ARG BASE\nFROM ${BASE}\nRUN true\n", "success"), ("ARG BASE\nFROM ${BASE}\nRUN false\n", "failure")]
    {
        let commit = site.commit(&[("Dockerfile", dockerfile)]);
        let id = site.push(&commit);
        site.finished(&id);
        wait_for("the last status", || (states(&told, &commit).last().map(String::as_str) == Some(last)).then_some(()));
        assert_eq!(states(&told, &commit).first().map(String::as_str), Some("pending"));
        let told = told.lock().unwrap();
        let (_, body) = told.iter().rev().find(|(sha, _)| *sha == commit).unwrap();
        assert_eq!(body["target_url"], format!("{}/builds/{id}", site.url));
        assert_eq!(body["context"], "slipway/main");
    }
}

#[test]
fn what_a_commit_says_is_only_text_wherever_it_is_told() {
    // SEC-30
    let (told, _tokio, site) = told_site("", "");
    let said = "**@everyone** <img src=x onerror=alert(1)> [here](http://evil.example) \u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}back";
    let words = serde_json::to_string(&["/bin/false", said]).unwrap();
    site.commit(&[("Dockerfile", &format!("ARG BASE\nFROM ${{BASE}}\nRUN {words}\n"))]);
    let work = site.path("work");
    git(&work, &["commit", "-q", "--amend", "-m", said]);
    git(&work, &["push", "-q", "--force", site.path("git/app.git").to_str().unwrap(), "HEAD:main"]);
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    let id = site.push(&commit);
    assert_eq!(site.finished(&id)["commit_message"], said, "data is what it is");
    wait_for("the last status", || {
        (states(&told, &commit).last().map(String::as_str) == Some("failure")).then_some(())
    });
    let harms = |text: &str| text.contains(['\u{1b}', '\u{7}', '\u{202e}']) || text.contains("<img src=x");
    {
        let told = told.lock().unwrap();
        let description = told.last().unwrap().1["description"].as_str().unwrap();
        assert!(description.contains("@everyone") && !description.contains(char::is_control), "{description:?}");
        assert!(!description.contains(['\u{1b}', '\u{202e}']), "{description:?}");
    }
    for path in ["/".to_owned(), format!("/builds/{id}"), "/repos/team/app".to_owned(), "/?state=failed".to_owned()] {
        let page = curl(&[&format!("{}{path}", site.url)]).text;
        assert!(!harms(&page), "{path}: {page}");
        assert!(path.starts_with("/repos") || page.contains("&lt;img src=x"), "{path}: {page}");
    }
    for arguments in [vec!["status"], vec!["status", &id]] {
        let shown = slipway().args(arguments).args(["--server", &site.url]).output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("team/app#1") && !shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    }
}
