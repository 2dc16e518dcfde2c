//! Forges tell of webhooks and their deliveries; deliveries that failed are sent again; a webhook that somebody removed or
//! changed is told and mended.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::sign_in::Browser;
use crate::support::forge_server::{ForgeServer, Mood};
use crate::support::github_app::{APP, APP_SECRET, GithubApp, TOKEN_START};
use crate::support::{SECRET, Site, TOKEN as READER, shown, slipway};
use serde_json::{Value, json};
use std::process::Output;

const TOKEN: &str = "canary-token-77aa";
const PATH: &str = "/v1/repos/team/app/forge-deliveries";
const AGAIN: &str = "/v1/repos/team/app/forge-deliveries/redeliver";

fn start(kind: &'static str) -> (ForgeServer, Site) {
    let forge = ForgeServer::start(kind, TOKEN);
    let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
    (forge, site)
}

fn command(site: &Site, arguments: &[&str]) -> Output {
    let whole = ["repo", "deliveries", "team/app", "--server", &site.url, "--token", ADMIN_TOKEN];
    slipway().args(whole).args(arguments).output().unwrap()
}

fn failed(told: &Value) -> Vec<&str> {
    let all = told["deliveries"].as_array().unwrap().iter();
    all.filter(|one| one["failed"] == true).map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn what_was_never_taken_is_told_and_sent_again_in_its_order() {
    for kind in ["github", "gitlab"] {
        let (forge, site) = start(kind);
        assert_eq!(ask(&site, "POST", "/v1/repos/team/app/connect", &Value::Null).status, 200);
        for (delivery, status) in [("a", 502), ("b", 0), ("a", 200), ("c", 401), ("c", 503)] {
            forge.log().add(delivery, status, 1);
        }
        let told = ask(&site, "GET", PATH, &Value::Null);
        assert_eq!(told.status, 200, "{kind}: {}", told.text);
        let told = told.json();
        assert_eq!((&told["hook"], &told["faults"], &told["sends_again"]), (&json!("1"), &json!([]), &json!(true)));
        assert_eq!(
            (told["deliveries"].as_array().unwrap().len(), failed(&told)),
            (5, vec!["104", "101"]),
            "{kind}: {told:#}"
        );
        let said = shown(&command(&site, &["--failed"]));
        assert!(said.contains("HTTP 503") && said.contains("failed") && !said.contains("HTTP 502"), "{kind}: {said}");
        let unknown = ask(&site, "POST", AGAIN, &json!({ "deliveries": ["101", "../x"] }));
        assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("delivery_not_found")), "{}", unknown.text);
        assert!(forge.log().again().is_empty());
        // One is taken by the forge, then it has enough.
        forge.log().set_patience(1);
        let half = ask(&site, "POST", AGAIN, &json!({})).json();
        assert_eq!((&half["redelivered"], &half["refused"][0]["id"]), (&json!(["101"]), &json!("104")), "{half}");
        assert!(half["refused"][0]["problem"].as_str().unwrap().contains("too many times"), "{half}");
        forge.log().set_patience(100);
        let command = command(&site, &["--redeliver"]);
        assert!(command.status.success(), "{kind}: {}", shown(&command));
        assert_eq!(forge.log().again(), [101, 104], "{kind}");
        assert!(failed(&ask(&site, "GET", PATH, &Value::Null).json()).is_empty(), "{kind}");
        let audit = ask(&site, "GET", "/v1/audit?action=redelivery_asked", &Value::Null).json();
        assert_eq!(audit["entries"].as_array().map(Vec::len), Some(2), "{audit}");
        let log = std::fs::read_to_string(site.path("serve.log")).unwrap();
        assert!(!log.contains(TOKEN) && !log.contains(SECRET));
    }
}

