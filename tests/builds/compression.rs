//! Layers in another compression than the usual one, read back by another tool.

use crate::registry::registries::docker_registry;
use crate::support::worker_pool::Yard;
use crate::support::{busybox_context, pull_and_run, run, slipway};
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
    assert!(!refused.status.success() && said.contains("these are: gzip, zstd, zstd:chunked, estargz"), "{said}");
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
    for (compression, kind) in
        [(LayerCompression::Zstd, "zstd"), (LayerCompression::ZstdChunked, "zstd"), (LayerCompression::Estargz, "gzip")]
    {
        request.spec.options.compression = compression;
        request.trigger = database::Trigger::Push { delivery: format!("{compression:?}"), by: "octocat".to_owned() };
        assert_eq!(
            media_types(&request),
            [
                format!("application/vnd.oci.image.layer.v1.tar+{kind}"),
                format!("application/vnd.oci.image.layer.v1.tar+{kind}")
            ]
        );
    }
}

#[test]
fn layers_that_can_be_read_in_part_are_pushed_pulled_and_run() {
    let directory = busybox_context(
        "FROM scratch AS base\nCOPY busybox /bin/sh\nCOPY busybox /bin/busybox\nRUN echo hello > /f\n\
         FROM base\nCOPY --from=base / /all/\nRUN /bin/busybox ls -a / /all > /list\n",
    );
    let place = directory.path();
    let (_registry, address) = docker_registry(place, None);
    for (compression, kind, note) in [
        ("zstd:chunked", "zstd", "io.github.containers.zstd-chunked.manifest-position"),
        ("estargz", "gzip", "containerd.io/snapshot/stargz/toc.digest"),
    ] {
        let image = format!("{address}/app:{kind}");
        let build = |data: &str| -> (String, String) {
            let mut command = slipway();
            command.current_dir(place).args(["build", "--data-dir", data, "--progress", "plain", "-t", &image]);
            command.args(["--build-arg", "SOURCE_DATE_EPOCH=1700000000"]);
            command.args(["-o", &format!("type=registry,compression={compression}"), "context"]);
            let output = command.output().unwrap();
            let said = crate::support::shown(&output);
            assert!(output.status.success(), "{said}");
            let from = format!("docker://{image}");
            (said, run(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &from])))
        };
        let (made, raw) = build("data");
        assert!(!made.contains("CACHED"), "{made}");
        let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.len() == 5 && layers.iter().all(|layer| layer["annotations"][note].is_string()), "{raw}");
        assert!(layers.iter().all(|layer| layer["mediaType"].as_str().unwrap().ends_with(kind)), "{raw}");
        // From the cache the annotations are the same, and so is everything where nothing is known.
        let (again, cached) = build("data");
        assert!(again.matches("CACHED").count() == 5 && cached == raw, "{again}\n{cached}");
        assert_eq!(build(&format!("other-{kind}")).1, raw);
        // Files of the format itself are in no tree; unpacked elsewhere they are there.
        let list = ["/bin/busybox", "cat", "/list"];
        let pulled = format!("pulled-{kind}");
        let mut command = slipway();
        command.current_dir(place).args([
            "run",
            "--rm",
            "--data-dir",
            &pulled,
            &image,
            "/bin/busybox",
            "ls",
            "-a",
            "/",
            "/all",
        ]);
        let seen = run(&mut command);
        assert!(seen.contains("list") && !seen.contains("landmark") && !seen.contains("stargz"), "{seen}");
        if kind == "gzip" {
            let listed = pull_and_run(&[], &image, &list);
            assert!(listed.contains("busybox\n") || listed.contains("f\n"), "{listed}");
            assert!(!listed.contains("landmark") && !listed.contains("stargz"), "{listed}");
            assert!(pull_and_run(&[], &image, &["/bin/busybox", "ls", "-a", "/"]).contains("stargz.index.json"));
        }
    }
}
