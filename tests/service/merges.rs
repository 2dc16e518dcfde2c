//! Images of pull requests: tags of their own, and merges that are not built again.

use crate::registry::registries::docker_registry;
use crate::service::api::ADMIN;
use crate::service::pull_requests::{KEY, add, deliver, only, payload, propose};
use crate::support::raw_http::push;
use crate::support::worker_pool::git;
use crate::support::{Site, TOKEN, curl, run, wait_for};
use serde_json::{Value, json};
use std::process::Command;

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nCOPY src /src\nRUN date +%N > /made\n";

/// Starts a service whose repository builds pull requests as `settings` say, and has a first image.
fn start(settings: &Value) -> Site {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", DOCKERFILE), ("src", "1")]);
    add(&site, settings);
    site
}

/// Merges the commit of a pull request into the main branch, with a commit of its own, and delivers the push.
fn merge(site: &Site, number: u32) -> Value {
    let (bare, work) = (site.path("git/app.git"), site.path(&format!("merged-{number}")));
    run(Command::new("git").args(["clone", "-q"]).arg(&bare).arg(&work));
    git(&work, &["fetch", "-q", "origin", &format!("refs/pull/{number}/head")]);
    git(&work, &["merge", "-q", "--no-ff", "-m", "Merge it", "FETCH_HEAD"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    let body = push("refs/heads/main", &commit, "Merge it").replace("Codertocat/Hello-World", "Codertocat/Pulls");
    let answer = site.deliver("push", &format!("merge-{number}"), &body, KEY);
    assert_eq!(answer.status, 202, "{}", answer.text);
    site.succeeded(&only(&answer.json()))
}

fn tags(site: &Site) -> Vec<String> {
    tags_at(&site.registry)
}

fn tags_at(registry: &str) -> Vec<String> {
    let listed = curl(&[&format!("http://{registry}/v2/pulls/app/tags/list")]).json();
    listed["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_merge_becomes_the_image_of_its_pull_request() {
    let site = start(&json!({ "pull_requests": "own", "pull_request_tag_days": 7 }));
    let commit = propose(&site, 3, &[("src", "2")]);
    let request = site.succeeded(&only(&deliver(&site, &payload("opened", 3, &commit, false))));
    let image = format!("{}/pulls/app", site.registry);
    assert_eq!(request["image"]["tags"], json!([format!("{image}:pr-3")]), "{request:#}");
    assert_eq!(tags(&site), ["pr-3"]);

    let merged = merge(&site, 3);
    assert_eq!(merged["image"]["digest"], request["image"]["digest"], "{}", site.log(merged["id"].as_str().unwrap()));
    assert_eq!(merged["image"]["merged"], json!({ "pull_request": 3, "build": request["id"] }));
    let id = merged["id"].as_str().unwrap();
    assert!(site.log(id).contains("the files are those of pull request 3"), "{}", site.log(id));
    assert!(curl(&[&format!("{}/builds/{id}", site.url)]).text.contains("It is the image of"));
    let of_registry = |path: &str| curl(&[&format!("http://{}/v2/pulls/app/{path}", site.registry)]).json();
    let manifest = of_registry("manifests/latest");
    let config = of_registry(&format!("blobs/{}", manifest["config"]["digest"].as_str().unwrap()));
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "latest", "{config:#}");

    // The end of the request takes its tag away, and no other.
    deliver(&site, &payload("closed", 3, &commit, false));
    wait_for("the tag to be removed", || (tags(&site) == ["latest"]).then_some(()));
    let shown = curl(&["-I", &format!("http://{}/v2/pulls/app/manifests/latest", site.registry)]);
    assert_eq!(shown.status, 200);
}

#[test]
fn a_registry_that_removes_by_digest_keeps_the_image_for_its_other_tags() {
    let directory = tempfile::tempdir().unwrap();
    let (_registry, address) = docker_registry(directory.path(), None);
    let image = format!("{address}/pulls/app");
    let site = start(&json!({ "pull_requests": "own", "pull_request_tag_days": 7, "image": image }));
    let commit = propose(&site, 3, &[("src", "2")]);
    let request = site.succeeded(&only(&deliver(&site, &payload("opened", 3, &commit, false))));
    let asked = || {
        let log = std::fs::read_to_string(directory.path().join("registry.log")).unwrap();
        log.lines()
            .filter_map(|line| Some(line.split_once("] \"")?.1.split_once(" HTTP")?.0.to_owned()))
            .collect::<Vec<_>>()
    };
    let before = asked().len();
    let merged = merge(&site, 3);
    assert_eq!(merged["image"]["digest"], request["image"]["digest"], "{merged:#}");
    // Naming it took one request: no layer or configuration was asked for or sent.
    assert_eq!(asked()[before..], ["PUT /v2/pulls/app/manifests/latest".to_owned()]);
    deliver(&site, &payload("closed", 3, &commit, false));
    wait_for("the tag to be removed", || (tags_at(&address) == ["latest"]).then_some(()));
    let url = format!("http://{address}/v2/pulls/app/manifests/latest");
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    assert_eq!(curl(&["-I", "-H", accept, &url]).status, 200, "the branch keeps its image");
}

#[test]
fn a_fork_s_image_is_pushed_with_a_login_that_reads_nothing_for_it() {
    // WH-31, SEC-05
    let directory = tempfile::tempdir().unwrap();
    let (_registry, address) = docker_registry(directory.path(), Some("hush"));
    let login = format!("[registries.\"{address}\"]\nusername = \"me\"\npassword = \"hush\"\n");
    let site = Site::start(&format!("{ADMIN}{login}"));
    site.push_base();
    site.commit(&[("Dockerfile", DOCKERFILE), ("src", "1")]);
    let image = format!("{address}/pulls/app");
    add(&site, &json!({ "pull_requests": "all", "pull_request_tag_days": 7, "image": image }));
    let approved = |number: u32, dockerfile: &str| {
        let commit = propose(&site, number, &[("Dockerfile", dockerfile)]);
        let id = only(&deliver(&site, &payload("opened", number, &commit, true)));
        let (bearer, url) = (format!("Authorization: Bearer {TOKEN}"), format!("{}/v1/builds/{id}/approve", site.url));
        assert_eq!(curl(&["-X", "POST", "-H", &bearer, &url]).status, 202);
        site.finished(&id)
    };
    let pushed = approved(5, DOCKERFILE);
    assert_eq!(pushed["image"]["tags"], json!([format!("{image}:pr-5")]), "{pushed:#}");
    // Another commit of strangers does not read it with that login.
    let reading = approved(6, &format!("FROM {image}:pr-5\n"));
    assert_eq!(reading["state"], "failed", "{reading:#}");
}

#[test]
fn a_merge_of_what_was_not_pushed_has_the_same_digest() {
    let site = start(&json!({ "pull_requests": "own" }));
    let commit = propose(&site, 3, &[("src", "2")]);
    let request = site.succeeded(&only(&deliver(&site, &payload("opened", 3, &commit, false))));
    assert_eq!(tags(&site), [""; 0]);
    let merged = merge(&site, 3);
    assert_eq!(merged["image"]["digest"], request["image"]["digest"], "{}", site.log(merged["id"].as_str().unwrap()));
    assert_eq!((&merged["image"]["merged"]["pull_request"], tags(&site)), (&json!(3), vec!["latest".to_owned()]));
    // A change that was made beside the request makes another image.
    let commit = propose(&site, 4, &[("src", "3")]);
    let request = site.succeeded(&only(&deliver(&site, &payload("opened", 4, &commit, false))));
    let (bare, work) = (site.path("git/app.git"), site.path("beside"));
    run(Command::new("git").args(["clone", "-q"]).arg(&bare).arg(&work));
    std::fs::write(work.join("other"), "").unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "Beside"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let merged = merge(&site, 4);
    assert_eq!(merged["image"]["merged"], Value::Null, "{merged:#}");
    assert_eq!(request["image"]["merged"], Value::Null);
}

#[test]
fn a_fork_s_image_never_becomes_that_of_a_branch() {
    // WH-31, SEC-05
    let site = start(&json!({ "pull_requests": "all", "pull_request_tag_days": 7 }));
    let commit = propose(&site, 5, &[("src", "2")]);
    let id = only(&deliver(&site, &payload("opened", 5, &commit, true)));
    assert_eq!(tags(&site), [""; 0], "nothing is pushed before it is approved");
    let approve = curl(&[
        "-X",
        "POST",
        "-H",
        &format!("Authorization: Bearer {TOKEN}"),
        &format!("{}/v1/builds/{id}/approve", site.url),
    ]);
    assert_eq!(approve.status, 202, "{}", approve.text);
    let request = site.succeeded(&id);
    assert_eq!(tags(&site), ["pr-5"]);
    let merged = merge(&site, 5);
    assert_eq!(merged["image"]["merged"], Value::Null, "{merged:#}");
    assert_ne!(merged["image"]["digest"], request["image"]["digest"], "its step was executed for the branch");
    deliver(&site, &payload("closed", 5, &commit, true));
    wait_for("the tag to be removed", || (tags(&site) == ["latest"]).then_some(()));
    // One that ends after its request was closed leaves no tag.
    let late = propose(&site, 6, &[("src", "4")]);
    let id = only(&deliver(&site, &payload("opened", 6, &late, true)));
    deliver(&site, &payload("closed", 6, &late, true));
    wait_for("the build to end", || (site.get(&format!("/v1/builds/{id}"))["state"] == "superseded").then_some(()));
    assert_eq!(tags(&site), ["latest"]);
}
