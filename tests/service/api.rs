//! The REST API as tools meet it: repositories, rules, tokens, queue, deliveries, logs, badges.

use crate::support::raw_http::{Connection, push};
use crate::support::{Answer, SECRET, Site, TOKEN, curl, slipway};
use serde_json::{Value, json};
use std::process::Command;

pub(crate) const ADMIN_TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const ADMIN: &str =
    "[[tokens]]\nname = \"admin\"\ntoken = \"fedcba9876543210fedcba9876543210\"\nscopes = [\"admin\"]\n";

/// Asks as the administrator.
pub(crate) fn ask(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    ask_as(site, ADMIN_TOKEN, method, path, &[], body)
}

/// Adds a repository of the site's commits with an image of its own in the embedded registry; its main branch is built.
/// `more` takes the place of fields of its document, or adds some.
pub(crate) fn add_repository(site: &Site, name: &str, more: &Value) {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let mut document = json!({
        "name": name, "clone_url": clone_url, "image": format!("{}/{name}", site.registry),
        "rules": [{ "name": "main", "branch": "main", "tags": ["latest"] }],
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
    let added = ask(site, "POST", "/v1/repos", &document);
    assert_eq!(added.status, 201, "{}", added.text);
}

/// Triggers a build of the main branch; returns its id.
pub(crate) fn trigger_main(site: &Site, name: &str) -> String {
    let asked = ask(site, "POST", &format!("/v1/repos/{name}/builds"), &json!({ "ref": "main" }));
    assert_eq!(asked.status, 202, "{}", asked.text);
    asked.json()["builds"][0]["id"].as_str().unwrap().to_owned()
}

/// Asks as the holder of a token, with further headers.
pub(crate) fn ask_as(site: &Site, token: &str, method: &str, path: &str, headers: &[&str], body: &Value) -> Answer {
    let (url, bearer, body) =
        (format!("{}{path}", site.url), format!("Authorization: Bearer {token}"), body.to_string());
    let mut arguments = vec!["--path-as-is", "-X", method, "-H", &bearer, "-H", "Content-Type: application/json"];
    headers.iter().for_each(|header| arguments.extend(["-H", header]));
    if method != "GET" && method != "DELETE" {
        arguments.extend(["-d", &body]);
    }
    arguments.push(&url);
    curl(&arguments)
}

/// Returns a repository that may be fetched from the test's git host, which slipway.toml names.
fn document(site: &Site) -> Value {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].as_str().unwrap().to_owned();
    json!({
        "name": "other/app", "clone_url": clone_url, "image": format!("{}/other/app", site.registry), "secret": "other secret",
        "rules": [{ "name": "all", "branch": "/.*/", "tags": ["{sourceref}", "{number}"], "policy": "latest-only" }],
    })
}

#[test]
fn repositories_are_data() {
    let site = Site::start(ADMIN);
    let good = document(&site);
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        ask(&site, "POST", "/v1/repos", &changed)
    };
    // API-20, API-23, and everything else that is wrong with a document.
    for (key, value, code, part) in [
        ("clone_url", json!("http://169.254.169.254/x.git"), "address_not_allowed", "[network] allow"),
        ("clone_url", json!("http://2130706433/x.git"), "address_not_allowed", "127.0.0.1"),
        ("clone_url", json!("ext::sh -c id"), "scheme_not_allowed", "https://"),
        ("rulse", json!([]), "unknown_field", "did you mean `rules`?"),
        ("image", json!("Registry/App:1"), "invalid_repository", "no tag"),
        ("secret", json!(""), "invalid_repository", "empty"),
        ("secret", json!({ "file": "/etc/passwd" }), "invalid_repository", "no file"),
        ("rules", json!([{ "branch": "/(/" }]), "invalid_repository", "rules[0]"),
        ("name", json!("no-namespace"), "invalid_repository", "namespace/name"),
        ("name", json!("team/app"), "defined_in_file", "slipway.toml"),
    ] {
        let answer = with(key, value.clone());
        assert!((400..=409).contains(&answer.status), "{value}: {}", answer.text);
        assert!(answer.json()["code"] == code && answer.text.contains(part), "{value}: {}", answer.text);
    }
    let made = ask(&site, "POST", "/v1/repos", &good);
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(ask(&site, "POST", "/v1/repos", &good).json()["code"], "repository_exists");
    assert!(!made.text.contains("other secret") && made.json()["meta"]["has_secret"] == true, "{}", made.text);
    let names: Vec<Value> =
        site.get("/v1/repos")["repositories"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["other/app", "team/app"]);
    // The new repository takes deliveries, signed with its own secret only.
    let body = push("refs/heads/x", &"1".repeat(40), "m").replace("Codertocat/Hello-World", "other/app");
    assert_eq!(site.deliver("push", "1", &body, SECRET).status, 401);
    let accepted = site.deliver("push", "2", &body, "other secret");
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let id = accepted.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    let tags = site.get(&format!("/v1/builds/{id}"))["tags"].clone();
    assert_eq!(tags, json!([format!("{}/other/app:x", site.registry), format!("{}/other/app:1", site.registry)]));
    changes_name_the_version_that_they_are_for(&site);
    assert_eq!(ask(&site, "PATCH", "/v1/repos/team/app", &json!({ "rules": [] })).json()["code"], "defined_in_file");
    assert_eq!(ask(&site, "DELETE", "/v1/repos/other/app", &Value::Null).status, 204);
    assert_eq!(ask(&site, "GET", "/v1/repos/other/app", &Value::Null).status, 404);
    assert_eq!(site.deliver("push", "3", &body, "other secret").status, 401);
}

