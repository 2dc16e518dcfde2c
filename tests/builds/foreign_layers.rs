//! Base images that other tools make: layers that do not describe all directories that they have files in.

use crate::support::{busybox_context, run, shown, slipway};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

/// Writes an image of tars into an OCI layout.
fn layout(place: &Path, layers: &[Vec<u8>]) {
    std::fs::create_dir_all(place.join("blobs/sha256")).unwrap();
    std::fs::write(place.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        std::fs::write(place.join("blobs/sha256").join(&digest), bytes).unwrap();
        (format!("sha256:{digest}"), bytes.len())
    };
    let described = |kind: &str, bytes: &[u8]| {
        let (digest, size) = blob(bytes);
        serde_json::json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": size })
    };
    let tars: Vec<_> = layers.iter().map(|layer| described("layer.v1.tar", layer)).collect();
    let ids: Vec<_> = tars.iter().map(|tar| tar["digest"].clone()).collect();
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": { "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": ids } });
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config.to_string().as_bytes()), "layers": tars });
    let manifest = described("manifest.v1+json", manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(place.join("index.json"), index.to_string()).unwrap();
}

/// Makes a tar of a directory that `script` fills, holding just the names that are given.
fn tar(place: &Path, script: &str, names: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir_in(place).unwrap();
    run(Command::new("sh").current_dir(directory.path()).args(["-e", "-c", script]));
    let output = Command::new("tar")
        .current_dir(directory.path())
        .args(["--no-recursion", "--numeric-owner", "--owner=7", "--group=8", "-cf", "-"])
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    output.stdout
}

#[test]
fn steps_that_change_nothing_are_the_same_layer_and_no_obstacle() {
    let directory = busybox_context("FROM scratch\nCOPY busybox /bin/sh\nRUN :\nRUN exit 0\nARG N\nRUN echo $N > /n\n");
    let place = directory.path();
    for number in ["1", "2"] {
        let output = slipway()
            .current_dir(place)
            .args(["build", "--data-dir", "data", "--progress", "plain", "--build-arg", &format!("N={number}")])
            .args(["-o", "type=tar,dest=out.tar", "context"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        assert_eq!(run(Command::new("tar").current_dir(place).args(["-xOf", "out.tar", "n"])).trim(), number);
    }
}

#[test]
fn directories_that_a_layer_does_not_describe_are_as_the_layers_below_say() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let busybox =
        "mkdir bin tmp var; cp /bin/busybox bin/busybox; ln bin/busybox bin/sh; chmod 1777 tmp; chmod 700 var";
    let lower = tar(place, busybox, &["bin", "bin/busybox", "bin/sh", "tmp", "var"]);
    let upper = tar(place, "mkdir -p tmp/x var/new; echo u > tmp/x/f; echo v > var/new/g", &["tmp/x/f", "var/new/g"]);
    layout(&place.join("image"), &[lower, upper]);
    std::fs::create_dir(place.join("context")).unwrap();
    let dockerfile =
        "FROM odd\nRUN busybox stat -c '%n %a %u %g' /tmp /tmp/x /tmp/x/f /var /var/new | busybox tee /seen\n";
    std::fs::write(place.join("context/Dockerfile"), dockerfile).unwrap();
    let build = |data: &str| {
        let output = slipway()
            .current_dir(place)
            .args(["build", "--data-dir", data, "--progress", "plain", "--no-cache", "-o", "type=tar,dest=out.tar"])
            .args(["--build-context", "odd=oci-layout://image", "context"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        run(Command::new("tar").current_dir(place).args(["-xOf", "out.tar", "seen"]))
    };
    // The second build finds the layers on disk, or knows what they lack.
    for data in ["data", "data", "other"] {
        let expected = "/tmp 1777 7 8\n/tmp/x 755 0 0\n/tmp/x/f 644 7 8\n/var 700 7 8\n/var/new 755 0 0\n";
        assert_eq!(build(data), expected, "{data}");
    }
    let listed = run(Command::new("tar").current_dir(place).args(["-tvf", "out.tar"]));
    assert!(listed.lines().any(|line| line.starts_with("drwxrwxrwt 7/8") && line.ends_with("tmp/")), "{listed}");
}
