//! Shadow mode: slipway builds what another service builds, compares the images, and takes its place with one command.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::support::{Site, busybox_context, curl, run, shown, slipway};
use serde_json::{Value, json};
use std::process::Output;

/// A repository of the configuration.
const FIXED: &str = r#"
[[repositories]]
name = "fixed/app"
clone_url = "http://@GIT@/app.git"
image = "@REGISTRY@/trial/fixed"
shadow_of = "@REGISTRY@/hub/fixed"
"#;

fn repo(site: &Site, arguments: &[&str]) -> Output {
    let mut command = slipway();
    command.arg("repo").args(arguments).args(["--server", &site.url, "--token", ADMIN_TOKEN]);
    command.output().unwrap()
}

/// Builds the branch and returns the id of the build that ended well.
fn build(site: &Site) -> String {
    let answer = ask(site, "POST", "/v1/repos/team/shadow/builds", &json!({ "ref": "main" })).json();
    let id = answer["builds"][0]["id"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned();
    site.succeeded(&id);
    id
}

/// Pushes what the other service makes of the source.
fn other_service(site: &Site, text: &str, label: &str) {
    let dockerfile = format!("FROM {}/base/busybox\nCOPY a.txt /a.txt\nENV A=1\n", site.registry);
    let context = busybox_context(&dockerfile);
    std::fs::write(context.path().join("context/a.txt"), text).unwrap();
    run(slipway()
        .args(["build", "--push", "-t", &format!("{}/hub/app:latest", site.registry), "--label", label, "--data-dir"])
        .arg(site.path("other"))
        .arg(context.path().join("context")));
}

fn digest(site: &Site, image: &str) -> Value {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let manifest = curl(&["-H", accept, &format!("http://{}/v2/{image}/manifests/latest", site.registry)]).json();
    manifest["config"]["digest"].clone()
}

#[test]
fn what_another_service_builds_is_compared_until_somebody_switches_over() {
    let site = Site::start(&format!("{ADMIN}{FIXED}"));
    site.push_base();
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let [trial, hub] = ["trial/app", "hub/app"].map(|path| format!("{}/{path}", site.registry));
    let document = |image: &str| {
        json!({ "name": "team/shadow", "clone_url": clone_url, "secret": "a secret of the webhook",
                "image": image, "shadow_of": hub })
    };
    let refused = ask(&site, "POST", "/v1/repos", &document(&hub));
    assert!(refused.status == 400 && refused.text.contains("shadow_of"), "{}", refused.text);
    assert_eq!(ask(&site, "POST", "/v1/repos", &document(&trial)).status, 201);
    let said = shown(&repo(&site, &["shadow", "team/shadow"]));
    assert!(said.contains("nothing was built yet"), "{said}");

    let dockerfile = format!("FROM {}/base/busybox\nCOPY a.txt /a.txt\nENV A=1\n", site.registry);
    site.commit(&[("Dockerfile", &dockerfile), ("a.txt", "one")]);
    let id = build(&site);
    // The other service has not built anything yet.
    let early = repo(&site, &["shadow", "team/shadow"]);
    assert!(!early.status.success() && shown(&early).contains("hub/app"), "{}", shown(&early));

    other_service(&site, "two", "org.opencontainers.image.revision=0123456");
    let before = digest(&site, "hub/app");
    let differs = repo(&site, &["shadow", "team/shadow"]);
    let said = shown(&differs);
    assert_eq!(differs.status.code(), Some(1), "{said}");
    for part in ["differs", "/a.txt", "was made of commit 0123456", "0 only here, 0 only there, 1 changed"] {
        assert!(said.contains(part), "no `{part}`: {said}");
    }

    other_service(&site, "one", "org.opencontainers.image.title=x");
    let other = repo(&site, &["shadow", "team/shadow", "--tag", "latest"]);
    assert!(shown(&other).contains("LABEL org.opencontainers.image.title"), "{}", shown(&other));
    other_service(&site, "one", "org.opencontainers.image.revision=");
    let compared = site.get(&format!("/v1/builds/{id}/diff?against=shadow"));
    assert_eq!(compared["shadow"], json!(format!("{hub}:latest")), "{compared:#}");
    assert_eq!((&compared["counts"]["changed"], &compared["files"]), (&json!(0), &json!([])), "{compared:#}");
    let page = curl(&[&format!("{}/builds/{id}/diff?against=shadow", site.url)]).text;
    assert!(page.contains(&format!("{hub}:latest of the other service")), "{page}");
    assert_ne!(digest(&site, "hub/app"), before);

    // A build before the move leaves the other image alone, one after it does not.
    let before = digest(&site, "hub/app");
    site.commit(&[("a.txt", "three")]);
    build(&site);
    assert_eq!(digest(&site, "hub/app"), before);
    let switched = repo(&site, &["switch", "team/shadow"]);
    assert!(switched.status.success() && shown(&switched).contains(&hub), "{}", shown(&switched));
    let now = site.get("/v1/repos/team/shadow");
    assert_eq!(
        (&now["image"], &now["shadow_of"], &now["meta"]["has_secret"]),
        (&json!(hub), &Value::Null, &json!(true))
    );
    site.commit(&[("a.txt", "four")]);
    build(&site);
    assert_ne!(digest(&site, "hub/app"), before);

    let again = shown(&repo(&site, &["switch", "team/shadow"]));
    assert!(again.contains("does not name an image"), "{again}");
    let fixed = shown(&repo(&site, &["switch", "fixed/app"]));
    assert!(fixed.contains("write `image = ") && fixed.contains("hub/fixed"), "{fixed}");
    let none = curl(&[&format!("{}/v1/builds/{id}/diff?against=shadow", site.url)]);
    assert_eq!((none.status, &none.json()["code"]), (400, &json!("invalid_against")), "{}", none.text);
}
