//! Webhooks of forges are registered and repaired; plain git servers tell of pushes with the documented script.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::forges::{deliver, signature};
use crate::support::forge_server::{ForgeServer, Mood};
use crate::support::worker_pool::git;
use crate::support::{SECRET, Site, shown, slipway, wait_for};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const TOKEN: &str = "canary-token-5d0c";

fn connect(site: &Site) -> (u16, Value) {
    let answer = ask(site, "POST", "/v1/repos/team/app/connect", &Value::Null);
    (answer.status, answer.json())
}

#[test]
fn a_webhook_is_registered_once_and_repaired() {
    for kind in ["github", "gitlab", "gitea", "forgejo", "gogs", "bitbucket", "bitbucket-datacenter"] {
        let forge = ForgeServer::start(kind, TOKEN);
        let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
        let url = format!("{}/hooks/{}", site.url, kind.trim_end_matches("-datacenter"));
        assert_eq!(site.get("/v1/repos/team/app")["meta"]["links"]["hook"], json!(url));
        let (status, added) = connect(&site);
        let id = if kind == "bitbucket" { "{1}" } else { "1" };
        let expected = json!({ "forge": "127.0.0.1", "hook": id, "url": url, "action": "added", "faults": [] });
        assert_eq!((status, &added), (200, &expected), "{kind}");
        let hook = forge.hooks().remove(0);
        let (at, key) = match kind {
            "gitlab" => ("/url", "/token"),
            "bitbucket" => ("/url", "/secret"),
            "bitbucket-datacenter" => ("/url", "/configuration/secret"),
            _ => ("/config/url", "/config/secret"),
        };
        assert_eq!((hook.pointer(at), hook.pointer(key)), (Some(&json!(url)), Some(&json!(SECRET))), "{hook}");
        // Somebody changed the secret, which no forge shows.
        let mut other = hook.clone();
        *other.pointer_mut(key).unwrap() = "another secret".into();
        forge.set_hooks(vec![other]);
        assert_eq!(connect(&site).1["action"], "confirmed", "{kind}");
        assert_eq!((forge.hooks().len(), forge.hooks()[0].pointer(key)), (1, Some(&json!(SECRET))), "{kind}");
        let hook = forge.hooks().remove(0);
        // Somebody broke it, and wrote a slash.
        let mut broken = hook.clone();
        match kind {
            "gitlab" => (broken["push_events"], broken["url"]) = (false.into(), format!("{url}/").into()),
            "bitbucket" | "bitbucket-datacenter" => {
                (broken["active"], broken["events"], broken["url"]) =
                    (false.into(), json!(["push"]), format!("{url}/").into())
            }
            _ => {
                (broken["active"], broken["events"], broken["config"]["url"]) =
                    (false.into(), json!(["push"]), format!("{url}/").into())
            }
        }
        let other = json!({ "id": 7, "url": "https://x.example.com/", "config": { "url": "https://x.example.com/" } });
        forge.set_hooks(vec![other.clone(), broken]);
        let command = slipway()
            .args(["repo", "connect", "team/app", "--server", &site.url, "--token", ADMIN_TOKEN])
            .output()
            .unwrap();
        let said = shown(&command);
        assert!(command.status.success() && said.contains("was repaired") && said.contains("was "), "{kind}: {said}");
        let hooks = forge.hooks();
        assert_eq!((hooks.len(), &hooks[0]), (2, &other), "{kind}");
        assert_eq!(hooks[1].pointer(at), Some(&json!(url)), "{kind}: {}", hooks[1]);
        assert!(hooks[1]["active"] != false && hooks[1]["push_events"] != false, "{kind}");
        let log = std::fs::read_to_string(site.path("serve.log")).unwrap();
        assert!(!log.contains(TOKEN) && !log.contains(SECRET));
    }
}

