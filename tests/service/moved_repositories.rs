//! Repositories that were renamed or transferred on their forge: followed by their ids, and reported.

use crate::service::api::{ADMIN, ask};
use crate::service::forges::{deliver, signed_with};
use crate::support::forge_comments::REPOSITORY_ID;
use crate::support::forge_server::{ForgeServer, REPOSITORY};
use crate::support::{Site, curl, wait_for};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

/// Token of the forges.
const TOKEN: &str = "glpat-canary-0a77d25f1c";
/// Key of the repository's deliveries.
const KEY: &str = "key of the repository that moves";
const OLD: &str = "before/old-name";

/// Returns the path, the headers and the body with which a forge tells of a push to the repository `name` with an id.
fn told_push(kind: &str, name: &str, id: &str, commit: &str, key: &str) -> (&'static str, Vec<String>, String) {
    let zero = "0".repeat(40);
    let (owner, slug) = name.split_once('/').unwrap();
    let number: Value = serde_json::from_str(id).unwrap_or(Value::Null);
    let (path, body) = match kind {
        "gitlab" => (
            "/hooks/gitlab",
            json!({
                "object_kind": "push", "ref": "refs/heads/main", "before": zero, "after": commit, "checkout_sha": commit,
                "project": { "id": number, "path_with_namespace": name }, "commits": [],
            }),
        ),
        "bitbucket" => (
            "/hooks/bitbucket",
            json!({
                "push": { "changes": [{ "old": null, "new": { "type": "branch", "name": "main", "target": { "hash": commit, "message": "m" } } }] },
                "repository": { "full_name": name, "uuid": id }, "actor": { "nickname": "me" },
            }),
        ),
        "bitbucket-datacenter" => (
            "/hooks/bitbucket",
            json!({
                "changes": [{ "ref": { "id": "refs/heads/main" }, "fromHash": zero, "toHash": commit, "type": "UPDATE" }],
                "repository": { "id": number, "slug": slug, "project": { "key": owner } }, "actor": { "name": "me" },
            }),
        ),
        kind => (
            if kind == "github" { "/hooks/github" } else { "/hooks/gitea" },
            json!({
                "ref": "refs/heads/main", "before": zero, "after": commit, "head_commit": { "id": commit, "message": "m" },
                "repository": { "id": number, "full_name": name, "default_branch": "main" }, "pusher": { "login": "me" }, "commits": [],
            }),
        ),
    };
    let body = body.to_string();
    let signed = signed_with(key, &body);
    let headers = match kind {
        "gitlab" => vec![
            "X-Gitlab-Event: Push Hook".to_owned(),
            format!("X-Gitlab-Token: {key}"),
            format!("Idempotency-Key: {name}{commit}"),
        ],
        "bitbucket" | "bitbucket-datacenter" => vec![
            format!("X-Event-Key: {}", if kind == "bitbucket" { "repo:push" } else { "repo:refs_changed" }),
            format!("X-Request-UUID: {name}{commit}"),
            format!("X-Hub-Signature: sha256={signed}"),
        ],
        "github" => vec![
            "X-GitHub-Event: push".to_owned(),
            format!("X-GitHub-Delivery: {name}{commit}"),
            format!("X-Hub-Signature-256: sha256={signed}"),
        ],
        _ => vec![
            "X-Gitea-Event: push".to_owned(),
            format!("X-Gitea-Delivery: {name}{commit}"),
            format!("X-Gitea-Signature: {signed}"),
        ],
    };
    (path, headers, body)
}

/// Starts a service with a repository that the forge called by its old name until now.
fn start(forge: &ForgeServer) -> Site {
    let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
    site.push_base();
    let document = json!({
        "name": "moved/app", "forge_name": OLD, "secret": KEY, "clone_url": site.get("/v1/repos/team/app")["clone_url"],
        "image": format!("{}/moved/app", site.registry),
        "rules": [{ "name": "main", "branch": "main", "build_args": { "BASE": format!("{}/base/busybox", site.registry) } }],
    });
    assert_eq!(ask(&site, "POST", "/v1/repos", &document).status, 201);
    site
}

