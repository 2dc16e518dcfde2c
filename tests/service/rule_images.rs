//! Several images from one repository: rules that name their own, and repositories that share one webhook.

use crate::service::api::{ADMIN, ask};
use crate::service::people::{made, with_token};
use crate::service::sign_in::Browser;
use crate::support::raw_http::push;
use crate::support::{Answer, Site, curl, shown, slipway, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Key of the one webhook.
const KEY: &str = "key of the monorepo";

/// Adds a repository of this name that is fetched from the site's own.
fn add(site: &Site, name: &str, settings: &Value) -> Answer {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let mut document = json!({
        "name": name, "forge_name": "mono/repo", "clone_url": clone_url, "secret": KEY,
        "image": format!("{}/mono/app", site.registry),
    });
    settings.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
    ask(site, "POST", "/v1/repos", &document)
}

/// Delivers a push of the main branch; returns the answer.
fn deliver(site: &Site, commit: &str, key: &str) -> Answer {
    let body = push("refs/heads/main", commit, "A commit").replace("Codertocat/Hello-World", "mono/repo");
    site.deliver("push", &format!("mono-{commit}-{key}"), &body, key)
}

fn tags(site: &Site, image: &str) -> Value {
    curl(&[&format!("http://{}/v2/{image}/tags/list", site.registry)]).json()["tags"].clone()
}

#[test]
fn one_push_becomes_the_images_that_its_rules_name() {
    let site = Site::start(ADMIN);
    site.push_base();
    let base = json!({ "BASE": format!("{}/base/busybox", site.registry) });
    let web = format!("{}/mono/web", site.registry);
    let rules = json!([
        { "name": "app", "branch": "main", "build_args": base },
        { "name": "web", "branch": "main", "image": web, "tags": ["latest", "{sha7}"], "build_args": base },
    ]);
    assert_eq!(add(&site, "mono/all", &json!({ "rules": rules })).status, 201);
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    let answer = deliver(&site, &commit, KEY).json();
    let named: Vec<&Value> = answer["builds"].as_array().unwrap().iter().map(|build| &build["tags"]).collect();
    let short = &commit[..7];
    assert_eq!(named[1], &json!([format!("{web}:latest"), format!("{web}:{short}")]), "{answer:#}");
    for build in answer["builds"].as_array().unwrap() {
        site.succeeded(build["id"].as_str().unwrap());
    }
    assert_eq!((tags(&site, "mono/app"), tags(&site, "mono/web")), (json!(["latest"]), json!([short, "latest"])));

    // Every face names it.
    let tried = ask(&site, "POST", "/v1/repos/mono/all/rules:test", &json!({ "ref": "main" })).json();
    assert_eq!((&tried["rules"][0]["image"], &tried["rules"][1]["image"]), (&Value::Null, &json!(web)), "{tried:#}");
    let printed =
        shown(&slipway().args(["rules", "test", "mono/all", "main", "--server", &site.url]).output().unwrap());
    assert!(printed.contains(&format!("{web}:latest")) && printed.contains("/mono/app:latest"), "{printed}");
    let page = curl(&[&format!("{}/repos/mono/all", site.url)]).text;
    assert!(page.contains(&web) && page.contains("/mono/app"), "{page}");
    let dry = ask(&site, "POST", "/v1/repos/mono/all/builds", &json!({ "ref": "main", "dry_run": true })).json();
    assert_eq!(dry["plan"][1]["tags"][0], json!(format!("{web}:latest")), "{dry:#}");
    let other = ask(&site, "POST", "/v1/repos/mono/all/builds", &json!({ "ref": "main", "tags": ["try"] })).json();
    let tried: BTreeSet<&str> =
        other["builds"].as_array().unwrap().iter().filter_map(|build| build["tags"][0].as_str()).collect();
    let app = format!("{}/mono/app", site.registry);
    assert_eq!(tried, [format!("{app}:try"), format!("{web}:try")].iter().map(String::as_str).collect());

    let wrong = add(&site, "mono/wrong", &json!({ "rules": [{ "branch": "main", "image": "Web" }] }));
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("invalid_repository")), "{}", wrong.text);
}

#[test]
fn a_file_of_its_own_names_only_images_that_the_server_allows() {
    let site = Site::start(ADMIN);
    site.push_base();
    let (registry, rule) = (&site.registry, "[[rules]]\nbranch = \"main\"\n");
    let allowed = json!({ "own_rules": { "images": [format!("{registry}/mono/allowed-*")] } });
    assert_eq!(add(&site, "mono/own", &allowed).status, 201);
    let pushed = |image: &str| {
        let text = format!("{rule}image = \"{image}\"\nbuild_args = {{ BASE = \"{registry}/base/busybox\" }}\n");
        let files = [("Dockerfile", "ARG BASE\nFROM ${BASE}\n"), ("slipway.toml", text.as_str())];
        let commit = site.commit(&files);
        assert_eq!(deliver(&site, &commit, KEY).status, 202);
        wait_for("the repository's rules", || {
            let newest = site.get("/v1/deliveries?repo=mono/own&limit=1")["deliveries"][0].clone();
            (newest["status"] != "pending").then_some(newest)
        })
    };
    for image in ["mono/allowed-web", "mono/app/below"] {
        let delivery = pushed(&format!("{registry}/{image}"));
        site.succeeded(delivery["builds"][0].as_str().unwrap_or_else(|| panic!("{delivery:#}")));
        assert_eq!(tags(&site, image), json!(["latest"]));
    }
    for image in ["mono/other", "mono/allowed-web/deeper", "mono/application", "base/busybox"] {
        let delivery = pushed(&format!("{registry}/{image}"));
        assert_eq!(delivery["reason"], "rules_invalid", "{delivery:#}");
        let why = delivery["explain"][0].as_str().unwrap();
        assert!(why.contains("rule `rule-1`") && why.contains("`own_rules.images`"), "{why}");
    }
}

