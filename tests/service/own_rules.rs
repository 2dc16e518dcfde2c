//! Rules in the repository's own `slipway.toml`: pushed, read by a worker at the commit, applied by the server.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::support::raw_http::push;
use crate::support::{Site, wait_for};
use serde_json::{Value, json};

/// Adds a repository whose rules are its own.
fn add(site: &Site) {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let document = json!({
        "name": "own/app", "clone_url": clone_url, "image": format!("{}/own/app", site.registry), "secret": "own secret",
        "own_rules": { "secrets": ["granted"] },
    });
    let added = ask(site, "POST", "/v1/repos", &document);
    assert_eq!(added.status, 201, "{}", added.text);
}

/// Delivers a push and waits until the commit's rules are applied; returns the delivery.
fn deliver(site: &Site, commit: &str) -> Value {
    let body = push("refs/heads/main", commit, "A commit").replace("Codertocat/Hello-World", "own/app");
    let answer = site.deliver("push", &format!("own-{commit}"), &body, "own secret");
    assert_eq!((answer.status, &answer.json()["pending"]), (202, &json!("rules")), "{}", answer.text);
    wait_for("the repository's rules", || {
        let newest = site.get("/v1/deliveries?repo=own/app&limit=1")["deliveries"][0].clone();
        (newest["status"] != "pending").then_some(newest)
    })
}

#[test]
fn a_push_is_built_by_the_rules_that_stand_in_it() {
    let site = Site::start(ADMIN);
    site.push_base();
    add(&site);
    let dockerfile = "ARG BASE\nFROM ${BASE}\nARG COMMIT\nRUN echo built $COMMIT\n";
    let rules = format!(
        "version = 1\n[[rules]]\nname = \"own\"\nbranch = \"main\"\ntags = [\"own-{{sha7}}\", \"n{{number}}\"]\n\
         build_args = {{ COMMIT = \"{{sha}}\", BASE = \"{}/base/busybox\" }}\n",
        site.registry
    );
    let commit = site.commit(&[("Dockerfile", dockerfile), ("slipway.toml", &rules)]);
    let delivery = deliver(&site, &commit);
    let build = site.succeeded(delivery["builds"][0].as_str().unwrap());
    let image = format!("{}/own/app", site.registry);
    assert_eq!(build["image"]["tags"], json!([format!("{image}:own-{}", &commit[..7]), format!("{image}:n1")]));
    assert!(site.log(build["id"].as_str().unwrap()).contains(&format!("built {commit}")));

    // Forbidden settings and mistakes in the file build nothing and say why.
    for (text, part) in [
        ("[[rules]]\nbranch = \"main\"\nsecrets = [\"deploy\"]\n", "`deploy` is not granted"),
        ("image = \"127.0.0.1:1/team/app\"\n", "not what the server allows"),
        ("[[rules]]\nbranhc = \"main\"\n", "line 2, column 1: unknown key `branhc`; did you mean `branch`?"),
    ] {
        let commit = site.commit(&[("slipway.toml", text)]);
        let delivery = deliver(&site, &commit);
        assert_eq!(delivery["reason"], "rules_invalid", "{delivery}");
        assert!(delivery["explain"][0].as_str().unwrap().contains(part), "{delivery}");
    }
}

#[test]
fn a_trigger_applies_the_rules_that_stand_at_what_it_asks_for() {
    let site = Site::start(ADMIN);
    site.push_base();
    add(&site);
    let image = format!("{}/own/app", site.registry);
    let dockerfile = "ARG BASE\nFROM ${BASE}\nARG WHO=nobody\nRUN echo hello $WHO\n";
    let rules = format!(
        "[[rules]]\nname = \"own\"\nbranch = \"main\"\ntags = [\"own-{{sha7}}\"]\nbuild_args = {{ BASE = \"{}/base/busybox\" }}\n\
         [[rules]]\nname = \"other\"\nbranch = \"other\"\ntags = [\"other\"]\n",
        site.registry
    );
    let commit = site.commit(&[("Dockerfile", dockerfile), ("slipway.toml", &rules)]);
    let trigger = |body: Value| ask(&site, "POST", "/v1/repos/own/app/builds", &body);

    let tried = ask(&site, "POST", "/v1/repos/own/app/rules:test", &json!({ "ref": "main" })).json();
    assert_eq!((&tried["rules_from"], &tried["commit"]), (&json!("repository"), &json!(commit)), "{tried:#}");
    assert_eq!(tried["rules"][0]["tags"], json!([format!("own-{}", &commit[..7])]), "{tried:#}");
    assert!(tried["rules"][1]["why"].as_str().unwrap().contains("`other`"), "{tried:#}");

    let plan = trigger(json!({ "ref": "main", "build_args": { "WHO": "you" }, "dry_run": true })).json();
    let first = &plan["plan"][0];
    assert_eq!((&first["rule"], &first["build_args"]["WHO"]), (&json!("own"), &json!("you")), "{plan:#}");
    assert_eq!(first["steps"].as_array().map(Vec::len), Some(2), "{plan:#}");
    assert_eq!(site.get("/v1/builds")["builds"], json!([]));

    // Parameters count, by the ref and by the rule; the same key finds the same build.
    let asked = json!({ "rule": "own", "tags": ["by-hand"], "build_args": { "WHO": "you" } });
    let build = trigger(asked).json()["builds"][0].clone();
    let build = site.succeeded(build["id"].as_str().unwrap_or_else(|| panic!("{build:#}")));
    assert_eq!((&build["commit"], &build["image"]["tags"]), (&json!(commit), &json!([format!("{image}:by-hand")])));
    assert!(site.log(build["id"].as_str().unwrap()).contains("hello you"));

    for (body, code, part) in [
        (json!({ "rule": "nosuch" }), "no_rule_matched", "no rule `nosuch`"),
        (json!({ "ref": "gone" }), "ref_not_found", "gone"),
        (json!({ "ref": "main", "commit": "1".repeat(40) }), "rules_unreadable", "1111"),
    ] {
        let answer = trigger(body.clone());
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!(code)), "{body}: {}", answer.text);
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
    }
    let keyed = || {
        let headers = ["Idempotency-Key: own-1"];
        let body = json!({ "ref": "main" });
        crate::service::api::ask_as(&site, ADMIN_TOKEN, "POST", "/v1/repos/own/app/builds", &headers, &body)
    };
    let first = keyed();
    assert_eq!(first.status, 202, "{}", first.text);
    site.commit(&[("slipway.toml", "[[rules]]\nbranhc = \"main\"\n")]);
    // A known delivery needs no rules.
    let again = keyed();
    assert_eq!(
        (again.status, &again.json()["builds"][0]["id"]),
        (200, &first.json()["builds"][0]["id"]),
        "{}",
        again.text
    );
    let wrong = trigger(json!({ "ref": "main" }));
    assert_eq!((wrong.status, &wrong.json()["code"]), (409, &json!("rules_invalid")), "{}", wrong.text);
    assert!(wrong.text.contains("did you mean `branch`?"), "{}", wrong.text);
    let older = trigger(json!({ "ref": "main", "commit": commit })).json();
    assert_eq!(older["builds"][0]["rule"], "own", "{older:#}");
}
