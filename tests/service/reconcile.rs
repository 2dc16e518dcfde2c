//! Reconciliation: pushes that no delivery reported, and tags that show something else.

use crate::registry::registries::docker_registry;
use crate::support::worker_pool::{Yard, git};
use crate::support::{SECRET, Site, push_base, run, wait_for};
use database::{BuildId, Cancel};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nCOPY file /file\n";

/// Returns the builds that looks have found, newest first.
fn found(site: &Site) -> Vec<Value> {
    site.get("/v1/builds?trigger=reconcile")["builds"].as_array().unwrap().clone()
}

/// Waits until looks have found so many builds and returns the newest one when it ended well.
fn wait_for_found(site: &Site, count: usize) -> Value {
    let id = wait_for("a missed push", || {
        let found = found(site);
        assert!(found.len() <= count, "{found:#?}");
        (found.len() == count).then(|| found[0]["id"].as_str().unwrap().to_owned())
    });
    site.succeeded(&id)
}

#[test]
fn pushes_that_no_delivery_told_of_are_built() {
    // R1, ST-13
    let mut site = Site::start_with("reconcile_seconds = 1", "");
    let looks = |site: &Site| site.get("/v1/repos/team/app/reconcile")["pushes"].clone();
    let problem = wait_for("a look that fails", || looks(&site)["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("/app.git` is not a git repository"), "{problem}");
    site.push_base();
    site.commit(&[("Dockerfile", DOCKERFILE), ("file", "1")]);
    wait_for("a look", || looks(&site)["seen_at"].is_string().then_some(()));
    assert_eq!(site.get("/v1/builds")["builds"], serde_json::json!([]), "the past is not built");

    let missed = site.commit(&[("file", "2")]);
    let build = wait_for_found(&site, 1);
    assert_eq!((&build["commit"], &build["trigger"]["kind"]), (&missed.as_str().into(), &"reconcile".into()));
    assert_eq!(build["commit_message"], "A commit");
    let delivery = &site.get("/v1/deliveries")["deliveries"][0];
    assert_eq!((&delivery["forge"], &delivery["delivery"]), (&"reconcile".into(), &build["trigger"]["delivery"]));
    let body = serde_json::json!({
        "ref": "refs/heads/main", "after": missed, "head_commit": { "id": missed, "message": "A commit" },
        "repository": { "full_name": "Codertocat/Hello-World" },
    });
    let late = site.deliver("push", "late", &body.to_string(), SECRET);
    assert_eq!((late.status, &late.json()["builds"][0]["id"]), (200, &build["id"]), "{}", late.text);

    let (work, bare) = (site.path("work"), site.path("git/app.git"));
    git(&work, &["tag", "-a", "-m", "a release", "v1"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "v1"]);
    let build = wait_for_found(&site, 2);
    assert_eq!((&build["ref"], &build["commit"]), (&"refs/tags/v1".into(), &missed.as_str().into()));
    git(&work, &["commit", "-q", "--allow-empty", "-m", "Words only [skip ci]"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "HEAD:main"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(found(&site).len(), 2, "the message asks for nothing");

    // While no server is there, the branch is set back and the tag is removed.
    site.server = None;
    git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), &format!("{missed}~:main"), ":v1"]);
    site.serve();
    let build = wait_for_found(&site, 3);
    assert_eq!(build["ref"], "refs/heads/main");
    assert_ne!(build["commit"], missed.as_str());
}

/// Returns the digest that a tag shows.
fn digest(tag: &str) -> String {
    run(Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
        .arg(format!("docker://{tag}")))
    .trim()
    .to_owned()
}

/// Lets a tag name another image.
fn move_tag(from: &str, tag: &str) {
    let (from, to) = (format!("docker://{from}"), format!("docker://{tag}"));
    run(Command::new("skopeo").args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]));
}

/// Waits until a check has noted something about the tag.
fn note(yard: &Yard, text: &str) -> String {
    wait_for(text, || {
        let notes = yard.tokio.block_on(yard.database.tag_notes("team/app")).unwrap();
        notes.into_iter().map(|(_, note)| note).find(|note| note.contains(text))
    })
}

#[test]
fn a_tag_that_goes_back_is_put_right_and_one_that_others_moved_is_left_alone() {
    // R5.3
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let (_registry, address) = docker_registry(yard.directory.path(), None);
    let (name, tag) = (format!("{address}/team/app"), format!("{address}/team/app:latest"));
    let queue = |content: &str| -> BuildId {
        let mut request = yard.request(&yard.commit(&[("Dockerfile", DOCKERFILE), ("file", content)]));
        request.spec.tags = vec![tag.clone()];
        yard.queue(&request)
    };
    let build = |content: &str| yard.succeeded(&queue(content)).image.unwrap().digest;
    let worker = yard.worker(&[]);
    let (old, new) = (build("1"), build("2"));

    move_tag(&format!("{name}@{old}"), &tag);
    assert!(note(&yard, "was put right").contains(&old));
    assert_eq!(digest(&tag), new);

    let newest = build("3");
    std::fs::remove_dir_all(yard.path("registry/docker/registry/v2/repositories/team/app/_manifests/tags/latest"))
        .unwrap();
    note(&yard, "showed nothing and was put right");
    assert_eq!(digest(&tag), newest);

    let last = build("4");
    move_tag(&format!("{}/base/busybox", yard.registry), &tag);
    let foreign = digest(&tag);
    assert!(note(&yard, "somebody else").contains(&foreign));
    assert_eq!(digest(&tag), foreign);

    // Killed between push and record, and then nobody wants the build any more.
    drop(worker);
    let id = queue("5");
    let (tokio, database) = (&yard.tokio, &yard.database);
    let claim = tokio.block_on(database.claim("killed")).unwrap().unwrap();
    tokio.block_on(database.begin_publish(&claim, &tag)).unwrap();
    move_tag(&format!("{name}@{old}"), &tag);
    tokio.block_on(database.release("killed")).unwrap();
    assert_eq!(tokio.block_on(database.cancel(&id)).unwrap(), Cancel::Cancelled);
    let _worker = yard.worker(&[]);
    wait_for("the tag of the last image", || (digest(&tag) == last).then_some(()));
}
