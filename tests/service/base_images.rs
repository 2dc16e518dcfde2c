//! Base images and linked repositories that change: the newest build of a branch is repeated, once, where that is wanted.

use crate::service::api::{ADMIN, ADMIN_TOKEN, add_repository, ask_as, trigger_main};
use crate::support::{Site, push_base, slipway, wait_for};
use serde_json::{Value, json};

/// Pushes an image that holds `text` as the base of the test.
fn push_text(site: &Site, text: &str) {
    let context = tempfile::tempdir().unwrap();
    let dockerfile = format!("FROM {}/base/busybox\nRUN echo {text} > /base\n", site.registry);
    std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    let tag = format!("{}/base/text:1", site.registry);
    crate::support::run(
        slipway().args(["build", "--push", "-t", &tag, "--data-dir"]).arg(site.path("by-hand")).arg(context.path()),
    );
}

fn build(site: &Site, name: &str) -> Value {
    site.succeeded(&trigger_main(site, name))
}

fn builds(site: &Site, name: &str) -> Vec<Value> {
    site.get(&format!("/v1/builds?repo={name}"))["builds"].as_array().unwrap().clone()
}

#[test]
fn a_build_is_repeated_when_its_base_changes() {
    let site = Site::start_with("base_image_seconds = 1", ADMIN);
    push_base(&site.path("by-hand"), &site.registry);
    push_text(&site, "one");
    let base = format!("{}/base/text:1", site.registry);
    // The base is used in a stage of which only a file is copied.
    let dockerfile = format!("FROM {0}/base/busybox\nCOPY --from={base} /base /base\nRUN cat /base\n", site.registry);
    let commit = site.commit(&[("Dockerfile", &dockerfile)]);
    add_repository(
        &site,
        "based/app",
        &json!({ "base_image_rebuild": true, "rules": [
        { "name": "main", "branch": "main", "tags": ["latest"], "path_filter": "automatic" },
    ] }),
    );
    add_repository(&site, "still/app", &json!({}));
    let first = build(&site, "based/app");
    build(&site, "still/app");
    let bases = first["base_images"].as_array().unwrap();
    assert_eq!(bases.len(), 2, "{first:#}");
    assert!(bases.iter().any(|image| image["ref"] == base && image["platform"] == "linux/amd64"), "{first:#}");
    assert!(site.log(first["id"].as_str().unwrap()).contains("one"));
    let known = |path: &str| ask_as(&site, ADMIN_TOKEN, "GET", path, &[], &Value::Null).json();
    wait_for("a look at the base images", || {
        let seen = known("/v1/repos/based/app/base-images");
        assert_eq!(seen["rebuild"], true);
        let seen = seen["base_images"].as_array().unwrap().clone();
        (seen.len() == 2 && seen.iter().all(|image| image["digest"].is_string())).then_some(())
    });
    assert_eq!(builds(&site, "based/app").len(), 1, "nothing changed");

    push_text(&site, "two");
    let repeated = wait_for("a build on the new base", || {
        builds(&site, "based/app").into_iter().find(|build| build["trigger"]["kind"] == "base_image")
    });
    assert_eq!(repeated["trigger"]["of"], first["id"]);
    assert_eq!(repeated["trigger"]["references"], json!([base]));
    let repeated = site.succeeded(repeated["id"].as_str().unwrap());
    assert_eq!((&repeated["commit"], &repeated["image"]["tags"]), (&json!(commit), &first["image"]["tags"]));
    assert_ne!(repeated["image"]["digest"], first["image"]["digest"]);
    assert!(site.log(repeated["id"].as_str().unwrap()).contains("two"));
    let page = crate::support::curl(&[&format!("{}/builds/{}", site.url, repeated["id"].as_str().unwrap())]).text;
    assert!(page.contains("other base images than"), "{page}");
    let before = site.get("/v1/repos/based/app/base-images")["base_images"][0]["seen_at"].clone();
    wait_for("another look", || {
        (site.get("/v1/repos/based/app/base-images")["base_images"][0]["seen_at"] != before).then_some(())
    });
    assert_eq!(builds(&site, "based/app").len(), 2, "once");
    assert_eq!(builds(&site, "still/app").len(), 1, "only where the repository wants it");
}

#[test]
fn a_build_is_repeated_when_a_linked_repository_has_a_new_image() {
    let site = Site::start_with("", ADMIN);
    site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    add_repository(&site, "link/base", &json!({}));
    let linked = json!({ "links": ["link/base", "link/unknown"] });
    add_repository(&site, "link/app", &linked);
    for (name, other) in [("circle/one", "circle/two"), ("circle/two", "circle/one")] {
        add_repository(&site, name, &json!({ "links": [other] }));
    }
    build(&site, "circle/one");
    build(&site, "circle/two");
    let first = build(&site, "link/app");
    let base = build(&site, "link/base");
    let repeated = wait_for("a build after the linked one", || {
        builds(&site, "link/app").into_iter().find(|build| build["trigger"]["kind"] == "link")
    });
    assert_eq!(repeated["trigger"]["of"], first["id"]);
    assert_eq!(repeated["trigger"]["repositories"], json!(["link/base"]));
    let repeated = site.succeeded(repeated["id"].as_str().unwrap());
    assert_eq!(repeated["image"]["tags"], first["image"]["tags"]);
    let page = crate::support::curl(&[&format!("{}/builds/{}", site.url, repeated["id"].as_str().unwrap())]).text;
    assert!(page.contains("of linked repositories"), "{page}");
    // The same commit again is the same image: nothing follows from it.
    let again = build(&site, "link/base");
    assert_eq!(again["image"]["digest"], base["image"]["digest"]);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(builds(&site, "link/app").len(), 2, "once");
    assert_eq!(
        (builds(&site, "circle/one").len(), builds(&site, "circle/two").len()),
        (1, 1),
        "a circle is not followed"
    );
}
