//! Which images a build may read: public ones, its repository's own, and those that the operator names.

use crate::service::api::{ADMIN, add_repository, ask, trigger_main};
use crate::support::scripted_server::{Answer, Server};
use crate::support::worker_pool::Yard;
use crate::support::{Site, curl, run};
use registry_client::{Digest, media_type};
use serde_json::{Value, json};
use std::process::Command;

fn build(site: &Site, name: &str) -> Value {
    site.finished(&trigger_main(site, name))
}

/// Commits a Dockerfile and returns how builds of the repositories end.
fn ends(site: &Site, dockerfile: &str, names: &[&str]) -> Vec<String> {
    site.commit(&[("Dockerfile", dockerfile)]);
    let end = |name: &&str| {
        let build = build(site, name);
        match build["state"].as_str() {
            Some("succeeded") => "succeeded".to_owned(),
            _ => {
                let message = build["reason"]["message"].as_str().unwrap_or_default();
                assert!(message.contains("may_read"), "{build:#}");
                assert_eq!(build["attempt"], 1, "the author is to blame: {build:#}");
                build["reason"]["code"].as_str().unwrap_or_default().to_owned()
            }
        }
    };
    names.iter().map(end).collect()
}

#[test]
fn sec_m1_a_build_reads_its_own_images_and_those_that_are_named() {
    for server in ["", "registry_users = { ci = \"hush-hush\" }"] {
        let site = Site::start_with(server, ADMIN);
        let registry = site.registry.clone();
        let port = registry.rsplit_once(':').unwrap().1;
        let all = ["other/app", "reader/app", "team/app"];
        add_repository(&site, "other/app", &json!({}));
        add_repository(&site, "reader/app", &json!({ "may_read": [format!("{registry}/oth*/**")] }));
        assert_eq!(ends(&site, "FROM scratch\nCOPY Dockerfile /secret\n", &all), ["succeeded"; 3]);
        let digest = build(&site, "other/app")["image"]["digest"].as_str().unwrap().to_owned();
        let refused = ["succeeded", "succeeded", "image_not_allowed"];
        for dockerfile in [
            format!("FROM {registry}/other/app\n"),
            format!("FROM {registry}/other/app@{digest}\n"),
            format!("FROM localhost:{port}/other/app\n"),
            format!("FROM scratch\nCOPY --from={registry}/other/app / /x/\n"),
            format!("ARG A={registry}\nFROM ${{A}}/other/app:latest\n"),
        ] {
            assert_eq!(ends(&site, &dockerfile, &all), refused, "{server} {dockerfile}");
        }
        for dockerfile in [format!("FROM {registry}/team/app\n"), format!("FROM localhost:{port}/team/app:latest\n")] {
            assert_eq!(ends(&site, &dockerfile, &["team/app"]), ["succeeded"], "{server} {dockerfile}");
        }
        // The same question without a build.
        site.commit(&[("Dockerfile", &format!("FROM {registry}/other/app\n"))]);
        let asked =
            ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main", "rule": "main", "dry_run": true }));
        assert!(asked.text.contains("image_not_allowed"), "{}", asked.text);
    }
}

#[test]
fn sec_m1_a_mistake_in_what_may_be_read_is_named() {
    let site = Site::start(ADMIN);
    let document = json!({
        "name": "a/b", "clone_url": site.get("/v1/repos/team/app")["clone_url"], "image": "r.example.com/a/b",
        "may_read": ["r.example.com/a:1"],
    });
    let refused = ask(&site, "POST", "/v1/repos", &document);
    assert!(refused.status == 422 || refused.status == 400, "{}", refused.text);
    assert!(refused.text.contains("may_read: `r.example.com/a:1`"), "{}", refused.text);
}