#[test]
fn a_secret_is_changed_without_losing_deliveries() {
    // WH-10
    let site = Site::start(ADMIN);
    assert_eq!(ask(&site, "POST", "/v1/repos", &document(&site)).status, 201);
    let deliver = |number: usize, secret: &str| {
        let body =
            push("refs/heads/x", &number.to_string().repeat(40), "m").replace("Codertocat/Hello-World", "other/app");
        site.deliver("push", &format!("rotation-{number}"), &body, secret).status
    };
    let change = |body: Value| assert_eq!(ask(&site, "PATCH", "/v1/repos/other/app", &body).status, 200);
    change(json!({ "secret": "new secret", "previous_secret": "other secret" }));
    assert_eq!((deliver(1, "other secret"), deliver(2, "new secret")), (202, 202));
    let said = std::fs::read_to_string(site.path("serve.log")).unwrap();
    assert_eq!(said.matches("signed with the previous secret").count(), 1, "{said}");
    change(json!({ "secret": "new secret" }));
    assert_eq!((deliver(3, "other secret"), deliver(4, "new secret")), (401, 202));
    assert!(!on_disk(&site, "new secret"));
}

fn changes_name_the_version_that_they_are_for(site: &Site) {
    let (path, url) = ("/v1/repos/other/app", format!("{}/v1/repos/other/app", site.url));
    let head = |url: &str| {
        let answer = curl(&["-i", url]).text.to_lowercase();
        answer.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned()
    };
    let etag = head(&url);
    let change = |headers: &[&str], body: Value| ask_as(site, ADMIN_TOKEN, "PATCH", path, headers, &body);
    assert_eq!(curl(&["-H", &format!("If-None-Match: {etag}"), &url]).status, 304);
    let stale = change(&["If-Match: \"v0\""], json!({ "default_branch": "trunk" }));
    assert_eq!((stale.status, &stale.json()["code"]), (412, &"version_mismatch".into()));
    let changed = change(&[&format!("If-Match: {etag}")], json!({ "default_branch": "trunk" }));
    assert_eq!((changed.status, &changed.json()["default_branch"]), (200, &"trunk".into()), "{}", changed.text);
    assert_ne!(head(&url), etag);
    let wrong = change(&[], json!({ "defualt_branch": "x" }));
    assert!(
        wrong.json()["code"] == "unknown_field" && wrong.text.contains("did you mean `default_branch`?"),
        "{}",
        wrong.text
    );
    let removed = change(&[], json!({ "default_branch": null }));
    assert!(removed.status == 200 && removed.json()["default_branch"].is_null());
    // The document that was read can be put back.
    let whole = ask(site, "GET", path, &Value::Null).json();
    assert_eq!(ask(site, "PUT", path, &whole).status, 200);
    let rules = json!({ "rules": [{ "branch": "main" }, { "tag": "/^v/", "tags": ["{semver.*}"] }] });
    assert_eq!(ask(site, "PUT", &format!("{path}/rules"), &rules).status, 200);
    assert_eq!(site.get(&format!("{path}/rules"))["rules"].as_array().unwrap().len(), 2);
}

