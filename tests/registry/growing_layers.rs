//! Large layers are uploaded while they are packed.

use super::registries::docker_registry;
use crate::support::{busybox_context, run, shown, slipway};
use std::path::Path;
use std::process::Command;

const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/sh\nRUN head -c 20000000 /dev/urandom > /noise\n";

fn build(place: &Path, name: &str) {
    let mut command = slipway();
    command.current_dir(place).args(["build", "--data-dir", "data", "--push", "-t", name, "context"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
}

/// Returns the requests with `method` that the registry answered.
fn requests(place: &Path, method: &str) -> Vec<String> {
    let log = std::fs::read_to_string(place.join("registry.log")).unwrap();
    log.lines().filter(|line| line.contains(&format!("\"{method} /v2/"))).map(str::to_owned).collect()
}

#[test]
fn a_large_layer_is_uploaded_while_it_is_packed() {
    let directory = busybox_context(DOCKERFILE);
    let place = directory.path();
    let (_registry, address) = docker_registry(place, None);
    build(place, &format!("{address}/team/app:1"));
    let pieces = requests(place, "PATCH");
    assert_eq!(pieces.len(), 1, "the large layer comes in pieces, the small ones do not: {pieces:?}");
    // The other tool checks every digest.
    let (from, to) = (format!("docker://{address}/team/app:1"), format!("dir:{}", place.join("copy").display()));
    run(Command::new("skopeo").args(["copy", "-q", "--src-tls-verify=false", &from, &to]));
    // A layer that is known is not sent again, nor is its upload begun.
    build(place, &format!("{address}/team/app:2"));
    assert_eq!(requests(place, "PATCH").len(), 1);
}

#[test]
fn the_embedded_registry_is_not_sent_what_its_store_has() {
    let site = crate::support::Site::start("");
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN head -c 20000000 /dev/urandom > /noise\n")]);
    let build = site.succeeded(&site.push(&commit));
    assert!(build["image"]["size"].as_u64().unwrap() > 20_000_000, "{build:#}");
    let unfinished = site.path("data/images/tmp").read_dir().unwrap().count();
    assert_eq!(unfinished, 0, "an upload that was begun is given up");
}