/// Serves one image whose layer is named and not there, or another one.
fn impostor(config: Vec<u8>, layer: Value, bytes: Vec<u8>) -> Server {
    let descriptor =
        json!({"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(&config).as_str(), "size": config.len()});
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": descriptor, "layers": [layer]});
    let manifest = manifest.to_string().into_bytes();
    Server::start(move |asked| {
        let wanted = asked.path.rsplit('/').next().unwrap_or_default();
        let known = [&manifest, &config, &bytes];
        match known.iter().find(|bytes| Digest::of(bytes).as_str() == wanted || wanted == "1" && **bytes == &manifest) {
            Some(bytes) => Answer::new(200).header("Content-Type", media_type::OCI_MANIFEST).body((*bytes).clone()),
            // It says that it has whatever it is asked for, and sends nothing.
            None => Answer::new(if asked.method == "HEAD" { 200 } else { 404 }),
        }
    })
}

#[test]
fn sec_m1_a_manifest_that_names_a_layer_does_not_have_it() {
    let (yard, _worker) = Yard::with_worker("");
    let read = |path: &str| curl(&[&format!("http://{}/v2/base/busybox/{path}", yard.registry)]);
    let manifest = read("manifests/latest").json();
    let config = read(&format!("blobs/{}", manifest["config"]["digest"].as_str().unwrap())).text.into_bytes();
    // The layer, its index and its files are here: a build has used them.
    yard.succeeded(&yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY Dockerfile /x\nRUN cat /x\n")]));
    let layers = manifest["layers"].as_array().unwrap();
    let mut only: Value = serde_json::from_slice(&config).unwrap();
    only["rootfs"]["diff_ids"] = json!([only["rootfs"]["diff_ids"][0]]);
    only["history"] = json!([]);
    let only = only.to_string().into_bytes();
    let other = directory_tar();
    let own = json!({"mediaType": media_type::OCI_LAYER, "digest": Digest::of(&other).as_str(), "size": other.len()});
    for (layer, code) in [(layers[0].clone(), "image_not_found"), (own, "layer_unsafe")] {
        let server = impostor(only.clone(), layer, other.clone());
        let image = format!("{}/any/thing:1", server.address);
        for dockerfile in [
            format!("FROM {image}\nRUN [\"/bin/busybox\", \"echo\", \"mine\"]\n"),
            format!("FROM scratch\nCOPY --from={image} /bin/busybox /stolen\n"),
        ] {
            let (state, found, message) = yard.failed(&yard.push(&[("Dockerfile", &dockerfile)]));
            assert_eq!((state.as_str(), found.as_str()), ("failed", code), "{dockerfile} {message}");
        }
    }
}

/// Returns a tar with one file.
fn directory_tar() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "of somebody else").unwrap();
    let tar = directory.path().join("x.tar");
    run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(directory.path()).arg("file"));
    std::fs::read(tar).unwrap()
}

#[test]
fn sec_m2_strangers_builds_learn_nothing_of_ports() {
    let (yard, _worker) = Yard::with_worker("");
    let open = Server::start(|_| Answer::new(200));
    let mut messages = Vec::new();
    for host in
        [open.address.to_string(), "127.0.0.1:1".to_owned(), "10.0.0.9:80".to_owned(), "169.254.169.254".to_owned()]
    {
        let mut request = yard.request(&yard.commit(&[("Dockerfile", &format!("FROM {host}/x:1\n"))]));
        (request.spec.options.trusted, request.spec.push) = (false, false);
        let (state, code, message) = yard.failed(&yard.queue(&request));
        assert_eq!((state.as_str(), code.as_str()), ("failed", "image_not_allowed"), "{message}");
        messages.push(message.replace(&host, "HOST"));
    }
    messages.dedup();
    assert!(messages.len() == 1 && open.count() == 0, "{messages:#?}");
    // Metadata services are denied to every client.
    let id = yard.push(&[("Dockerfile", "FROM 169.254.169.254/x:1\n")]);
    assert_eq!(yard.failed(&id).1, "image_not_allowed");
}

#[test]
fn us_25_a_base_image_that_is_missing_is_the_author_s_fault_at_once() {
    let (yard, _worker) = Yard::with_worker("");
    for image in ["base/busybox:none", "base/none:1"] {
        let id = yard.push(&[("Dockerfile", &format!("FROM {}/{image}\n", yard.registry))]);
        let (state, code, message) = yard.failed(&id);
        assert_eq!((state.as_str(), code.as_str()), ("failed", "image_not_found"), "{message}");
        assert!(message.contains(image) && yard.build(&id).attempt == 1, "{message}");
    }
}

#[test]
fn sv_17_the_reason_of_a_build_has_the_registry_s_words() {
    let (yard, _worker) = Yard::with_worker("");
    let said = r#"{"errors":[{"code":"DENIED","message":"will exceed the configured upper limit of 1 GiB"}]}"#;
    let server = Server::start(move |asked| match asked.method.as_str() {
        "POST" => Answer::new(403).body(said),
        _ => Answer::new(404),
    });
    let mut request = yard.request(&yard.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /x\n")]));
    request.spec.tags = vec![format!("{}/team/app:1", server.address)];
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "registry_denied"), "{message}");
    for part in
        ["will exceed the configured upper limit of 1 GiB", "team/app", "beginning an upload", "no login was sent"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
}