#[test]
fn secrets_are_written_and_never_read() {
    let site = Site::start(ADMIN);
    let path = "/v1/repos/team/app/secrets";
    assert_eq!(ask(&site, "PUT", &format!("{path}/npm"), &json!({ "value": "canary-of-a-secret" })).status, 200);
    let listed = ask(&site, "GET", path, &Value::Null);
    assert_eq!(listed.json(), json!({ "secrets": [{ "name": "npm" }] }));
    for (name, body) in [
        ("a%0Ab", json!({ "value": "x" })),
        ("x", json!({ "value": "" })),
        ("x", json!({})),
        ("@x", json!({ "value": "x" })),
    ] {
        assert_eq!(ask(&site, "PUT", &format!("{path}/{name}"), &body).status, 400, "{name} {body}");
    }
    assert_eq!(ask_as(&site, TOKEN, "GET", path, &[], &Value::Null).status, 403);
    assert_eq!(curl(&[&format!("{}{path}", site.url)]).status, 401);
    assert!(!on_disk(&site, "canary-of-a-secret"), "the secret lies in the database as it is");
    assert_eq!(ask(&site, "DELETE", &format!("{path}/npm"), &Value::Null).status, 204);
    assert_eq!(ask(&site, "DELETE", &format!("{path}/npm"), &Value::Null).json()["code"], "secret_not_found");
}