#[test]
fn a_secret_is_rotated_and_no_delivery_is_lost() {
    for kind in ["github", "gitlab", "bitbucket-datacenter"] {
        let forge = ForgeServer::start(kind, TOKEN);
        let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
        let first =
            json!({ "forge": "127.0.0.1", "forge_name": "Codertocat/Hello-World", "secret": "the first secret" });
        crate::service::api::add_repository(&site, "rotated/app", &first);
        let path = "/v1/repos/rotated/app/connect";
        let rotate = |body: Value| ask(&site, "POST", path, &body);
        let key = |hook: &Value| {
            let at = ["/config/secret", "/token", "/configuration/secret"].into_iter().find_map(|at| hook.pointer(at));
            at.unwrap().as_str().unwrap().to_owned()
        };
        let accepted = |key: &str| {
            let body =
                json!({ "repository": "Codertocat/Hello-World", "ref": "refs/heads/other", "commit": "1".repeat(40) })
                    .to_string();
            let signed = format!("X-Hub-Signature-256: sha256={}", crate::service::forges::signed_with(key, &body));
            let id = format!("Idempotency-Key: {}", crate::support::free_port());
            deliver(&site, "/hooks/generic", &[signed, id], &body).0 != 401
        };
        assert_eq!(rotate(json!({})).status, 200, "{kind}");
        assert_eq!(
            (key(&forge.hooks()[0]).as_str(), accepted("the first secret")),
            ("the first secret", true),
            "{kind}"
        );
        forge.set_mood(Mood::Refusing(403, None, "{}".to_owned()));
        let refused = rotate(json!({ "rotate": true }));
        assert_eq!((refused.status, accepted("the first secret")), (409, true), "{kind}: everything is as it was");
        forge.set_mood(Mood::Well);
        assert_eq!(rotate(json!({ "rotate": true })).status, 200, "{kind}");
        let second = key(&forge.hooks()[0]);
        assert_eq!((second.len(), accepted(&second), accepted("the first secret")), (64, true, true), "{kind}");
        let command = slipway()
            .args(["repo", "connect", "rotated/app", "--rotate", "--drop-previous", "--server", &site.url])
            .args(["--token", ADMIN_TOKEN])
            .output()
            .unwrap();
        assert!(command.status.success(), "{kind}: {}", shown(&command));
        let third = key(&forge.hooks()[0]);
        assert_ne!(third, second);
        assert_eq!((accepted(&third), accepted(&second), accepted("the first secret")), (true, false, false), "{kind}");
        let log = std::fs::read_to_string(site.path("serve.log")).unwrap();
        assert!(
            [&second, &third]
                .iter()
                .all(|secret| !log.contains(secret.as_str()) && !shown(&command).contains(secret.as_str()))
        );
    }
    let site = Site::start(ADMIN);
    // An App's secret goes on counting.
    crate::service::api::add_repository(&site, "without/secret", &json!({}));
    let none = ask(&site, "POST", "/v1/repos/without/secret/connect", &json!({ "rotate": true }));
    assert_eq!((none.status, &none.json()["code"]), (409, &json!("no_secret")), "{}", none.text);
    let fixed = ask(&site, "POST", "/v1/repos/team/app/connect", &json!({ "rotate": true }));
    assert_eq!((fixed.status, &fixed.json()["code"]), (409, &json!("defined_in_file")), "{}", fixed.text);
}

#[test]
fn refusals_of_registrations_have_the_forge_s_words_and_no_secret() {
    let forge = ForgeServer::start("github", TOKEN);
    let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
    let words = format!("{{\"message\":\"Resource not accessible by {TOKEN} and {SECRET}\"}}");
    forge.set_mood(Mood::Refusing(403, None, words));
    let (status, refused) = connect(&site);
    assert_eq!((status, &refused["code"]), (409, &json!("forge_refused")), "{refused}");
    assert_eq!(refused["detail"], "127.0.0.1: HTTP 403: Resource not accessible by *** and ***");
    forge.set_mood(Mood::Refusing(503, None, String::new()));
    let (status, away) = connect(&site);
    assert_eq!((status, &away["code"]), (503, &json!("forge_unavailable")), "{away}");
    let nowhere = Site::start(ADMIN);
    let (status, none) = connect(&nowhere);
    assert_eq!((status, &none["code"]), (409, &json!("no_forge")), "{none}");
    assert!(none["hint"].as_str().unwrap().contains("[forges.\"HOST\"]"), "{none}");
}

fn generic(site: &Site, body: &Value, id: Option<&str>) -> (u16, Value) {
    let body = body.to_string();
    let mut headers = vec![format!("X-Hub-Signature-256: sha256={}", signature(&body))];
    headers.extend(id.map(|id| format!("Idempotency-Key: {id}")));
    deliver(site, "/hooks/generic", &headers, &body)
}