#[test]
fn one_delivery_feeds_every_repository_that_it_verifies_for() {
    // SV-26
    let site = Site::start(ADMIN);
    site.push_base();
    let base = json!({ "BASE": format!("{}/base/busybox", site.registry) });
    for (name, settings) in [
        ("mono/one", json!({ "image": format!("{}/mono/one", site.registry) })),
        ("mono/two", json!({ "image": format!("{}/mono/two", site.registry) })),
        ("mono/hidden", json!({ "image": format!("{}/mono/hidden", site.registry), "secret": "another key" })),
    ] {
        let mut settings = settings;
        settings["rules"] = json!([{ "name": "main", "branch": "main", "build_args": base }]);
        assert_eq!(add(&site, name, &settings).status, 201);
    }
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    let answer = deliver(&site, &commit, KEY);
    let told = answer.json();
    let repositories: Vec<&str> =
        told["builds"].as_array().unwrap().iter().filter_map(|build| build["repo"].as_str()).collect();
    assert_eq!(repositories, ["mono/one", "mono/two"], "{told:#}");
    assert!(!answer.text.contains("hidden"), "{}", answer.text);
    for build in told["builds"].as_array().unwrap() {
        site.succeeded(build["id"].as_str().unwrap());
    }
    assert_eq!((tags(&site, "mono/one"), tags(&site, "mono/two")), (json!(["latest"]), json!(["latest"])));
    assert_eq!(site.get("/v1/deliveries?repo=mono/hidden")["deliveries"], json!([]));
    let page = curl(&[&format!("{}/deliveries", site.url)]).text;
    assert!(page.contains("mono/one") && page.contains("mono/two") && !page.contains("mono/hidden"), "{page}");
    assert_eq!(deliver(&site, &commit, "a wrong key").status, 401);
    // The page of the delivery for one leads to that for the other.
    let of_one = site.get("/v1/deliveries?repo=mono/one")["deliveries"][0]["id"].clone();
    let page = curl(&[&format!("{}/deliveries/{of_one}", site.url)]).text;
    assert!(page.contains("Also for") && page.contains("mono/two") && !page.contains("mono/hidden"), "{page}");
}

#[test]
fn images_elsewhere_are_the_server_s_administrators_to_give() {
    let site = Site::start_with("anonymous_read = true", &format!("{ADMIN}[sign_in]\nlocal = true\n"));
    let named = format!("{}/mono/web", site.registry);
    let rules = json!([{ "branch": "main" }, { "branch": "main", "image": named }]);
    assert_eq!(add(&site, "mono/all", &json!({ "rules": rules })).status, 201);
    let user = json!({ "name": "eve", "password": "correct horse" });
    assert_eq!(ask(&site, "POST", "/v1/registry/users", &user).status, 201);
    let rights = json!({ "name": "eve", "local": true, "rights": [{ "repositories": "mono/all", "scope": "admin" }] });
    assert_eq!(ask(&site, "POST", "/v1/accounts", &rights).status, 201);
    let eve = Browser::new(&site, "eve");
    eve.get("/login");
    eve.send("/login", "/login", &[("name", "eve"), ("password", "correct horse"), ("next", "/repos")], &[]);
    let token = made(&eve, "mine", "admin", "");
    let below = format!("{}/mono/app/web", site.registry);
    let elsewhere = format!("{}/base/busybox", site.registry);
    let own = json!({ "own_rules": { "images": [elsewhere] } });
    assert_eq!(with_token(&site, &token, "PATCH", "/v1/repos/mono/all", &own).status, 403);
    // Once no rule names it any more, it is an administrator's to give again.
    for (image, status) in [(&named, 200), (&below, 200), (&elsewhere, 403), (&named, 403)] {
        let rules = json!({ "rules": [{ "branch": "main", "image": image }] });
        for (method, path) in [("PUT", "/v1/repos/mono/all/rules"), ("PATCH", "/v1/repos/mono/all")] {
            let answer = with_token(&site, &token, method, path, &rules);
            assert_eq!(answer.status, status, "{method} {image}: {}", answer.text);
        }
    }
    // The page leads no way around that.
    let settings = "/repos/mono/all/settings";
    let shown = eve.get(settings).text;
    let version = shown.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let clone_url = site.get("/v1/repos/mono/all")["clone_url"].as_str().unwrap().to_owned();
    let document = format!(
        "name = \"mono/all\"\nforge_name = \"mono/repo\"\nclone_url = \"{clone_url}\"\nimage = \"{elsewhere}\"\n"
    );
    let answer = eve.send(settings, settings, &[("document", &document), ("version", version)], &[]);
    assert_eq!(answer.status, 403, "{}", answer.text);
}