/// Tells whether a text is in a file of the database.
fn on_disk(site: &Site, text: &str) -> bool {
    let files =
        ["slipway.db", "slipway.db-wal"].map(|name| std::fs::read(site.path("data").join(name)).unwrap_or_default());
    files.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Returns a site that shows nothing without a token, with a second repository.
fn closed_site() -> Site {
    let mut site = Site::start(ADMIN);
    let closed = std::fs::read_to_string(site.path("slipway.toml")).unwrap().replacen(
        "[server]",
        "[server]\nanonymous_read = false",
        1,
    );
    site.server = None;
    std::fs::write(site.path("slipway.toml"), closed).unwrap();
    site.serve();
    assert_eq!(
        ask(
            &site,
            "POST",
            "/v1/repos",
            &json!({ "name": "other/app", "clone_url": "https://140.82.121.4/x.git", "image": "127.0.0.1:1/x/y" })
        )
        .status,
        201
    );
    site
}

#[test]
fn tokens_reach_as_far_as_they_say() {
    // API-01, API-02, API-03, API-06
    let site = closed_site();
    let token = |arguments: &[&str]| {
        let mut command = slipway();
        command
            .args(["token", "--data-dir"])
            .arg(site.path("data"))
            .arg("--config")
            .arg(site.path("slipway.toml"))
            .args(arguments);
        crate::support::run(&mut command).trim().to_owned()
    };
    let read = token(&["create", "--scope", "read", "--name", "reader", "--repo", "team/app"]);
    let other = token(&["create", "--scope", "trigger", "--repo", "other/app", "--expires", "30d"]);
    assert!(read.starts_with("slp_") && !on_disk(&site, &read), "only the hash is kept");
    let status = |token: &str, method: &str, path: &str| ask_as(&site, token, method, path, &[], &json!({})).status;
    let id = ask_as(&site, TOKEN, "POST", "/v1/repos/team/app/builds", &[], &json!({})).json()["builds"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(status(&read, "GET", "/v1/repos/team/app"), 200);
    assert_eq!(status(&read, "POST", "/v1/repos/team/app/builds"), 403);
    assert_eq!(status(&read, "PUT", "/v1/queue/pause"), 405);
    assert_eq!(status(&read, "POST", "/v1/queue/pause"), 403);
    for path in [
        "/v1/repos/team/app".to_owned(),
        format!("/v1/builds/{id}"),
        format!("/v1/builds/{id}/logs"),
        "/v1/repos/team/app/secrets".to_owned(),
    ] {
        assert_eq!(status(&other, "GET", &path), 404, "{path}");
    }
    assert_eq!(status(&other, "POST", "/v1/repos/team/app/builds"), 404);
    assert_eq!(status(&other, "POST", &format!("/v1/builds/{id}/cancel")), 404);
    let seen = ask_as(&site, &other, "GET", "/v1/builds", &[], &Value::Null).json();
    assert_eq!(seen["builds"], json!([]), "{seen}");
    assert!(token(&["list"]).contains("reader"));
    token(&["revoke", "reader"]);
    let last = if other.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &other[..other.len() - 1]);
    let answers = ["", "x", &mistyped, &read].map(|token| ask_as(&site, token, "GET", "/v1/whoami", &[], &Value::Null));
    assert!(answers.iter().all(|answer| answer.status == 401 && answer.text == answers[0].text), "one answer for all");
    assert_eq!(curl(&[&format!("{}/v1/builds", site.url)]).status, 401);
    assert_eq!(curl(&[&format!("{}/badges/team/app.svg?token={other}", site.url)]).status, 401);
}

#[test]
fn rules_can_be_tried_and_triggers_change_them() {
    // API-09, API-10, API-11
    let site = Site::start(ADMIN);
    let tried = ask(&site, "POST", "/v1/repos/team/app/rules:test", &json!({ "ref": "refs/tags/feature/ä" })).json();
    assert_eq!((&tried["would_build"], &tried["rules"][0]["matches"]), (&json!(true), &json!(false)), "{tried}");
    assert!(tried["rules"][0]["why"].as_str().unwrap().contains("is for branches"));
    assert_eq!(tried["rules"][1]["tags"], json!(["feature--"]));
    assert!(tried["rules"][1]["warnings"][0].as_str().unwrap().contains("became `feature--`"), "{tried}");
    let short = ask(&site, "POST", "/v1/repos/team/app/rules:test", &json!({ "ref": "v1" })).json();
    assert_eq!(short["ref"], "refs/tags/v1");
    let skipped =
        ask(&site, "POST", "/v1/repos/team/app/rules:test", &json!({ "ref": "main", "message": "x [skip ci]" })).json();
    assert_eq!((&skipped["would_build"], &skipped["skip_marker"]), (&json!(false), &json!("[skip ci]")));
    let trigger = |body: Value| ask_as(&site, TOKEN, "POST", "/v1/repos/team/app/builds", &[], &body);
    for (body, code) in [
        (json!({ "trusted": true }), "unknown_field"),
        (json!({ "ref": "../../etc/passwd" }), "invalid_ref"),
        (json!({ "ref": "a\nb" }), "invalid_ref"),
        (json!({ "commit": "-f", "ref": "main" }), "invalid_commit"),
        (json!({ "dockerfile": "../../etc/passwd" }), "path_escapes_context"),
        (json!({ "context": "../.." }), "path_escapes_context"),
        (json!({ "dockerfile": "-f" }), "invalid_path"),
        (json!({ "dockerfile": "a\0b" }), "invalid_path"),
        (json!({ "build_args": { "A=B": "x" } }), "invalid_build_args"),
        (json!({ "build_args": { "A": "x\0" } }), "invalid_build_args"),
        (json!({ "tags": ["a/b"] }), "invalid_tag"),
        (json!({ "target": "a b" }), "invalid_target"),
        (json!({ "platforms": ["linux"] }), "invalid_platforms"),
        (json!({ "secrets": ["@deliveries"] }), "invalid_secrets"),
        (json!({ "timeout": "soon" }), "invalid_timeout"),
        (json!({ "rule": "nosuch" }), "no_rule_matched"),
        (json!({ "priority": "hihg" }), "bad_json"),
    ] {
        let answer = trigger(body.clone());
        assert!(answer.json()["code"] == code && answer.status < 500, "{body}: {}", answer.text);
    }
    let asked = json!({
        "ref": "main", "rule": ["main"], "tags": ["x", "y"], "dockerfile": "Other", "context": "sub", "target": "final",
        "build_args": { "BASE": "scratch" }, "platforms": ["linux/amd64"], "cache": "off", "push": false, "priority": "high",
        "reason": "a <b>test</b>", "timeout": "30m", "pull": true, "dry_run": true,
    });
    let plan = trigger(asked.clone()).json();
    let first = &plan["plan"][0];
    assert_eq!(
        (&first["dockerfile"], &first["context"], &first["target"]),
        (&json!("sub/Other"), &json!("sub"), &json!("final")),
        "{plan}"
    );
    assert_eq!(
        (&first["cache"], &first["push"], &first["build_args"]["BASE"]),
        (&json!(false), &json!(false), &json!("scratch"))
    );
    assert_eq!(site.get("/v1/builds")["builds"], json!([]), "a dry run stores nothing");
    let mut real = asked;
    real["dry_run"] = json!(false);
    let built = trigger(real).json();
    assert_eq!(built["builds"][0]["trigger"]["reason"], "a <b>test</b>", "{built}");
    let id = built["builds"][0]["id"].as_str().unwrap();
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains("a &lt;b&gt;test&lt;/b&gt;") && !page.contains("<b>test"), "SEC-26");
}