#[test]
fn a_plain_git_server_tells_by_name_or_by_url() {
    let site = Site::start("");
    let commit = |digit: &str| digit.repeat(40);
    let by_name = json!({ "repository": "codertocat/hello-world", "ref": "refs/heads/main", "commit": commit("1") });
    let (status, first) = generic(&site, &by_name, None);
    assert_eq!((status, first["builds"].as_array().map(Vec::len)), (202, Some(1)), "{first}");
    let (status, again) = generic(&site, &by_name, None);
    assert_eq!((status, &again["duplicate"]), (200, &json!(true)), "{again}");
    let url = format!("http://{}/app/", site.git);
    let by_url = json!({ "clone_url": url, "ref": "refs/tags/v1", "commit": commit("2"), "object": commit("3") });
    let (status, second) = generic(&site, &by_url, Some("one"));
    assert_eq!(status, 202, "{second}");
    let build = site.get(&format!("/v1/builds/{}", second["builds"][0]["id"].as_str().unwrap()));
    assert_eq!((&build["ref"], &build["commit"]), (&json!("refs/tags/v1"), &json!(commit("2"))));
    let gone = json!({ "repository": "Codertocat/Hello-World", "ref": "refs/heads/main", "commit": null });
    assert_eq!(generic(&site, &gone, None).1["reason"], "ref_deleted");
    for (body, status, code) in [
        (json!({ "repository": "Codertocat/Hello-World", "ref": "main", "commit": commit("1") }), 400, "invalid_ref"),
        (json!({ "repository": "Codertocat/Hello-World", "ref": "refs/heads/main", "comit": "x" }), 400, "bad_json"),
        (
            json!({ "repository": "somebody/else", "ref": "refs/heads/main", "commit": commit("1") }),
            401,
            "bad_signature",
        ),
        (
            json!({ "repository": "Codertocat/Hello-World", "clone_url": "https://x/y", "ref": "refs/heads/main", "commit": commit("1") }),
            401,
            "bad_signature",
        ),
    ] {
        let (answered, problem) = generic(&site, &body, None);
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{body}: {problem}");
    }
    let unsigned = deliver(&site, "/hooks/generic", &[], &by_name.to_string());
    assert_eq!((unsigned.0, unsigned.1["code"].as_str()), (401, Some("bad_signature")));
}

#[test]
fn the_documented_script_of_a_bare_repository_starts_builds_and_a_forge_is_told() {
    let forge = ForgeServer::start("gitea", TOKEN);
    let site = Site::start(&forge.section("127.0.0.1"));
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forges.md")).unwrap();
    let script = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let secret = site.path("hook.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let script = script
        .replace("https://ci.example.com", &site.url)
        .replace("repository=team/app", "repository=Codertocat/Hello-World")
        .replace("/etc/slipway-hook.secret", secret.to_str().unwrap());
    let hook = site.path("git/app.git/hooks/post-receive");
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let work = site.path("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "Say \"hello\" \\ and\tgo"]);
    git(&work, &["tag", "-a", "v1", "-m", "One"]);
    let bare = site.path("git/app.git");
    git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), "HEAD:main", "v1"]);
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    let builds = site.get("/v1/builds")["builds"].as_array().unwrap().clone();
    let refs: Vec<&str> = builds.iter().rev().map(|build| build["ref"].as_str().unwrap()).collect();
    assert_eq!(refs, ["refs/heads/main", "refs/tags/v1"]);
    for build in &builds {
        let build = site.succeeded(build["id"].as_str().unwrap());
        assert_eq!((&build["commit"], &build["trigger"]["kind"]), (&json!(commit), &json!("push")));
        assert!(build["commit_message"].as_str().unwrap().starts_with("Say \"hello\" \\ and"), "{build:#}");
    }
    let successes = || forge.told().iter().filter(|told| told.state == "success").count();
    wait_for("both statuses", || (successes() == 2).then_some(()));
    // A marked commit is not built, and a ref that goes is told.
    git(&work, &["commit", "-q", "--allow-empty", "-m", "Docs [skip ci]"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "HEAD:main", ":v1"]);
    let reasons: Vec<Value> = site.get("/v1/deliveries")["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .take(2)
        .map(|it| it["reason"].clone())
        .collect();
    assert!(reasons.contains(&json!("skip_marker")) && reasons.contains(&json!("ref_deleted")), "{reasons:?}");
}
