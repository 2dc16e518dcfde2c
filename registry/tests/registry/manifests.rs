//! Manifests: which are taken, under which names, and what is wrong with the others.

use crate::hub::{Hub, descriptor, digest_of, index, manifest, named};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry::{Access, Settings};
use registry_client::{Algorithm, Digest, media_type};
use serde_json::{Value, json};

async fn hub() -> Hub {
    let hub = Hub::new();
    hub.upload("a/a", b"{}").await;
    hub.upload("a/a", b"layer").await;
    hub
}

/// Puts a document that is wrong, and returns status, code and message.
async fn refused(hub: &Hub, document: &Value) -> (u16, String, String) {
    let answer = hub.put("a/a", "bad", document).await;
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    (answer.status, answer.code(), message)
}

#[tokio::test]
async fn a_manifest_is_served_as_it_was_put_by_tag_and_by_digest() {
    let hub = hub().await;
    let docker = json!({
        "schemaVersion": 2, "mediaType": media_type::DOCKER_MANIFEST,
        "config": descriptor(media_type::DOCKER_CONFIG, b"{}"),
        "layers": [descriptor(media_type::DOCKER_LAYER_GZIP, b"layer")],
    });
    let image = manifest(&[b"layer"]);
    for document in [&image, &docker, &manifest(&[])] {
        let (bytes, digest) = (serde_json::to_vec(document).unwrap(), digest_of(document));
        for reference in ["1", ""] {
            let put = hub.put("a/a", reference, document).await;
            assert_eq!((put.status, put.header("docker-content-digest")), (201, digest.as_str()));
            assert_eq!(put.header("location"), format!("/v2/a/a/manifests/{digest}"));
        }
        for reference in ["1", digest.as_str()] {
            let path = format!("a/a/manifests/{reference}");
            let (get, head) = (hub.get(&path).await, hub.ask(Method::HEAD, &path, &[], b"").await);
            assert_eq!((get.status, &get.body), (200, &bytes));
            assert_eq!(get.header("content-type"), document["mediaType"].as_str().unwrap());
            assert_eq!((head.status, head.header("content-length")), (200, bytes.len().to_string().as_str()));
            assert_eq!(head.header("docker-content-digest"), digest.as_str());
            let etag = get.header("etag").to_owned();
            assert_eq!(hub.ask(Method::GET, &path, &[("if-none-match", &etag)], b"").await.status, 304);
        }
    }
}

#[tokio::test]
async fn indexes_lie_in_one_another_and_may_be_empty() {
    let hub = hub().await;
    let image = manifest(&[b"layer"]);
    let inner = index(&[&image]);
    let outer = index(&[&inner, &image]);
    assert_eq!(hub.put("a/a", "outer", &outer).await.status, 404, "what is in it comes first");
    for document in [&image, &inner, &outer] {
        assert_eq!(hub.put("a/a", "", document).await.status, 201);
    }
    assert_eq!(hub.put("a/a", "empty", &index(&[])).await.status, 201);
    let null = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": null});
    assert_eq!(hub.put("a/a", "null", &null).await.status, 201);
    assert_eq!(hub.get("a/a/manifests/null").await.header("content-type"), media_type::OCI_INDEX);
    hub.store.collect(&Default::default(), std::time::Duration::ZERO).unwrap();
    assert_eq!(hub.get(&format!("a/a/blobs/{}", Digest::of(b"layer"))).await.status, 200, "it is led to");
}

