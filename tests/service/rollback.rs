//! Rollbacks: tags go back to the image of an earlier build, until the next push.

use crate::service::api::{ADMIN, ask};
use crate::support::{Site, curl, shown, slipway};
use serde_json::{Value, json};

/// Returns the digest that a tag names.
fn named(site: &Site, tag: &str) -> String {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let url = format!("http://{}/v2/team/app/manifests/{tag}", site.registry);
    let answer = curl(&["-I", "-H", accept, &url]);
    let line = answer.text.lines().find(|line| line.to_ascii_lowercase().starts_with("docker-content-digest"));
    line.and_then(|line| line.split_once(':')).map_or_else(String::new, |(_, digest)| digest.trim().to_owned())
}

#[test]
fn tags_go_back_to_the_image_of_an_earlier_build_until_the_next_push() {
    let site = Site::start(ADMIN);
    site.push_base();
    let commit =
        |text: &str| site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY a.txt /a.txt\n"), ("a.txt", text)]);
    let first = site.push(&commit("one"));
    let good = site.succeeded(&first)["image"]["digest"].as_str().unwrap().to_owned();
    let second = site.push(&commit("two"));
    let bad = site.succeeded(&second)["image"]["digest"].clone();
    assert_ne!(named(&site, "latest"), good);

    let answer = ask(&site, "POST", &format!("/v1/builds/{first}/rollback"), &Value::Null);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let rollback = answer.json();
    assert_eq!((&rollback["trigger"]["kind"], &rollback["trigger"]["of"]), (&json!("rollback"), &json!(first)));
    let id = rollback["id"].as_str().unwrap();
    let ended = site.succeeded(id);
    assert_eq!((&ended["image"]["digest"], &ended["steps"]), (&json!(good), &json!([])), "{ended:#}");
    assert_eq!(
        (named(&site, "latest"), &ended["image"]["tags"][0]),
        (good.clone(), &json!(format!("{}/team/app:latest", site.registry)))
    );
    assert!(site.log(id).contains("is sha256:") && site.log(id).contains("again"), "{}", site.log(id));
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains("a rollback by") && page.contains(&first), "{page}");
    let audit = ask(&site, "GET", "/v1/audit?action=build_rolled_back", &Value::Null);
    assert!(audit.text.contains("build_rolled_back"), "{}", audit.text);

    // Once more, by the command; and what made no image has none to go back to.
    let again = slipway()
        .args(["rollback", "team/app#2", "-f", "--server", &site.url, "--token", crate::support::TOKEN])
        .output()
        .unwrap();
    assert!(again.status.success() && shown(&again).contains("goes back to the image"), "{}", shown(&again));
    assert_eq!(json!(named(&site, "latest")), bad);
    let broken = site.push(&site.commit(&[("Dockerfile", "FROM scratch\nCOPY nothing /\n")]));
    site.finished(&broken);
    let refused = ask(&site, "POST", &format!("/v1/builds/{broken}/rollback"), &Value::Null);
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("no_image")), "{}", refused.text);
    ask(&site, "POST", &format!("/v1/builds/{first}/rollback"), &Value::Null);

    // A build by hand knew its commit, and with it a tag, only once it had begun.
    let by_hand = commit("by hand");
    let started = ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main" })).json();
    let started = started["builds"][0]["id"].as_str().unwrap_or_else(|| panic!("{started:#}"));
    site.succeeded(started);
    let back = ask(&site, "POST", &format!("/v1/builds/{started}/rollback"), &Value::Null).json();
    assert_eq!(back["tags"][1], json!(format!("{}/team/app:{}", site.registry, &by_hand[..7])), "{back:#}");
    site.succeeded(back["id"].as_str().unwrap());

    // The next push moves the tags on, also back to files of before.
    let third = site.push(&commit("three"));
    let third = site.succeeded(&third)["image"]["digest"].clone();
    assert_eq!(json!(named(&site, "latest")), third);
}

#[test]
fn an_image_that_the_registry_has_removed_cannot_be_had_again() {
    let site = Site::start(ADMIN);
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    let build = site.push(&commit);
    let digest = site.succeeded(&build)["image"]["digest"].as_str().unwrap().to_owned();
    let url = format!("http://{}/v2/team/app/manifests/{digest}", site.registry);
    assert_eq!(curl(&["-X", "DELETE", &url]).status, 202);
    let id = ask(&site, "POST", &format!("/v1/builds/{build}/rollback"), &Value::Null).json()["id"].clone();
    let ended = site.finished(id.as_str().unwrap());
    assert_ne!(ended["state"], "succeeded", "{ended:#}");
    let message = ended["reason"]["message"].as_str().unwrap();
    assert!(message.contains("build the commit again") && message.contains(&digest), "{message}");
}
