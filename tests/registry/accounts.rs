//! The embedded registry with accounts, as skopeo and scripts meet it.

use crate::service::api::{ADMIN, ask, ask_as};
use crate::support::{Site, TOKEN, curl, run, shown, slipway};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `slipway registry` on the database of a site.
fn registry(site: &Site, arguments: &[&str], input: &str) -> Output {
    let mut command = slipway();
    command.arg("registry").args(arguments).arg("--data-dir").arg(site.path("data"));
    command.arg("--config").arg(site.path("slipway.toml"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn skopeo(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new("skopeo");
    command.args(arguments).env("REGISTRY_AUTH_FILE", site.path("auth.json")).output().unwrap()
}

/// Builds an image by hand and returns it as skopeo calls it.
fn layout(site: &Site) -> String {
    let (context, layout) = (site.path("context"), site.path("layout"));
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    run(slipway()
        .args(["build", "--progress", "plain", "-o", &output, "--data-dir"])
        .arg(site.path("own"))
        .arg(context));
    format!("oci:{}", layout.display())
}

#[test]
fn accounts_push_pull_and_delete_as_far_as_their_rights_go() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let add =
        registry(&site, &["user", "add", "ada", "--password-stdin", "--allow", "team/*=pull,push"], "correct horse\n");
    assert!(add.status.success(), "{}", shown(&add));
    let robot = registry(&site, &["user", "add", "reader", "--robot", "--expires", "1d", "--allow", "team/*=pull"], "");
    assert!(robot.status.success(), "{}", shown(&robot));
    let password = String::from_utf8(robot.stdout).unwrap().trim().to_owned();
    assert!(password.starts_with("slu_"), "{password}");
    let source = layout(&site);
    let image = format!("docker://{}/team/app:1", site.registry);
    let push = |creds: &str, to: &str| {
        skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", "--dest-creds", creds, &source, to])
    };
    let pushed = push("ada:correct horse", &image);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    for (creds, to) in [
        (format!("reader:{password}"), image.clone()),
        ("ada:correct horse".to_owned(), format!("docker://{}/other/app:1", site.registry)),
        ("ada:wrong".to_owned(), image.clone()),
    ] {
        let refused = push(&creds, &to);
        assert!(!refused.status.success(), "{creds} {to}");
    }
    let reader = format!("reader:{password}");
    let inspect = ["inspect", "--tls-verify=false", "--creds", &reader, "--format", "{{.Digest}}", &image];
    let digest = skopeo(&site, &inspect);
    assert!(digest.status.success(), "{}", shown(&digest));
    let delete = |creds: &str| skopeo(&site, &["delete", "--tls-verify=false", "--creds", creds, &image]);
    assert!(!delete("ada:correct horse").status.success(), "she may not");
    let allowed = registry(&site, &["allow", "team/*", "pull,push,delete", "--user", "ada"], "");
    assert!(allowed.status.success(), "{}", shown(&allowed));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let deleted = delete("ada:correct horse");
    assert!(deleted.status.success(), "{}", shown(&deleted));
    let audit = registry(&site, &["audit", "--repo", "team/app", "--json"], "");
    let audit: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
    let actions: Vec<_> =
        audit.as_array().unwrap().iter().map(|one| (one["account"].clone(), one["action"].clone())).collect();
    assert_eq!(actions, [(json!("ada"), json!("delete")), (json!("ada"), json!("push"))]);
}

#[test]
fn a_login_of_skopeo_is_kept_and_everybody_may_pull_what_is_public() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let (source, image) = (layout(&site), format!("docker://{}/base/app:latest", site.registry));
    let login = ["login", "--tls-verify=false", "-u", "ci", "-p", "hush-hush", &site.registry];
    let logged_in = skopeo(&site, &login);
    assert!(logged_in.status.success(), "{}", shown(&logged_in));
    let wrong = skopeo(&site, &["login", "--tls-verify=false", "-u", "ci", "-p", "hush", &site.registry]);
    assert!(!wrong.status.success());
    let pushed = skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", &source, &image]);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    let inspect = ["inspect", "--tls-verify=false", &image];
    assert!(skopeo(&site, &inspect).status.success(), "with the login that was kept");
    let nobody = ["inspect", "--tls-verify=false", "--no-creds", &image];
    assert!(!skopeo(&site, &nobody).status.success());
    let allowed = registry(&site, &["allow", "base/*", "pull", "--everybody"], "");
    assert!(allowed.status.success(), "{}", shown(&allowed));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let pulled = skopeo(&site, &nobody);
    assert!(pulled.status.success(), "{}", shown(&pulled));
    let tags = curl(&[&format!("http://{}/v2/base/app/tags/list", site.registry)]);
    assert_eq!((tags.status, &tags.json()["tags"]), (200, &json!(["latest"])));
}

#[test]
fn what_is_wrong_with_an_account_or_a_right_is_said() {
    let site = Site::start("");
    for (arguments, input, said) in [
        (vec!["user", "add", "a:b"], "", "is not a name of an account"),
        (vec!["user", "add", "ada", "--password-stdin"], "short\n", "fewer than 8 characters"),
        (vec!["user", "add", "ada", "--allow", "team/*"], "", "is not a right"),
        (vec!["user", "add", "ada", "--allow", "team/*=read"], "", "`read` is not an action"),
        (vec!["user", "add", "ada", "--allow", "Team/*=pull"], "", "is not a pattern"),
        (vec!["user", "remove", "ada"], "", "there is no account `ada`"),
        (vec!["user", "password", "ada"], "", "there is no account `ada`"),
        (vec!["allow", "team/*", "pull", "--user", "ada"], "", "there is no account `ada`"),
        (vec!["deny", "team/*", "--everybody"], "", "everybody has no right"),
        (vec!["allow", "team/*", "pull", "--user", ""], "", "a value is required for '--user <NAME>'"),
        (vec!["deny", "team/*", "--user", ""], "", "a value is required for '--user <NAME>'"),
    ] {
        let output = registry(&site, &arguments, input);
        assert!(!output.status.success() && shown(&output).contains(said), "{arguments:?}: {}", shown(&output));
    }
    let added = registry(&site, &["user", "add", "ada", "--json"], "");
    assert!(shown(&added).contains("the registry asks nobody who they are"), "{}", shown(&added));
    let twice = registry(&site, &["user", "add", "ada"], "");
    assert!(!twice.status.success() && shown(&twice).contains("there is an account `ada` already"));
}

#[test]
fn every_command_answers_in_json_where_that_is_asked_for() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let json = |arguments: &[&str], input: &str| {
        let output = registry(&site, &[arguments, &["--json"]].concat(), input);
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let added = json(&["user", "add", "ada"], "");
    assert!(added["password"].as_str().unwrap().starts_with("slu_"));
    let changed = json(&["user", "password", "ada"], "");
    assert!(changed["name"] == "ada" && changed["password"].as_str().unwrap().starts_with("slu_"));
    let read = json(&["user", "password", "ada", "--password-stdin"], "correct horse\n");
    assert_eq!(read, json!({ "name": "ada", "password": null }));
    let allowed = json(&["allow", "team/*", "push,pull", "--user", "ada"], "");
    assert_eq!(allowed, json!({ "user": "ada", "pattern": "team/*", "actions": "pull,push" }));
    let everybody = json(&["allow", "public/*", "pull", "--everybody"], "");
    assert_eq!(json(&["rights"], ""), json!([everybody, allowed]));
    let denied = json(&["deny", "public/*", "--everybody"], "");
    assert_eq!(denied, json!({ "user": null, "pattern": "public/*" }));
    assert_eq!(json(&["user", "remove", "ada"], ""), json!({ "removed": "ada" }));
}

#[test]
fn a_server_without_workers_notes_what_its_tags_lead_to_after_a_start_of_the_machine() {
    let mut site = Site::start_with("workers = 0", "");
    let (source, image) = (layout(&site), format!("docker://{}/base/app:latest", site.registry));
    let pushed = skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", &source, &image]);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    drop(site.server.take());
    // As a power loss leaves it: the tag is durable, what was noted is not.
    std::fs::remove_dir_all(site.path("data/images/contents/base%2Fapp")).unwrap();
    std::fs::write(site.path("data/boot.registry"), "the machine's last start").unwrap();
    site.serve();
    let copied = format!("dir:{}", site.path("copied").display());
    let pulled = skopeo(&site, &["copy", "-q", "--src-tls-verify=false", &image, &copied]);
    assert!(pulled.status.success(), "{}", shown(&pulled));
}

#[test]
fn a_deleted_tag_is_listed_and_restored() {
    let site = Site::start_with("workers = 0", "");
    let (source, image) = (layout(&site), format!("docker://{}/base/app:1", site.registry));
    let pushed = skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", &source, &image]);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    let deleted = skopeo(&site, &["delete", "--tls-verify=false", &image]);
    assert!(deleted.status.success(), "{}", shown(&deleted));
    let inspect = ["inspect", "--tls-verify=false", &image];
    assert!(!skopeo(&site, &inspect).status.success());
    let listed = registry(&site, &["deleted", "--json"], "");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["repository"], &listed[0]["reference"]), (&json!("base/app"), &json!("1")));
    assert_eq!(registry(&site, &["deleted", "--repo", "other/app", "--json"], "").stdout, b"[]\n");
    for (wrong, said) in [
        ("base/app", "is not a tag or digest"),
        ("base/app:2", "has no deleted tag `2`"),
        ("other/app:1", "has no deleted tag `1`"),
    ] {
        let refused = registry(&site, &["restore", wrong], "");
        assert!(!refused.status.success() && shown(&refused).contains(said), "{wrong}: {}", shown(&refused));
    }
    let restored = registry(&site, &["restore", "base/app:1"], "");
    assert!(restored.status.success() && shown(&restored).contains("base/app:1 restored"), "{}", shown(&restored));
    let found = skopeo(&site, &inspect);
    assert!(found.status.success(), "{}", shown(&found));
    let audit = registry(&site, &["audit", "--json"], "");
    let audit: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!((&audit[0]["action"], &audit[0]["reference"]), (&json!("restore"), &json!("1")));
}