#[tokio::test]
async fn a_manifest_by_sha512_may_bring_its_tags() {
    let hub = hub().await;
    let bytes = serde_json::to_vec(&manifest(&[b"layer"])).unwrap();
    let digest = Digest::with(Algorithm::Sha512, &bytes);
    let path = format!("a/a/manifests/{digest}?tag=1&tag=1.2&tag=latest");
    let headers = [("content-type", media_type::OCI_MANIFEST)];
    let put = hub.ask(Method::PUT, &path, &headers, &bytes).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, digest.as_str()));
    let tags: Vec<_> = put.headers.get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["1", "1.2", "latest"]);
    for reference in ["1.2", digest.as_str()] {
        let got = hub.get(&format!("a/a/manifests/{reference}")).await;
        assert_eq!((got.body.as_slice(), got.header("docker-content-digest")), (bytes.as_slice(), digest.as_str()));
    }
    hub.store.collect(&Default::default(), std::time::Duration::ZERO).unwrap();
    assert_eq!(hub.get("a/a/manifests/1").await.status, 200);
    let bad = hub.ask(Method::PUT, &format!("a/a/manifests/{digest}?tag=.x"), &headers, &bytes).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "TAG_INVALID"));
    let mut settings = Settings::new(Access::Open);
    settings.tag_parameters = false;
    let plain = Hub::with(settings);
    plain.upload("a/a", b"{}").await;
    plain.upload("a/a", b"layer").await;
    let put = plain.ask(Method::PUT, &path, &headers, &bytes).await;
    assert_eq!((put.status, put.header("oci-tag")), (201, ""), "a registry without them says so by its silence");
    assert_eq!(plain.status(Method::GET, "a/a/manifests/1").await, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_manifest_is_named() {
    let hub = hub().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = manifest(&[b"layer"]);
        change(&mut document);
        document
    };
    for (document, message) in [
        (with(&|it| it["config"]["digest"] = "sha256:x".into()), "config (1)"),
        (with(&|it| it["layers"][0]["digest"] = "../../etc/passwd".into()), "layers (1)"),
        (with(&|it| it["layers"][0]["digest"] = Value::Null), "layers (1)"),
        (with(&|it| it["layers"][0]["size"] = (-1).into()), "cannot be read"),
        (with(&|it| it["subject"] = json!({"digest": "sha256:short"})), "subject (1)"),
        (with(&|it| it["manifests"] = json!([])), "as an index"),
        (with(&|it| it["config"] = Value::Null), "fields"),
        (with(&|it| it["config"]["data"] = "%".into()), "not base64"),
        (with(&|it| it["config"]["data"] = STANDARD.encode("[]").into()), "is not the content"),
        (json!({"schemaVersion": 2, "mediaType": "text/plain", "config": {}}), "`text/plain` is not supported"),
        (json!({}), "neither a manifest"),
        (json!([]), "cannot be read"),
    ] {
        let (status, code, found) = refused(&hub, &document).await;
        assert_eq!((status, code.as_str()), (400, "MANIFEST_INVALID"), "{document}");
        assert!(found.contains(message), "{document}: {found}");
    }
    let missing = refused(&hub, &manifest(&[b"other"])).await;
    assert_eq!((missing.0, missing.1.as_str()), (404, "MANIFEST_BLOB_UNKNOWN"));
    let bytes = serde_json::to_vec(&manifest(&[])).unwrap();
    for (reference, kind, status, code) in [
        ("1", media_type::OCI_INDEX, 400, "MANIFEST_INVALID"),
        ("sha256:baddigeststring", media_type::OCI_MANIFEST, 400, "DIGEST_INVALID"),
        (Digest::of(b"other").as_str(), media_type::OCI_MANIFEST, 400, "DIGEST_INVALID"),
        (".tag", media_type::OCI_MANIFEST, 400, "TAG_INVALID"),
    ] {
        let path = format!("a/a/manifests/{reference}");
        let put = hub.ask(Method::PUT, &path, &[("content-type", kind)], &bytes).await;
        assert_eq!((put.status, put.code().as_str()), (status, code), "{reference} {kind}");
    }
    let path = "a/a/manifests/1";
    let kind = format!("{}; charset=utf-8", media_type::OCI_MANIFEST);
    assert_eq!(hub.ask(Method::PUT, path, &[("content-type", &kind)], &bytes).await.status, 201);
    assert_eq!(hub.ask(Method::PUT, path, &[], &bytes).await.status, 201, "without a type it is what it says");
}

#[tokio::test]
async fn data_that_is_the_content_custom_fields_and_foreign_layers_are_taken() {
    let hub = hub().await;
    let mut document = manifest(&[b"layer"]);
    document["config"]["data"] = STANDARD.encode("{}").into();
    document["x-custom"] = json!({"deep": [1, 2]});
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    document["layers"].as_array_mut().unwrap().push(descriptor(kind, b"elsewhere"));
    assert_eq!(hub.put("a/a", "1", &document).await.status, 201);
    assert_eq!(hub.get("a/a/manifests/1").await.json(), document);
}

#[tokio::test]
async fn a_manifest_has_up_to_four_mebibytes() {
    let hub = hub().await;
    let mut document = manifest(&[]);
    document["annotations"] = json!({"long": ""});
    let room = 4 * 1024 * 1024 - serde_json::to_vec(&document).unwrap().len();
    document["annotations"]["long"] = "x".repeat(room).into();
    assert_eq!(hub.put("a/a", "large", &document).await.status, 201);
    assert_eq!(hub.get("a/a/manifests/large").await.body.len(), 4 * 1024 * 1024);
    document["annotations"]["long"] = "x".repeat(room + 1).into();
    let (status, code, _) = refused(&hub, &document).await;
    assert_eq!((status, code.as_str()), (413, "SIZE_INVALID"));
}

#[tokio::test]
async fn a_manifest_names_so_many_blobs_at_most() {
    let hub = Hub::new();
    hub.upload("team/app", b"{}").await;
    let put = async |number: usize| {
        let layer = |number: usize| json!({"mediaType": "x/foreign", "digest": Digest::of(&number.to_le_bytes())});
        let mut document = manifest(&[]);
        document["layers"] = (0..number).map(layer).collect();
        hub.put("team/app", "1", &document).await
    };
    let refused = put(10_000).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "MANIFEST_INVALID"));
    assert_eq!(put(9_999).await.status, 201);
    assert_eq!(put(9_999).await.status, 201, "noted already");
}

#[tokio::test]
async fn sparse_manifests_are_taken_where_the_settings_say_so() {
    let mut settings = Settings::new(Access::Open);
    settings.sparse_manifests = true;
    let hub = Hub::with(settings);
    hub.upload("a/a", b"{}").await;
    let image = manifest(&[b"never pushed"]);
    assert_eq!(hub.put("a/a", "image", &image).await.status, 201);
    let list = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
        "manifests": [named(&image), descriptor(media_type::OCI_MANIFEST, b"never pushed either")],
    });
    assert_eq!(hub.put("a/a", "index", &list).await.status, 201);
    assert_eq!(hub.get("a/a/manifests/index").await.json(), list);
}
