//! Images of registries that name what they do not have: to name a digest is not to have it.

use crate::support::bench::Bench;
use crate::support::scripted_registry::ScriptedRegistry;
use crate::support::shown;
use serde_json::{Value, json};

/// Returns a document of the store.
fn document(bench: &Bench, digest: &str) -> Value {
    let path = bench.path("data/images/blobs/sha256").join(digest.strip_prefix("sha256:").unwrap());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_foreign_image_sees_no_file_of_another_image() {
    let (bench, registry) = (Bench::new(), ScriptedRegistry::start());
    bench.build("private", "RUN echo hidden > /file\nCMD [\"cat\", \"/file\"]\n");
    // It is unpacked, and everything is known of it.
    assert_eq!(bench.run(&["run", "--rm", "private"]), "hidden\n");
    let manifest = document(&bench, bench.run(&["inspect", "-f", "{{.Descriptor.digest}}", "private"]).trim());
    let own = document(&bench, manifest["config"]["digest"].as_str().unwrap());
    let config =
        json!({ "architecture": own["architecture"], "os": "linux", "config": own["config"], "rootfs": own["rootfs"] });
    let config = registry.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layers = manifest["layers"].as_array().unwrap();
    let junk = registry.blob("application/vnd.oci.image.layer.v1.tar", &[0; 1024]);
    let images = [
        registry.tag("none", &config, &[]),
        registry.tag("junk", &config, &vec![junk; layers.len()]),
        registry.tag("named", &config, layers),
        registry.tag("config", &manifest["config"], layers),
    ];
    for image in &images {
        let output = bench.output(&["run", "--rm", image]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{image}: {}", shown(&output));
        let from = format!("FROM {image}\nRUN cat /file\n");
        std::fs::write(bench.path("context/Dockerfile"), from).unwrap();
        let context = bench.path("context");
        let built = bench.output(&["build", "--progress", "plain", context.to_str().unwrap()]);
        assert!(!built.status.success() && !shown(&built).contains("hidden"), "{image}: {}", shown(&built));
    }
    assert_eq!(bench.run(&["run", "--rm", "private"]), "hidden\n");
}
