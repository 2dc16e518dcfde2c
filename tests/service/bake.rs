//! Rules with a bake file or a compose file: one push becomes an image for each target.

use crate::service::api::{ADMIN, ask};
use crate::service::commit_statuses::{Told, told_site};
use crate::support::raw_http::push;
use crate::support::{Site, curl, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Key of the repository's webhook.
const KEY: &str = "key of the bakery";

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE} AS shared\nRUN echo ran-shared; date +%N > /made\n\
     FROM shared AS one\nCOPY one /one\nFROM shared AS two\nCOPY two /two\n";

const BAKE: &str = r#"
variable "REGISTRY" {}
variable "BASE" {}
variable "TAG" { default = "none" }
group "default" { targets = ["one", "two"] }
target "common" { args = { BASE = BASE } }
target "one" {
  inherits = ["common"]
  target   = "one"
  tags     = ["${REGISTRY}/baked/app/first:${TAG}"]
}
target "two" {
  inherits = ["common"]
  target   = "two"
}
"#;

/// Adds a repository whose rules are `rules`, with the values that its files want.
fn add(site: &Site, settings: Value) {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let mut document = json!({
        "name": "baked/app", "forge_name": "Codertocat/Hello-World", "clone_url": clone_url, "secret": KEY,
        "image": format!("{}/baked/app", site.registry),
    });
    settings.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
    let added = ask(site, "POST", "/v1/repos", &document);
    assert_eq!(added.status, 201, "{}", added.text);
}

fn rule(site: &Site, more: Value) -> Value {
    let mut rule = json!({
        "name": "images", "branch": "main", "bake": "docker-bake.hcl",
        "build_args": { "REGISTRY": site.registry, "BASE": format!("{}/base/busybox", site.registry), "TAG": "stable" },
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| rule[key] = value.clone());
    rule
}

/// Delivers a push of the main branch; returns the build of its rule.
fn deliver(site: &Site, commit: &str) -> String {
    let body = push("refs/heads/main", commit, "A commit");
    let answer = site.deliver("push", &format!("bake-{commit}"), &body, KEY);
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["builds"][0]["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

/// Returns the builds of the targets of a group that has ended.
fn targets(site: &Site, group: &Value) -> BTreeMap<String, Value> {
    let all = group["targets"].as_array().unwrap_or_else(|| panic!("{group:#}"));
    let one = |target: &Value| {
        let build = site.get(&format!("/v1/builds/{}", target["build"].as_str().unwrap()));
        assert_eq!((&build["group"], &build["state"]), (&group["id"], &target["state"]));
        (target["target"].as_str().unwrap().to_owned(), build)
    };
    all.iter().map(one).collect()
}

fn tags(site: &Site, image: &str) -> Value {
    curl(&[&format!("http://{}/v2/{image}/tags/list", site.registry)]).json()["tags"].clone()
}

/// Waits until the forge was told all ends of the builds of a commit; returns the last state of each context.
fn told(told: &Told, commit: &str, all: usize) -> BTreeMap<String, String> {
    wait_for("the statuses of all targets", || {
        let told = told.lock().unwrap();
        let of_commit = told.iter().filter(|(sha, _)| sha == commit);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let states: BTreeMap<_, _> =
            of_commit.map(|(_, body)| (text(&body["context"]), text(&body["state"]))).collect();
        (states.len() == all && states.values().all(|state| state != "pending")).then_some(states)
    })
}

#[test]
fn one_push_becomes_the_image_of_each_target() {
    let (statuses, _tokio, site) = told_site(ADMIN);
    add(&site, json!({ "rules": [rule(&site, json!({}))] }));
    let commit = site.commit(&[("Dockerfile", DOCKERFILE), ("docker-bake.hcl", BAKE), ("one", "1"), ("two", "1")]);
    let group = site.succeeded(&deliver(&site, &commit));
    assert_eq!((&group["tags"], &group["image"]), (&json!([]), &Value::Null), "{group:#}");
    let first = targets(&site, &group);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["one", "two"]);
    assert!(first.values().all(|build| build["state"] == "succeeded"), "{first:#?}");
    assert_eq!((tags(&site, "baked/app/first"), tags(&site, "baked/app/two")), (json!(["stable"]), json!(["latest"])));
    assert_eq!(tags(&site, "baked/app"), Value::Null, "the group itself has no image");
    let log = |build: &Value| site.log(build["id"].as_str().unwrap());
    let shared: usize =
        first.values().map(|build| log(build).lines().filter(|line| *line == "ran-shared").count()).sum();
    assert_eq!(shared, 1, "the shared stage is executed once: {first:#?}");
    let states = told(&statuses, &commit, 3);
    let ends: Vec<_> = states.keys().map(|context| context.rsplit_once("images").unwrap().1).collect();
    assert_eq!(ends, ["", "/one", "/two"], "{states:?}");
    assert!(states.values().all(|state| state == "success"), "{states:?}");

    // A target whose files are the same has nothing to do.
    let commit = site.commit(&[("two", "2")]);
    let group = site.succeeded(&deliver(&site, &commit));
    let second = targets(&site, &group);
    assert_eq!((&second["one"]["state"], &second["two"]["state"]), (&json!("skipped"), &json!("succeeded")));
    assert_ne!(second["two"]["image"]["digest"], first["two"]["image"]["digest"]);

    // One that fails says where, and the others are built.
    let broken = format!("{DOCKERFILE}RUN cat /nothing\n");
    let commit = site.commit(&[("Dockerfile", &broken), ("one", "3")]);
    let group = site.finished(&deliver(&site, &commit));
    assert_eq!((&group["state"], &group["reason"]["code"]), (&json!("failed"), &json!("target_failed")), "{group:#}");
    assert_eq!(group["reason"]["message"], "1 of 2 targets failed: two");
    let third = targets(&site, &group);
    assert_eq!((&third["one"]["state"], &third["two"]["state"]), (&json!("succeeded"), &json!("failed")));
    let reason = third["two"]["reason"]["message"].as_str().unwrap();
    assert!(reason.contains("Dockerfile:8") && reason.contains("cat /nothing"), "{reason}");
    let states = told(&statuses, &commit, 3);
    let states: Vec<&str> = states.values().map(String::as_str).collect();
    assert_eq!(states, ["failure", "success", "failure"]);
}
