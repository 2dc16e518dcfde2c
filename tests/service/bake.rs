//! Rules with a bake file or a compose file: one push becomes an image for each target.

use crate::service::api::{ADMIN, ask};
use crate::service::commit_statuses::{Told, told_site};
use crate::service::pull_requests;
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
    let (statuses, _tokio, site) = told_site("workers = 3", ADMIN);
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

    let page = |build: &Value| curl(&[&format!("{}/builds/{}", site.url, build["id"].as_str().unwrap())]).text;
    let link = |build: &Value| format!("href=\"/builds/{}\"", build["id"].as_str().unwrap());
    assert!(first.values().all(|build| page(&group).contains(&link(build)) && page(build).contains(&link(&group))));

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

#[test]
fn bad_files_fail_their_rule_and_say_what_would_be_right() {
    let site = Site::start(ADMIN);
    let target = |text: &str| format!("target \"default\" {{\n{text}\n}}\n");
    let outside = target(&format!("  tags = [\"{}/other/app:1\"]", site.registry));
    let circle = "target \"default\" {\n  contexts = { b = \"target:b\" }\n}\ntarget \"b\" {\n  contexts = { a = \"target:default\" }\n}\n";
    let double = format!(
        "group \"default\" {{ targets = [\"a\", \"b\"] }}\ntarget \"common\" {{ tags = [\"{}/baked/app:1\"] }}\n\
         target \"a\" {{ inherits = [\"common\"] }}\ntarget \"b\" {{ inherits = [\"common\"] }}\n",
        site.registry
    );
    let many = "target \"default\" {\n  name = \"t${n}\"\n  matrix = { n = range(201) }\n}\n";
    let large = format!("# {}\n", "x".repeat(1024 * 1024));
    let cases = [
        ("syntax", "target {\n", "`syntax.hcl`", "syntax.hcl:1"),
        ("unknown", "target \"a\" {}\n", "there is no target `default`; a are known", ""),
        ("circle", circle, "have each other as contexts", ""),
        ("large", &large, "1048579 bytes, at most 1048576", ""),
        ("outside", &outside, "is not one of the images that the rule may push to", "/baked/app/**"),
        ("double", &double, "the targets `a` and `b` both have the tag", ""),
        ("many", many, "201 targets are to be built, at most 200", ""),
        ("up", &target("  context = \"../x\""), "`../x` leads out of the repository", "target `default`"),
        ("remote", &target("  context = \"https://example.com/x.git\""), "not a directory of the commit", ""),
        ("files", &target("  output = [\"type=local,dest=out\"]"), "a server has no place for", ""),
        ("agent", &target("  ssh = [\"default\"]"), "a server does not have", ""),
        ("secret", &target("  secret = [\"id=npm\"]"), "list it in the rule's `secrets`", "npm"),
        ("host", &target("  network = \"host\""), "default or none is expected", ""),
        ("limits", &target("  resources = { memory = \"1g\" }"), "`[limits]`", ""),
    ];
    let mut rules: Vec<Value> = cases
        .iter()
        .map(|(name, ..)| json!({ "name": name, "branch": "main", "bake": format!("{name}.hcl") }))
        .collect();
    rules.push(json!({ "name": "missing", "branch": "main", "compose": "compose.yaml" }));
    add(&site, json!({ "rules": rules }));
    let files: Vec<(String, &str)> = cases.iter().map(|(name, text, ..)| (format!("{name}.hcl"), *text)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let commit = site.commit(&files);
    deliver(&site, &commit);
    for (name, part, other) in cases.iter().map(|(name, _, part, other)| (*name, *part, *other)).chain([(
        "missing",
        "`compose.yaml` is not in",
        "",
    )]) {
        let build = wait_for("the end of a group", || {
            let all = site.get(&format!("/v1/builds?repo=baked/app&rule={name}"))["builds"].clone();
            Some(all[0].clone()).filter(|build| !build["finished_at"].is_null())
        });
        let code = if name == "missing" { "bake_not_found" } else { "bake_invalid" };
        assert_eq!((&build["state"], &build["reason"]["code"]), (&json!("failed"), &json!(code)), "{build:#}");
        let message = build["reason"]["message"].as_str().unwrap();
        assert!(message.contains(part) && message.contains(other), "{name}: {message}");
    }
    assert_eq!(tags(&site, "other/app"), Value::Null);
}

#[test]
fn services_of_a_compose_file_are_images_by_the_repository_s_own_rules() {
    let site = Site::start(ADMIN);
    site.push_base();
    let images = format!("{}/shop/*", site.registry);
    add(&site, json!({ "own_rules": { "images": [images] } }));
    let compose = "services:\n  web:\n    image: ${REGISTRY}/shop/web:${TAG:-none}\n    build: { context: web, args: { BASE: \"${BASE}\" } }\n  \
         api:\n    build:\n      context: .\n      additional_contexts: { src: web }\n      \
         dockerfile_inline: |\n        FROM ${BASE}\n        COPY --from=src index.html /\n        \
         RUN cat /index.html\n  db:\n    image: postgres\n";
    let rules = format!(
        "[[rules]]\nname = \"shop\"\nbranch = \"main\"\ncompose = \"compose.yaml\"\ncontext = \"deploy\"\npaths = [\"deploy/**\"]\ntags = [\"{{sha7}}\"]\n\
         build_args = {{ REGISTRY = \"{0}\", BASE = \"{0}/base/busybox\" }}\n",
        site.registry
    );
    let commit = site.commit(&[
        ("slipway.toml", &rules),
        ("deploy/.env", "TAG=from-file\n"),
        ("deploy/compose.yaml", compose),
        ("deploy/web/Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY index.html /\n"),
        ("deploy/web/index.html", "hello\n"),
    ]);
    let deliver = |commit: &str| {
        let body = push("refs/heads/main", commit, "A commit");
        assert_eq!(site.deliver("push", &format!("shop-{commit}"), &body, KEY).json()["pending"], "rules");
        wait_for("the group", || {
            let all = site.get(&format!("/v1/builds?repo=baked/app&rule=shop&commit={commit}"))["builds"].clone();
            all[0]["id"].as_str().map(str::to_owned)
        })
    };
    let group = site.succeeded(&deliver(&commit));
    let built = targets(&site, &group);
    assert_eq!(built.keys().collect::<Vec<_>>(), ["api", "web"], "a service without `build` is not a target");
    assert_eq!(tags(&site, "shop/web"), json!(["from-file"]));
    assert_eq!(tags(&site, "baked/app/api"), json!([&commit[..7]]), "no image, no tags: those of the rule");
    assert!(site.log(built["api"]["id"].as_str().unwrap()).contains("hello"));
    let skipped = site.finished(&deliver(&site.commit(&[("README.md", "new\n")])));
    let reason = &skipped["reason"]["code"];
    assert_eq!(
        (&skipped["state"], reason, &skipped["targets"]),
        (&json!("skipped"), &json!("path_unchanged"), &json!([]))
    );
}

#[test]
fn a_target_may_start_from_another_and_ends_with_its_group() {
    let site = Site::start(ADMIN);
    site.push_base();
    let more = json!({ "name": "more", "targets": ["slow", "top"] });
    add(&site, json!({ "rules": [rule(&site, json!({ "targets": ["top"] })), rule(&site, more)] }));
    let bake = r#"
variable "BASE" {}
target "bottom" {
  args              = { BASE = BASE }
  dockerfile-inline = "ARG BASE\nFROM $BASE\nRUN echo made-of-bottom > /bottom\n"
}
target "top" {
  contexts          = { under = "target:bottom" }
  dockerfile-inline = "FROM under\nRUN cat /bottom\n"
  annotations       = ["note=kept"]
}
target "slow" {
  args              = { BASE = BASE }
  dockerfile-inline = "ARG BASE\nFROM $BASE\nRUN echo begun; sleep 300\n"
}
"#;
    let commit = site.commit(&[("docker-bake.hcl", bake)]);
    let group = site.succeeded(&deliver(&site, &commit));
    let built = targets(&site, &group);
    assert_eq!(built.keys().collect::<Vec<_>>(), ["top"], "what another starts from gets no image of its own");
    let log = site.log(built["top"]["id"].as_str().unwrap());
    assert!(log.contains("the context `under` is built first") && log.contains("made-of-bottom"), "{log}");
    let manifest = curl(&[&format!("http://{}/v2/baked/app/top/manifests/stable", site.registry)]);
    assert_eq!(manifest.status, 404, "`tags` of the rule are `latest`");
    let manifest = curl(&[&format!("http://{}/v2/baked/app/top/manifests/latest", site.registry)]).json();
    assert_eq!(manifest["annotations"]["note"], "kept", "{manifest:#}");

    // Cancelled with its group.
    let group = site.get("/v1/builds?repo=baked/app&rule=more")["builds"][0]["id"].as_str().unwrap().to_owned();
    let slow = wait_for("the slow target to run", || {
        let all = site.get("/v1/builds?repo=baked/app&rule=more/slow")["builds"].clone();
        let id = all[0]["id"].as_str()?.to_owned();
        site.log(&id).contains("begun").then_some(id)
    });
    assert_eq!(ask(&site, "POST", &format!("/v1/builds/{group}/cancel"), &json!({})).status, 202);
    assert_eq!(site.finished(&slow)["state"], "cancelled");
    assert_eq!(site.finished(&group)["state"], "cancelled");

    // By hand, one target of the file; and what it would do.
    let asked = json!({ "rule": "more", "target": "top", "dry_run": true });
    let plan = ask(&site, "POST", "/v1/repos/baked/app/builds", &json!({ "rule": "images", "dry_run": true })).json();
    assert!(plan.to_string().contains("which is not built to answer a question"), "{plan:#}");
    let plan = ask(&site, "POST", "/v1/repos/baked/app/builds", &asked).json();
    assert_eq!(plan["plan"][0]["rule"], "more", "{plan:#}");
    let asked = json!({ "rule": "more", "target": "top" });
    let build = ask(&site, "POST", "/v1/repos/baked/app/builds", &asked).json()["builds"][0].clone();
    let group = site.succeeded(build["id"].as_str().unwrap_or_else(|| panic!("{build:#}")));
    assert_eq!(targets(&site, &group)["top"]["state"], "succeeded");
    let refused = ask(&site, "POST", "/v1/repos/baked/app/builds", &json!({ "rule": "more", "tags": ["x"] }));
    assert_eq!(refused.json()["code"], "invalid_tag", "{}", refused.text);
}

#[test]
fn the_file_of_a_fork_gets_its_targets_nothing() {
    // WH-31, SEC-05
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    let rule = rule(&site, json!({ "secrets": ["npm"] }));
    add(
        &site,
        json!({
            "forge_name": "Codertocat/Pulls", "secret": pull_requests::KEY, "pull_requests": "all", "pull_request_tag_days": 7,
            "rules": [rule],
        }),
    );
    let secret = ask(&site, "PUT", "/v1/repos/baked/app/secrets/npm", &json!({ "value": "hush-hush-hush" }));
    assert!(matches!(secret.status, 200 | 201 | 204), "{}", secret.text);
    let bake = r#"
variable "REGISTRY" {}
variable "BASE" {}
target "default" {
  args              = { BASE = BASE }
  tags              = ["${REGISTRY}/baked/app/stolen:latest"]
  secret            = ["id=npm"]
  dockerfile-inline = "ARG BASE\nFROM $BASE\nRUN --mount=type=secret,id=npm echo \"<$(cat /run/secrets/npm)>\"\n"
}
"#;
    let commit = pull_requests::propose(&site, 5, &[("docker-bake.hcl", bake)]);
    let answer = pull_requests::deliver(&site, &pull_requests::payload("opened", 5, &commit, true));
    let id = pull_requests::only(&answer);
    assert_eq!(site.get(&format!("/v1/builds/{id}"))["held"], true);
    assert_eq!(ask(&site, "POST", &format!("/v1/builds/{id}/approve"), &json!({})).status, 202);
    let group = site.succeeded(&id);
    let built = &targets(&site, &group)["default"];
    assert_eq!((&built["trusted"], &built["push"], &built["held"]), (&json!(false), &json!(false), &json!(false)));
    assert!(site.log(built["id"].as_str().unwrap()).contains("<>"), "no secret");
    assert_eq!(tags(&site, "baked/app/stolen"), Value::Null);

    // One of the repository's own has its own tag below each of its images, and no other.
    let commit = pull_requests::propose(&site, 6, &[("docker-bake.hcl", bake)]);
    let answer = pull_requests::deliver(&site, &pull_requests::payload("opened", 6, &commit, false));
    let group = site.succeeded(&pull_requests::only(&answer));
    assert_eq!(targets(&site, &group)["default"]["state"], "succeeded");
    assert_eq!(tags(&site, "baked/app/stolen"), json!(["pr-6"]));
}