#[test]
fn a_registry_is_searched_with_the_login_that_it_knows() {
    // cli.md 10
    let site = Site::start_with("workers = 0\nregistry_users = { ci = \"hush-hush\" }", "");
    let source = layout(&site);
    std::fs::create_dir(site.path("docker")).unwrap();
    let login = json!({ "auths": { site.registry.as_str(): { "auth": STANDARD.encode("ci:hush-hush") } } });
    std::fs::write(site.path("docker/config.json"), login.to_string()).unwrap();
    let image = format!("docker://{}/team/web", site.registry);
    let pushed =
        skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", "--dest-creds=ci:hush-hush", &source, &image]);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    let search = |arguments: &[&str]| {
        let mut command = slipway();
        command.arg("search").args(arguments).arg("--data-dir").arg(site.path("by-hand"));
        command.env("DOCKER_CONFIG", site.path("docker")).output().unwrap()
    };
    let term = format!("{}/we", site.registry);
    let found = search(&[&term, "--format", "{{.Name}} {{.StarCount}}"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), format!("{}/team/web 0\n", site.registry), "{}", shown(&found));
    assert!(shown(&search(&[&term])).starts_with("NAME"), "{}", shown(&search(&[&term])));
    assert_eq!(search(&[&term, "--filter", "stars=1", "--format", "json"]).stdout, b"");
    for (arguments, said) in [
        (&[term.as_str(), "--limit", "101"][..], "limit 101 is outside the range of [1, 100]"),
        (&[term.as_str(), "--filter", "wild=1"], "invalid filter 'wild=1'"),
    ] {
        let refused = search(arguments);
        assert!(refused.status.code() == Some(1) && shown(&refused).contains(said), "{}", shown(&refused));
    }
}