#[test]
fn forges_without_such_an_api_say_so_and_a_webhook_that_is_gone_or_changed_is_told_and_mended() {
    for kind in ["github", "gitlab", "gitea", "forgejo", "gogs", "bitbucket", "bitbucket-datacenter"] {
        let (forge, site) = start(kind);
        let connect =
            || assert_eq!(ask(&site, "POST", "/v1/repos/team/app/connect", &Value::Null).status, 200, "{kind}");
        let told = || ask(&site, "GET", PATH, &Value::Null).json();
        connect();
        let sends_again = ["github", "gitlab"].contains(&kind);
        let good = told();
        assert_eq!((&good["faults"], &good["sends_again"]), (&json!([]), &json!(sends_again)), "{kind}: {good}");
        assert_eq!(good["limits"].is_string(), !sends_again, "{kind}: {good}");
        if !sends_again {
            let none = ask(&site, "POST", AGAIN, &json!({}));
            assert_eq!((none.status, &none.json()["code"]), (409, &json!("no_redelivery")), "{}", none.text);
        }
        // Somebody removed it.
        let hook = forge.hooks().remove(0);
        forge.set_hooks(Vec::new());
        let gone = told();
        assert_eq!((&gone["hook"], gone["faults"].as_array().map(Vec::len)), (&Value::Null, Some(1)), "{kind}: {gone}");
        if sends_again {
            let none = ask(&site, "POST", AGAIN, &json!({}));
            assert_eq!((none.status, &none.json()["code"]), (409, &json!("hook_not_found")), "{}", none.text);
        }
        let said = shown(&command(&site, &[]));
        assert!(
            said.contains("no webhook that delivers here") && said.contains("slipway repo connect team/app"),
            "{said}"
        );
        connect();
        assert_eq!((forge.hooks().len(), &told()["faults"]), (1, &json!([])), "{kind}");
        // Somebody changed it.
        let mut changed = hook;
        match kind {
            "gitlab" => changed["push_events"] = false.into(),
            _ => changed["active"] = false.into(),
        }
        forge.set_hooks(vec![changed]);
        let told_of = told();
        let fault = if kind == "gitlab" { "`push_events` was off" } else { "it was not active" };
        assert_eq!(told_of["faults"], json!([fault]), "{kind}: {told_of}");
        connect();
        assert_eq!(told()["faults"], json!([]), "{kind}");
    }
    let (forge, site) = start("bitbucket-datacenter");
    ask(&site, "POST", "/v1/repos/team/app/connect", &Value::Null);
    for (delivery, status) in [("a", 200), ("b", 500), ("c", 0)] {
        forge.log().add(delivery, status, 1);
    }
    let told = ask(&site, "GET", PATH, &Value::Null).json();
    assert_eq!(failed(&told), ["102", "101"], "{told:#}");
    assert_eq!(told["deliveries"][1]["answer"], "FAILURE: 500");
}

#[test]
fn the_page_shows_failures_and_sends_them_again_for_administrators_alone() {
    let (forge, site) = start("github");
    let path = "/repos/team/app/forge-deliveries";
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let gone = browser.get(path).text;
    assert!(gone.contains("no webhook that delivers here") && gone.contains("Mend the webhook"), "{gone}");
    ask(&site, "POST", "/v1/repos/team/app/connect", &Value::Null);
    forge.log().add("a", 502, 1);
    forge.log().add("b", 0, 1);
    let page = browser.get(path).text;
    assert!(page.contains("Deliver again what failed") && page.contains("failed to connect to host"), "{page}");
    let one = browser.send(path, &format!("{path}/redeliver"), &[("delivery", "101")], &[]);
    assert!(one.status == 200 && one.text.contains("sends 1 delivery again."), "{}", one.text);
    let rest = browser.send(path, &format!("{path}/redeliver"), &[], &[]);
    assert!(rest.status == 200 && !rest.text.contains("Deliver again what failed"), "{}", rest.text);
    assert_eq!(forge.log().again(), [101, 100]);
    forge.set_mood(Mood::Refusing(403, None, format!("{{\"message\":\"not with {TOKEN} and {SECRET}\"}}")));
    let refused = browser.get(path).text;
    assert!(refused.contains("not with *** and ***") && !refused.contains(TOKEN), "{refused}");
    let reader = Browser::signed_in(&site, "test", READER);
    assert_eq!((reader.get(path).status, reader.post(&format!("{path}/redeliver"), &[], &[]).status), (403, 403));
    assert_eq!(forge.log().again().len(), 2);
}

#[test]
fn an_app_tells_and_repeats_deliveries_of_the_one_repository() {
    let forge = GithubApp::start();
    let extra = format!(
        "{ADMIN}[forges.\"127.0.0.1\"]\nkind = \"github\"\nurl = \"http://{}\"\n\
         app = {{ id = {APP}, private_key = {{ file = \"{}\" }}, webhook_secret = \"{APP_SECRET}\" }}\n",
        forge.address,
        forge.key().display()
    );
    let site = Site::start(&extra);
    let (ours, other) = (1_296_269, 7);
    for (delivery, status, repository) in [("a", 502, ours), ("b", 502, other), ("c", 200, ours), ("d", 0, ours)] {
        forge.log().add(delivery, status, repository);
    }
    let url = format!("{}/hooks/github", site.url);
    let told = ask(&site, "GET", PATH, &Value::Null).json();
    assert_eq!((&told["hook"], failed(&told)), (&json!("app"), vec!["103", "100"]), "{told:#}");
    assert_eq!(told["faults"].as_array().map(Vec::len), Some(1), "it delivers elsewhere: {told:#}");
    forge.set_hook_url(&url);
    assert_eq!(ask(&site, "GET", PATH, &Value::Null).json()["faults"], json!([]));
    // A delivery of another repository is none of this one's.
    let others = ask(&site, "POST", AGAIN, &json!({ "deliveries": ["101"] }));
    assert_eq!(others.status, 404, "{}", others.text);
    let done = ask(&site, "POST", AGAIN, &json!({})).json();
    assert_eq!((&done["redelivered"], forge.log().again()), (&json!(["100", "103"]), vec![100, 103]), "{done}");
    let log = std::fs::read_to_string(site.path("serve.log")).unwrap();
    assert!(!log.contains(TOKEN_START) && !log.contains(APP_SECRET));
}
