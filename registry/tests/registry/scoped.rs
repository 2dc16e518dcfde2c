//! Each repository serves, mounts, lists and deletes what it was given, and nothing else that the store has.

use crate::hub::{Hub, descriptor, digest_of, index, manifest};
use axum::http::Method;
use image_store::Part;
use registry_client::{Descriptor, Digest, Manifest, PROOF_HEADER, STORE_HEADER, media_type};
use serde_json::json;

/// Puts a manifest of layers, under its digest if no tag is given, and returns the status with the digest.
async fn put(hub: &Hub, repository: &str, tag: &str, layers: &[&[u8]], subject: Option<&Digest>) -> (u16, Digest) {
    let mut document = manifest(layers);
    if let Some(digest) = subject {
        document["subject"] = json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": 1});
    }
    (hub.put(repository, tag, &document).await.status, digest_of(&document))
}

#[tokio::test]
async fn what_one_repository_has_no_other_serves() {
    // SEC-M1, scoped content
    let hub = Hub::new();
    hub.upload("team/private", b"{}").await;
    let layer = hub.upload("team/private", b"layer").await;
    let (status, manifest) = put(&hub, "team/private", "1", &[b"layer"], None).await;
    assert_eq!(status, 201);
    for method in [Method::GET, Method::HEAD] {
        for (path, expected) in [
            (format!("team/private/blobs/{layer}"), 200),
            (format!("team/private/manifests/{manifest}"), 200),
            ("team/private/manifests/1".to_owned(), 200),
            (format!("evil/app/blobs/{layer}"), 404),
            (format!("team/blobs/{layer}"), 404),
            (format!("evil/app/manifests/{manifest}"), 404),
            (format!("evil/app/blobs/{manifest}"), 404),
            (format!("team/private/blobs/{manifest}"), 404),
            (format!("team/private/manifests/{layer}"), 404),
        ] {
            assert_eq!(hub.status(method.clone(), &path).await, expected, "{method} {path}");
        }
    }
    // To name a blob is not to have it.
    hub.upload("evil/app", b"{}").await;
    assert_eq!(put(&hub, "evil/app", "1", &[b"layer"], None).await.0, 404);
    for query in [format!("mount={layer}&from=evil/other"), format!("mount={layer}&from=evil/app")] {
        let mount = hub.ask(Method::POST, &format!("evil/app/blobs/uploads/?{query}"), &[], b"").await;
        assert_eq!(mount.status, 202, "{query}");
    }
    assert_eq!(put(&hub, "evil/app", "1", &[b"layer"], None).await.0, 404);
    // A repository has what is mounted from one that has it, and what is sent.
    let mount =
        hub.ask(Method::POST, &format!("good/app/blobs/uploads/?mount={layer}&from=team/private"), &[], b"").await;
    assert_eq!(mount.status, 201);
    hub.upload("good/app", b"{}").await;
    assert_eq!(put(&hub, "good/app", "1", &[b"layer"], None).await.0, 201);
}

#[tokio::test]
async fn a_manifest_that_is_deleted_is_gone_with_its_tags_from_its_repository_alone() {
    let hub = Hub::new();
    for repository in ["a/a", "b/b"] {
        hub.upload(repository, b"{}").await;
        hub.upload(repository, b"layer").await;
        for tag in ["1", "2", ""] {
            assert_eq!(put(&hub, repository, tag, &[b"layer"], None).await.0, 201);
        }
    }
    let (_, subject) = put(&hub, "a/a", "1", &[b"layer"], None).await;
    let (_, referrer) = put(&hub, "a/a", "", &[], Some(&subject)).await;
    let listed = |answer: crate::hub::Answer| answer.json()["manifests"].as_array().unwrap().len();
    assert_eq!(listed(hub.ask(Method::GET, &format!("a/a/referrers/{subject}"), &[], b"").await), 1);
    assert_eq!(listed(hub.ask(Method::GET, &format!("b/b/referrers/{subject}"), &[], b"").await), 0);
    assert_eq!(hub.status(Method::DELETE, "a/a/manifests/1").await, 202);
    assert_eq!(hub.status(Method::GET, &format!("a/a/manifests/{subject}")).await, 200, "a tag is not its manifest");
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/manifests/{subject}")).await, 202);
    for path in [format!("a/a/manifests/{subject}"), "a/a/manifests/1".to_owned(), "a/a/manifests/2".to_owned()] {
        assert_eq!(hub.status(Method::GET, &path).await, 404, "{path}");
    }
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/manifests/{subject}")).await, 404);
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/manifests/{referrer}")).await, 202);
    assert_eq!(listed(hub.ask(Method::GET, &format!("a/a/referrers/{subject}"), &[], b"").await), 0);
    assert_eq!(hub.get("a/a/tags/list").await.json()["tags"], json!([]));
    for path in [format!("b/b/manifests/{subject}"), "b/b/manifests/2".to_owned()] {
        assert_eq!(hub.status(Method::GET, &path).await, 200, "{path}");
    }
    let layer = Digest::of(b"layer");
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/blobs/{layer}")).await, 202);
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/blobs/{layer}")).await, 404);
    assert_eq!(hub.status(Method::GET, &format!("a/a/blobs/{layer}")).await, 404);
    assert_eq!(hub.status(Method::GET, &format!("b/b/blobs/{layer}")).await, 200);
}