/// Delivers a push of a new commit; returns the status and the commit.
fn push(site: &Site, kind: &str, name: &str, id: &str, key: &str) -> (u16, String) {
    static PUSHES: AtomicU32 = AtomicU32::new(0);
    let content = PUSHES.fetch_add(1, Ordering::Relaxed).to_string();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY file /\n"), ("file", &content)]);
    let (path, headers, body) = told_push(kind, name, id, &commit, key);
    let (status, answer) = deliver(site, path, &headers, &body);
    if status == 202 {
        site.succeeded(answer["builds"][0]["id"].as_str().unwrap());
    }
    (status, commit)
}

fn follow(kind: &'static str) {
    let forge = ForgeServer::start(kind, TOKEN);
    let site = start(&forge);
    let id = if kind == "bitbucket" { "{a1b2}" } else { "4711" };
    assert_eq!(if kind == "bitbucket" { REPOSITORY_ID.1 } else { REPOSITORY_ID.0 }, id);
    let new = format!("{}/{}", REPOSITORY.0, REPOSITORY.1);
    // Before its id is known nobody knows the new name.
    assert_eq!(push(&site, kind, &new, id, KEY).0, 401, "{kind}");
    assert_eq!(push(&site, kind, OLD, id, KEY).0, 202, "{kind}");
    assert_eq!(site.get("/v1/repos/moved/app")["meta"]["moved"], Value::Null);
    let (status, commit) = push(&site, kind, &new, id, KEY);
    assert_eq!(status, 202, "{kind}");
    wait_for("a status under the new name", || (!forge.states(&commit).is_empty()).then_some(()));
    let moved = site.get("/v1/repos/moved/app")["meta"]["moved"].clone();
    assert_eq!((&moved["forge_name"], &moved["is_confirmed"]), (&json!(new), &json!(true)), "{moved:#}");
    let page = curl(&[&format!("{}/repos/moved/app", site.url)]).text;
    assert!(page.contains("The forge calls this repository") && page.contains(&new), "{page}");
    // Its own key is needed all the same, and its own id.
    assert_eq!(push(&site, kind, &new, id, "the key of somebody else").0, 401);
    let other = if kind == "bitbucket" { "{ffff}" } else { "4712" };
    assert_eq!(push(&site, kind, &new, other, KEY).0, 401);
}

#[test]
fn a_repository_is_followed_on_github_and_gitlab() {
    follow("github");
    follow("gitlab");
}

#[test]
fn a_repository_is_followed_on_gitea_and_bitbucket() {
    follow("gitea");
    follow("bitbucket");
    follow("bitbucket-datacenter");
}

#[test]
fn a_name_that_the_forge_does_not_confirm_gets_no_status() {
    let forge = ForgeServer::start("gitea", TOKEN);
    let site = start(&forge);
    // Somebody who knows the key says that the repository is another one: the forge has another id for that.
    assert_eq!(push(&site, "gitea", OLD, "9", KEY).0, 202);
    let new = format!("{}/{}", REPOSITORY.0, REPOSITORY.1);
    let (status, commit) = push(&site, "gitea", &new, "9", KEY);
    assert_eq!(status, 202);
    let asked = format!("/repos/{}/statuses/{commit}", OLD);
    wait_for("a status under the old name", || forge.asked().iter().any(|one| one.1.contains(&asked)).then_some(()));
    assert_eq!(forge.states(&commit), [""; 0]);
    let moved = site.get("/v1/repos/moved/app")["meta"]["moved"].clone();
    assert_eq!(moved["is_confirmed"], false, "{moved:#}");
    // Once the server has the new name there is nothing to report.
    assert_eq!(ask(&site, "PATCH", "/v1/repos/moved/app", &json!({ "forge_name": new })).status, 200);
    assert_eq!(site.get("/v1/repos/moved/app")["meta"]["moved"], Value::Null);
    assert_eq!(push(&site, "gitea", &new, "9", KEY).0, 202);
    assert_eq!(site.get("/v1/repos/moved/app")["meta"]["moved"], Value::Null);
}
