//! Layers in another compression than the usual one, read back by another tool.

use crate::support::worker_pool::Yard;
use crate::support::{busybox_context, run, slipway};
use database::{BuildRequest, LayerCompression, PathFilter};
use std::path::Path;
use std::process::Command;

fn build(place: &Path, output: &str) -> String {
    let mut command = slipway();
    command.current_dir(place).args(["build", "--data-dir", "data", "--progress", "plain", "-o", output, "context"]);
    command.args(["--build-arg", "SOURCE_DATE_EPOCH=1700000000"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", crate::support::shown(&output));
    crate::support::shown(&output)
}

#[test]
fn layers_are_zstd_where_that_is_asked_for() {
    let directory = busybox_context("FROM scratch\nCOPY busybox /bin/sh\nRUN echo hello > /f\n");
    let place = directory.path();
    build(place, "type=oci,tar=false,dest=gzip");
    // A step that is known in one compression is not known in the other.
    let made = build(place, "type=oci,tar=false,dest=zstd,compression=zstd");
    assert!(!made.contains("CACHED"), "{made}");
    let again = build(place, "type=oci,tar=false,dest=again,compression=zstd");
    assert_eq!(again.matches("CACHED").count(), 2, "{again}");
    let layers = |name: &str| {
        let image = format!("oci:{}", place.join(name).display());
        let raw = run(Command::new("skopeo").args(["inspect", "--raw"]).arg(&image));
        let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
        let config: serde_json::Value =
            serde_json::from_str(&run(Command::new("skopeo").args(["inspect", "--config"]).arg(&image))).unwrap();
        let types = manifest["layers"].as_array().unwrap().iter();
        let types: Vec<_> = types.map(|layer| layer["mediaType"].as_str().unwrap().to_owned()).collect();
        (types, config["rootfs"]["diff_ids"].as_array().unwrap().clone())
    };
    let (gzip, zstd) = (layers("gzip"), layers("zstd"));
    assert_eq!(zstd.0, ["application/vnd.oci.image.layer.v1.tar+zstd"; 2]);
    assert_eq!(gzip.0, ["application/vnd.oci.image.layer.v1.tar+gzip"; 2]);
    assert_eq!(gzip.1[0], zstd.1[0], "the files are the same");
    // Another tool decompresses what it is given, or it could not write gzip.
    let copied = |name: &str| format!("{}:{}", name, place.join("copied").display());
    let from = format!("oci:{}", place.join("zstd").display());
    run(Command::new("skopeo")
        .args(["copy", "-q", "--dest-compress-format", "gzip", "--dest-compress"])
        .args([from, copied("dir")]));
    let refused = slipway()
        .current_dir(place)
        .args(["build", "--data-dir", "data", "-o", "type=registry,compression=xz", "context"])
        .output()
        .unwrap();
    let said = crate::support::shown(&refused);
    assert!(!refused.status.success() && said.contains("gzip and zstd are"), "{said}");
}

#[test]
fn a_rule_chooses_the_compression_of_its_layers() {
    let (yard, _worker) = Yard::with_worker("");
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY a /a\nRUN cat /a > /b\n"), ("a", "1")]);
    let mut request = yard.request(&commit);
    request.spec.options.path_filter = PathFilter::Automatic;
    let media_types = |request: &BuildRequest| -> Vec<String> {
        let image = yard.succeeded(&yard.queue(request)).image.unwrap();
        let store = image_store::Store::open(&yard.path("data/images")).unwrap();
        let manifest = store.read(&image.digest.parse().unwrap(), 1 << 20).unwrap();
        let manifest: registry_client::Manifest = serde_json::from_slice(&manifest).unwrap();
        manifest.layers.into_iter().rev().take(2).map(|layer| layer.media_type).collect()
    };
    assert_eq!(media_types(&request), ["application/vnd.oci.image.layer.v1.tar+gzip"; 2]);
    // The same commit is another image now: it is not skipped.
    request.spec.options.compression = LayerCompression::Zstd;
    request.trigger = database::Trigger::Push { delivery: "later".to_owned(), by: "octocat".to_owned() };
    assert_eq!(media_types(&request), ["application/vnd.oci.image.layer.v1.tar+zstd"; 2]);
}
