//! Base images whose configuration says what no image should.

use crate::support::worker_pool::Yard;
use database::BuildState;
use registry_client::{BlobSource, Client, Descriptor, Digest, Platform, Reference, Settings, media_type};
use serde_json::{Value, json};

/// Pushes the base image with another configuration and returns its name.
fn push_with(yard: &Yard, change: &dyn Fn(&mut Value)) -> String {
    let client = Client::new(Settings::default()).unwrap();
    let base = Reference::parse(&format!("{}/base/busybox:latest", yard.registry)).unwrap();
    let name = format!("{}/hostile/base:1", yard.registry);
    let to = Reference::parse(&name).unwrap();
    yard.tokio.block_on(async {
        let image = client.resolve(&base, &Platform::host(), &|_| None).await.unwrap();
        let mut document: Value = serde_json::from_slice(&image.config_bytes).unwrap();
        change(&mut document["config"]);
        let bytes = serde_json::to_vec(&document).unwrap();
        let config = Descriptor::new(media_type::OCI_CONFIG, Digest::of(&bytes), bytes.len() as u64);
        client.push_blob(&to, &config, BlobSource::Bytes(bytes.into())).await.unwrap();
        let mut manifest = image.manifest;
        for layer in &manifest.layers {
            assert!(client.mount_blob(&to, base.repository(), &layer.digest).await.unwrap());
        }
        manifest.config = config;
        manifest.media_type = Some(media_type::OCI_MANIFEST.to_owned());
        client.put_manifest(&to, media_type::OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap()).await.unwrap();
    });
    name
}

/// A change of an image's configuration.
type Change<'c> = &'c dyn Fn(&mut Value);

#[test]
fn what_an_image_says_of_its_containers_breaks_nothing() {
    // REG-18
    let (yard, _worker) = Yard::with_worker("");
    let long = "x".repeat(1_000_000);
    let mut request = yard.request(&yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]));
    let cases: [(Change<'_>, &str, &str); 8] = [
        (&|config| config["User"] = json!("root\nx"), "invalid_image", "User holds a control character"),
        (&|config| config["User"] = json!("root\0"), "invalid_image", "User holds a control character"),
        (&|config| config["User"] = json!(long), "invalid_image", "User has 1000000 bytes"),
        (&|config| config["WorkingDir"] = json!("/a\0b"), "invalid_image", "WorkingDir holds a NUL"),
        (&|config| config["WorkingDir"] = json!(format!("/{long}")), "invalid_image", "at most 4096 are possible"),
        (&|config| config["Env"] = json!(["A=\0B=1"]), "invalid_image", "Env holds a NUL"),
        (&|config| config["Env"] = json!([format!("A={long}")]), "step_failed", "argument list too long"),
        (&|config| config["Shell"] = json!([format!("/{long}")]), "step_failed", "too long"),
    ];
    for (change, code, expected) in cases {
        request.spec.build_args.insert("BASE".to_owned(), push_with(&yard, change));
        let id = yard.queue(&request);
        let (state, found, message) = yard.failed(&id);
        assert_eq!((state.as_str(), found.as_str()), ("failed", code), "{expected}: {message:.300}");
        assert!(message.contains(expected) && message.len() < 4_000, "{expected}: {message:.300}");
        assert_eq!(yard.build(&id).attempt, 1, "{expected}: the image is to blame, not slipway");
        assert!(yard.log(&id).len() < 20_000, "{expected}");
    }
    yard.nothing_left();
}

#[test]
fn odd_texts_of_an_image_stay_what_they_are() {
    // REG-18
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN id -u; pwd; echo \"$ODD\"; wc -l < /etc/hosts; wc -l < /etc/passwd\n\
                      WORKDIR below\nRUN pwd\n";
    let mut request = yard.request(&yard.commit(&[("Dockerfile", dockerfile)]));
    let base = push_with(&yard, &|config| {
        config["User"] = json!("0:0");
        config["WorkingDir"] = json!("/new\n127.0.0.1 evil");
        config["Env"] = json!(["PATH=/bin", "ODD=a\nroot::0:0:::", "=", "", "NO_VALUE"]);
        config["Entrypoint"] = json!(["x".repeat(1_000_000), "a\nb"]);
    });
    request.spec.build_args.insert("BASE".to_owned(), base);
    let id = yard.queue(&request);
    let build = yard.finished(&id);
    let log = yard.log(&id);
    assert_eq!(build.state, BuildState::Succeeded, "{log:.3000}");
    assert!(log.contains("\n0\n/new\n127.0.0.1 evil\na\nroot::0:0:::\n2\n1\n"), "{log:.3000}");
    assert!(log.contains("\n/new\n127.0.0.1 evil/below\n"), "{log:.3000}");
    yard.nothing_left();
}