#[tokio::test]
async fn what_was_built_for_another_registry_or_is_kept_by_hand_is_not_here() {
    let hub = Hub::new();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.into()),
        config: Descriptor::new(media_type::OCI_CONFIG, hub.store.put(b"{}").unwrap(), 2),
        layers: vec![Descriptor::new(media_type::OCI_LAYER, hub.store.put(b"built").unwrap(), 5)],
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = hub.store.put(&bytes).unwrap();
    let descriptor = Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), bytes.len() as u64);
    hub.store.keep("docker.io/library/mine", "latest", &descriptor).unwrap();
    hub.store.keep("localhost/mine", "latest", &descriptor).unwrap();
    for path in [
        "docker.io/library/mine/manifests/latest".to_owned(),
        "localhost/mine/tags/list".to_owned(),
        format!("docker.io/library/mine/manifests/{digest}"),
        format!("docker.io/library/mine/blobs/{}", Digest::of(b"built")),
        format!("any/app/manifests/{digest}"),
    ] {
        assert_eq!(hub.status(Method::GET, &path).await, 404, "{path}");
    }
    assert_eq!(hub.ask(Method::GET, "_catalog", &[], b"").await.json()["repositories"], json!([]));
}

#[tokio::test]
async fn who_shares_the_store_need_not_send_what_it_has() {
    let hub = Hub::new();
    let digest = hub.store.put(b"made by a build").unwrap();
    let proof = format!("{digest} {}", hub.store.proof("team/app", &digest));
    for (repository, header, expected) in [
        ("evil/app", proof.clone(), 202),
        ("team/app", format!("{digest} {}", "0".repeat(64)), 202),
        ("team/app", digest.to_string(), 202),
        ("team/app", format!("{} {}", Digest::of(b"x"), hub.store.proof("team/app", &Digest::of(b"x"))), 202),
        ("team/app", proof, 201),
    ] {
        let begun =
            hub.ask(Method::POST, &format!("{repository}/blobs/uploads/"), &[(PROOF_HEADER, &header)], b"").await;
        assert_eq!(begun.status, expected, "{repository} {header}");
        assert_eq!(begun.headers[STORE_HEADER], hub.store.id());
    }
    assert_eq!(hub.status(Method::HEAD, &format!("team/app/blobs/{digest}")).await, 200);
    assert_eq!(hub.status(Method::HEAD, &format!("evil/app/blobs/{digest}")).await, 404);
}

#[tokio::test]
async fn an_upload_is_one_of_its_repository() {
    let hub = Hub::new();
    let begun = hub.ask(Method::POST, "a/a/blobs/uploads/", &[], b"").await;
    let id = begun.headers["docker-upload-uuid"].to_str().unwrap().to_owned();
    let digest = Digest::of(b"x");
    for (method, path) in [
        (Method::PATCH, format!("b/b/blobs/uploads/{id}")),
        (Method::PUT, format!("b/b/blobs/uploads/{id}?digest={digest}")),
        (Method::GET, format!("b/b/blobs/uploads/{id}")),
        (Method::DELETE, format!("b/b/blobs/uploads/{id}")),
    ] {
        assert_eq!(hub.ask(method.clone(), &path, &[], b"x").await.status, 404, "{method}");
    }
    let put = hub.ask(Method::PUT, &format!("a/a/blobs/uploads/{id}?digest={digest}"), &[], b"x").await;
    assert_eq!(put.status, 201);
}

#[tokio::test]
async fn a_mount_without_a_source_takes_what_whoever_asks_may_read() {
    let hub = Hub::new();
    let layer = hub.upload("team/one", b"layer").await;
    let kept = hub.store.put(b"made by a build").unwrap();
    let mount = |digest: &Digest| format!("team/two/blobs/uploads/?mount={digest}");
    assert_eq!(hub.ask(Method::POST, &mount(&kept), &[], b"").await.status, 202, "no repository has it");
    let mounted = hub.ask(Method::POST, &mount(&layer), &[], b"").await;
    assert_eq!((mounted.status, mounted.header("location")), (201, format!("/v2/team/two/blobs/{layer}").as_str()));
    assert_eq!(hub.get(&format!("team/two/blobs/{layer}")).await.body, b"layer");
}