#[test]
fn the_queue_shows_places_and_can_be_paused() {
    // API-17, API-19
    let site = Site::start(ADMIN);
    assert_eq!(ask(&site, "POST", "/v1/queue/pause", &Value::Null).json(), json!({ "paused": true }));
    let builds: Vec<String> = ["main", "v1", "v2"]
        .iter()
        .map(|name| {
            ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": name })).json()["builds"][0]["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let queue = site.get("/v1/queue");
    assert_eq!(
        (&queue["paused"], &queue["length"], &queue["builds"][1]["position"]),
        (&json!(true), &json!(3), &json!(2)),
        "{queue}"
    );
    let second = site.get(&format!("/v1/builds/{}", builds[1]));
    assert_eq!(
        (&second["queue"]["waiting_for"], &second["queue"]["ahead"]),
        (&json!("resume"), &json!([builds[0]])),
        "{second}"
    );
    assert_eq!(second["hub_state"], "Queued");
    let page = curl(&[&format!("{}/queue", site.url)]).text;
    assert!(page.contains(&builds[2]) && page.contains("paused"), "{page}");
    let retry = ask(&site, "POST", &format!("/v1/builds/{}/retry", builds[0]), &json!({}));
    assert_eq!((retry.status, &retry.json()["code"]), (409, &json!("not_finished")));
    for expected in [202, 409] {
        assert_eq!(ask(&site, "POST", &format!("/v1/builds/{}/cancel", builds[0]), &json!({})).status, expected);
    }
    assert_eq!(site.get(&format!("/v1/builds/{}", builds[0]))["state"], "cancelled");
    let again = ask(&site, "POST", &format!("/v1/builds/{}/retry", builds[0]), &json!({ "from": "start" }));
    assert_eq!((again.status, &again.json()["trigger"]["of"]), (202, &json!(builds[0])), "{}", again.text);
    assert_eq!(
        ask(&site, "POST", &format!("/v1/builds/{}/retry", builds[0]), &json!({ "form": "start" })).json()["code"],
        "unknown_field"
    );
    assert_eq!(ask(&site, "POST", "/v1/queue/resume", &Value::Null).json(), json!({ "paused": false }));
    let ended = site.finished(&builds[1]);
    assert_eq!(ended["state"], "failed", "there is no such repository on the git host");
    // A long poll is answered when there is a change, or when its time is over.
    let waited = ask(&site, "POST", "/v1/repos/team/app/builds?wait=30", &json!({ "ref": "main" }));
    assert_eq!((waited.status, &waited.json()["builds"][0]["state"]), (200, &json!("failed")), "{}", waited.text);
}

#[test]
fn deliveries_are_listed_with_their_reasons_and_can_be_replayed() {
    // WH-12
    let site = Site::start(ADMIN);
    let skipped = site.deliver("push", "skip", &push("refs/heads/main", &"1".repeat(40), "docs\n\n[skip ci]"), SECRET);
    assert_eq!((skipped.status, &skipped.json()["reason"]), (200, &json!("skip_marker")), "{}", skipped.text);
    site.deliver("push", "other", &push("refs/heads/other", &"2".repeat(40), "x"), SECRET);
    site.deliver("push", "main", &push("refs/heads/main", &"3".repeat(40), "x"), SECRET);
    let list = site.get("/v1/deliveries?limit=2");
    assert_eq!(
        (&list["deliveries"][0]["status"], &list["deliveries"][1]["reason"]),
        (&json!("accepted"), &json!("no_rule_matched")),
        "{list}"
    );
    assert_eq!(list["deliveries"][1]["explain"].as_array().unwrap().len(), 2);
    let rest = site.get(&format!("/v1/deliveries?limit=2&cursor={}", list["next_cursor"].as_str().unwrap()));
    assert_eq!(rest["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(site.get("/v1/deliveries?status=ignored&repo=team/app")["deliveries"].as_array().unwrap().len(), 2);
    let number = &rest["deliveries"][0]["id"];
    let replayed = ask(&site, "POST", &format!("/v1/deliveries/{number}/replay"), &Value::Null);
    assert_eq!(replayed.status, 202, "a replay builds what a marker held back: {}", replayed.text);
    assert_eq!(ask(&site, "POST", "/v1/deliveries/9999/replay", &Value::Null).json()["code"], "delivery_not_found");
    let page = curl(&[&format!("{}/deliveries", site.url)]).text;
    assert!(page.contains("skip marker") && page.contains("rules that built nothing"), "{page}");
}

#[test]
fn logs_come_in_parts() {
    // API-12
    let site = Site::start(ADMIN);
    let id = ask(&site, "POST", "/v1/repos/team/app/builds", &json!({})).json()["builds"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    site.finished(&id);
    let whole = site.log(&id);
    let url = format!("{}/v1/builds/{id}/logs", site.url);
    let part = |header: &str| curl(&["-H", header, &url]);
    assert!(whole.len() > 10, "{whole}");
    assert_eq!((part("Range: bytes=0-4").status, part("Range: bytes=0-4").text.as_str()), (206, &whole[..5]));
    assert_eq!(part("Range: bytes=-3").text, whole[whole.len() - 3..]);
    assert_eq!(part("Range: bytes=999999-").status, 416);
    let last = whole.trim_end().rsplit('\n').next().unwrap().to_owned();
    assert_eq!(curl(&[&format!("{url}?tail=1")]).text.trim_end(), last);
    assert_eq!(curl(&[&format!("{url}?since_offset=5")]).text, whole[5..]);
    let line: Value =
        serde_json::from_str(curl(&[&format!("{url}?format=ndjson")]).text.lines().next().unwrap()).unwrap();
    assert_eq!(line["offset"], 0);
    assert_eq!(curl(&[&format!("{url}?setp=1")]).json()["code"], "invalid_query");
    for path in ["/v1/builds/%2e%2e%2f..%2fetc/passwd/logs", "/v1/builds/../../etc/passwd/logs", "/v1/builds/%00/logs"]
    {
        assert_eq!(curl(&["--path-as-is", &format!("{}{path}", site.url)]).status, 404, "{path}");
    }
}

#[test]
fn every_answer_has_its_headers_and_no_other_site_is_let_in() {
    // SEC-28, API-16
    let site = Site::start(ADMIN);
    let mut connection = Connection::open(&site.url);
    for path in [
        "/",
        "/repos",
        "/repos/team/app",
        "/queue",
        "/deliveries",
        "/favicon.ico",
        "/v1/builds",
        "/v1/repos",
        "/nosuch",
        "/healthz",
        "/readyz",
        "/metrics",
        "/badges/team/app.svg",
        "/v1/builds/x",
    ] {
        let (reply, _) = connection
            .ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example.com\r\n\r\n").as_bytes());
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
        assert!(reply.status < 500 && !reply.body.contains(" style=\"") && !reply.body.contains("<script>"), "{path}");
    }
    let (preflight, _) = connection.ask(b"OPTIONS /v1/repos HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example.com\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (405, None));
    let (cookie, _) = connection.ask(b"POST /v1/queue/pause HTTP/1.1\r\nHost: x\r\nCookie: token=fedcba9876543210fedcba9876543210\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(cookie.status, 401);
    let basic = "Authorization: Basic eDpmZWRjYmE5ODc2NTQzMjEwZmVkY2JhOTg3NjU0MzIxMA==";
    for (from, status) in
        [("Origin: https://evil.example.com", 403), ("Sec-Fetch-Site: cross-site", 403), ("Accept: */*", 200)]
    {
        let head =
            format!("POST /v1/queue/resume HTTP/1.1\r\nHost: x\r\n{basic}\r\n{from}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(connection.ask(head.as_bytes()).0.status, status, "{from}");
    }
    let badge = site.get("/badges/team/app.json");
    assert_eq!((&badge["schemaVersion"], &badge["message"]), (&json!(1), &json!("unknown")));
    let output = Command::new("curl").args(["-s", &format!("{}/metrics", site.url)]).output().unwrap();
    let metrics = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        metrics.contains("\nslipway_queue_length 0\n") && metrics.contains("# TYPE slipway_builds gauge"),
        "{metrics}"
    );
}