#[test]
fn a_deleted_tag_is_listed_and_restored_through_the_api() {
    let site = Site::start_with("workers = 0", ADMIN);
    let (source, image) = (layout(&site), format!("docker://{}/base/app:1", site.registry));
    let pushed = skopeo(&site, &["copy", "-q", "--dest-tls-verify=false", &source, &image]);
    assert!(pushed.status.success(), "{}", shown(&pushed));
    let get = |path: &str| ask(&site, "GET", path, &json!({}));
    let restore = |reference: &str| {
        let body = json!({ "repository": "base/app", "reference": reference });
        ask(&site, "POST", "/v1/registry/restore", &body)
    };
    assert_eq!(get("/v1/registry/repositories").json(), json!({ "repositories": ["base/app"] }));
    let there = restore("1");
    assert_eq!((there.status, &there.json()["code"]), (409, &json!("tag_not_restored")), "{}", there.text);
    let deleted = skopeo(&site, &["delete", "--tls-verify=false", &image]);
    assert!(deleted.status.success(), "{}", shown(&deleted));
    let shown = get("/v1/registry/repository?name=base/app").json();
    assert_eq!((&shown["total"], &shown["deleted"][0]["name"]), (&json!(0), &json!("1")), "{shown}");
    assert!(shown["deleted"][0]["restorable_until"].is_string(), "{shown}");
    assert_eq!(restore("1").json(), json!({ "restored": ["1"] }));
    let shown = get("/v1/registry/repository?name=base/app").json();
    assert_eq!((&shown["tags"][0]["name"], &shown["deleted"]), (&json!("1"), &json!([])), "{shown}");
    assert_eq!(get("/v1/registry/repository?name=base/other").status, 404);
    let refused = ask_as(&site, TOKEN, "POST", "/v1/registry/restore", &[], &json!({}));
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[test]
fn behind_a_proxy_that_is_trusted_addresses_are_those_of_its_clients() {
    let site = Site::start_with("trusted_proxies = [\"127.0.0.1\"]\nregistry_users = { ci = \"hush-hush\" }", "");
    let url = format!("http://{}/v2/", site.registry);
    let ask =
        |login: &str, address: &str| curl(&["-u", login, "-H", &format!("X-Forwarded-For: {address}"), &url]).status;
    for _ in 0..10 {
        assert_eq!(ask("ada:guess", "192.0.2.1"), 401);
    }
    assert_eq!(ask("ada:guess", "192.0.2.1"), 429);
    assert_eq!(ask("ada:guess", "192.0.2.2"), 401);
}

#[test]
fn an_account_has_a_name_that_no_user_of_the_configuration_has() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let refused = registry(&site, &["user", "add", "ci"], "");
    assert!(!refused.status.success() && shown(&refused).contains("choose another name"), "{}", shown(&refused));
}