#[tokio::test]
async fn what_a_manifest_names_and_its_repository_was_never_given_stays_with_others() {
    // Sparse manifests and foreign layers name what they do not bring.
    let mut settings = registry::Settings::new(registry::Access::Open);
    settings.sparse_manifests = true;
    let hub = Hub::with(settings);
    hub.upload("evil/app", b"{}").await;
    assert_eq!(put(&hub, "evil/app", "1", &[b"secret"], None).await.0, 201);
    hub.upload("team/private", b"secret").await;
    let path = format!("evil/app/blobs/{}", Digest::of(b"secret"));
    assert_eq!(hub.status(Method::GET, &path).await, 404);
    hub.store.readmit().unwrap();
    assert_eq!(hub.status(Method::GET, &path).await, 404, "a start of the machine gives nothing away");
    hub.upload("evil/app", b"secret").await;
    hub.store.readmit().unwrap();
    assert_eq!(hub.status(Method::GET, &path).await, 200, "who sends it has it");
}

#[tokio::test]
async fn a_manifest_that_was_sent_as_a_blob_gives_nothing_of_what_it_names() {
    let mut settings = registry::Settings::new(registry::Access::Open);
    settings.sparse_manifests = true;
    for hub in [Hub::new(), Hub::with(settings)] {
        hub.upload("team/private", b"{}").await;
        let secret = hub.upload("team/private", b"secret").await;
        let smuggled = manifest(&[b"secret"]);
        let bytes = serde_json::to_vec(&smuggled).unwrap();
        let foreign = index_of(descriptor("x/foreign", &bytes));
        // Named first and sent afterwards, or the other way round.
        let before = hub.put("evil/two", "1", &foreign).await.status;
        for repository in ["evil/one", "evil/two"] {
            hub.upload(repository, &bytes).await;
        }
        let list = index(&[&smuggled]);
        assert_eq!(hub.put("evil/one", "1", &list).await.status, 201);
        let has = async |after: &str| {
            for repository in ["evil/one", "evil/two"] {
                let blob = hub.status(Method::GET, &format!("{repository}/blobs/{secret}")).await;
                let child = hub.status(Method::GET, &format!("{repository}/manifests/{}", digest_of(&smuggled))).await;
                assert_eq!((blob, child), (404, 404), "{repository} after {after}");
            }
        };
        has("it was put").await;
        // A tag whose manifest is deleted at the same moment.
        hub.store.expel("evil/one", Part::Manifest, &digest_of(&list)).unwrap();
        assert_eq!(hub.status(Method::GET, "evil/one/manifests/1").await, 200);
        has("a deletion").await;
        for _ in 0..2 {
            hub.store.readmit().unwrap();
            has("a start of the machine").await;
        }
        let is_sparse = before == 201;
        assert!(is_sparse || before == 404, "only a layer may be with others: {before}");
    }
}

#[tokio::test]
async fn search_shows_nothing_of_what_a_repository_was_never_given() {
    let mut settings = registry::Settings::new(registry::Access::Open);
    settings.sparse_manifests = true;
    for hub in [Hub::new(), Hub::with(settings)] {
        let config = json!({"config": {"Labels": {"org.opencontainers.image.description": "secret"}}});
        let config = serde_json::to_vec(&config).unwrap();
        hub.upload("team/private", &config).await;
        let mut image = manifest(&[]);
        image["config"] = descriptor(media_type::OCI_CONFIG, &config);
        assert_eq!(hub.put("team/private", "latest", &image).await.status, 201);
        let list = index(&[&image]);
        let sparse = hub.put("evil/index", "latest", &list).await.status;
        image["config"] = descriptor("x/foreign", &config);
        assert_eq!(hub.put("evil/image", "latest", &image).await.status, 201);
        let found = hub.ask_at(Method::GET, "/v1/search?q=", &[], axum::body::Body::empty()).await.json();
        let shown: Vec<_> = found["results"].as_array().unwrap().iter().map(|one| &one["description"]).collect();
        let expected = if sparse == 201 { vec!["", "", "secret"] } else { vec!["", "secret"] };
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn manifests_in_indexes_are_there_again_after_a_start_of_the_machine() {
    let hub = Hub::new();
    for blob in [&b"{}"[..], b"layer", b"cached"] {
        hub.upload("team/app", blob).await;
    }
    let image = manifest(&[b"layer"]);
    assert_eq!(hub.put("team/app", "", &image).await.status, 201);
    assert_eq!(hub.put("team/app", "1", &index(&[&image])).await.status, 201);
    // BuildKit's cache is an index of layers.
    let cache = index_of(descriptor(media_type::OCI_LAYER_GZIP, b"cached"));
    assert_eq!(hub.put("team/app", "cache", &cache).await.status, 201);
    std::fs::remove_dir_all(hub.directory().join("contents")).unwrap();
    hub.store.readmit().unwrap();
    for blob in [&b"{}"[..], b"layer", b"cached"] {
        assert_eq!(hub.status(Method::GET, &format!("team/app/blobs/{}", Digest::of(blob))).await, 200);
    }
    assert_eq!(hub.status(Method::GET, &format!("team/app/manifests/{}", digest_of(&image))).await, 200);
}

fn index_of(named: serde_json::Value) -> serde_json::Value {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [named]})
}
