//! Policy: tags that never move, quotas, and the search that docker knows.

use crate::hub::{Hub, descriptor, digest_of, index, manifest};
use axum::body::Body;
use axum::http::Method;
use registry::{Access, ImmutableTags, Quota, Settings};
use registry_client::{Digest, media_type};
use serde_json::json;

fn settings() -> Settings {
    Settings::new(Access::Open)
}

#[tokio::test]
async fn an_immutable_tag_neither_moves_nor_goes() {
    let mut settings = settings();
    settings.immutable_tags = vec![ImmutableTags::parse("team/*:v*").unwrap()];
    let hub = Hub::with(settings);
    for repository in ["team/app", "other"] {
        hub.upload(repository, b"{}").await;
        hub.upload(repository, b"layer").await;
    }
    let (first, second) = (manifest(&[]), manifest(&[b"layer"]));
    assert_eq!(hub.put("team/app", "v1", &first).await.status, 201);
    assert_eq!(hub.put("team/app", "v1", &first).await.status, 201, "the same again changes nothing");
    let moved = hub.put("team/app", "v1", &second).await;
    assert_eq!((moved.status, moved.code().as_str()), (403, "DENIED"));
    let bytes = serde_json::to_vec(&second).unwrap();
    let path = format!("team/app/manifests/{}?tag=free&tag=v1", digest_of(&second));
    let moved = hub.ask(Method::PUT, &path, &[("content-type", media_type::OCI_MANIFEST)], &bytes).await;
    assert_eq!((moved.status, moved.code().as_str()), (403, "DENIED"));
    assert_eq!(hub.status(Method::GET, "team/app/manifests/free").await, 404, "all tags of a request or none");
    for reference in ["v1".to_owned(), digest_of(&first).to_string()] {
        assert_eq!(hub.status(Method::DELETE, &format!("team/app/manifests/{reference}")).await, 403, "{reference}");
    }
    assert_eq!(hub.get("team/app/manifests/v1").await.header("docker-content-digest"), digest_of(&first).as_str());
    for (repository, tag) in [("team/app", "latest"), ("other", "v1")] {
        for document in [&first, &second] {
            assert_eq!(hub.put(repository, tag, document).await.status, 201, "{repository}:{tag}");
        }
        assert_eq!(hub.status(Method::DELETE, &format!("{repository}/manifests/{tag}")).await, 202);
    }
}

#[tokio::test]
async fn what_an_immutable_tag_leads_to_stays_and_nothing_else() {
    let mut settings = settings();
    settings.immutable_tags = vec![ImmutableTags::parse("team/*:v*").unwrap(), ImmutableTags::parse("all:*").unwrap()];
    let hub = Hub::with(settings);
    for repository in ["team/app", "all"] {
        for blob in [&b"{}"[..], b"layer", b"other"] {
            hub.upload(repository, blob).await;
        }
    }
    let (image, other) = (manifest(&[b"layer"]), manifest(&[b"other"]));
    let list = index(&[&image]);
    for repository in ["team/app", "all"] {
        for (tag, document) in [("", &image), ("", &other), ("v1", &list)] {
            assert_eq!(hub.put(repository, tag, document).await.status, 201);
        }
        let layer = |bytes: &[u8]| format!("{repository}/blobs/{}", Digest::of(bytes));
        let by_digest = |document| format!("{repository}/manifests/{}", digest_of(document));
        for path in [layer(b"layer"), layer(b"{}"), by_digest(&image), by_digest(&list)] {
            let refused = hub.ask(Method::DELETE, &path, &[], b"").await;
            assert_eq!((refused.status, refused.code().as_str()), (403, "DENIED"), "{path}");
            assert!(refused.json().to_string().contains("the tag `v1`"), "{}", refused.json());
        }
        for path in [layer(b"other"), by_digest(&other)] {
            assert_eq!(hub.status(Method::DELETE, &path).await, 202, "{path}");
        }
        for path in [format!("{repository}/manifests/v2"), layer(b"other"), by_digest(&other)] {
            assert_eq!(hub.status(Method::DELETE, &path).await, 404, "{path}");
        }
    }
    assert_eq!(hub.get(&format!("team/app/blobs/{}", Digest::of(b"layer"))).await.body, b"layer");
}

#[tokio::test]
async fn a_repository_holds_what_its_quota_allows() {
    let mut settings = settings();
    settings.quotas = vec![Quota { repositories: "team/*".to_owned(), bytes: 10 }];
    let hub = Hub::with(settings);
    hub.upload("team/app", b"12345").await;
    hub.upload("team/app", b"12345").await;
    let denied = |answer: &crate::hub::Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"));
    };
    let digest = Digest::of(b"123456");
    denied(&hub.ask(Method::POST, &format!("team/app/blobs/uploads/?digest={digest}"), &[], b"123456").await);
    let place = hub.ask(Method::POST, "team/app/blobs/uploads/", &[], b"").await.header("location").to_owned();
    assert_eq!(hub.ask_at(Method::PATCH, &place, &[], Body::from("123")).await.status, 202);
    denied(&hub.ask_at(Method::PATCH, &place, &[], Body::from("456")).await);
    hub.upload("other", b"123456").await;
    denied(&hub.ask(Method::POST, &format!("team/app/blobs/uploads/?mount={digest}&from=other"), &[], b"").await);
    hub.upload("team/app", b"{}").await;
    denied(&hub.put("team/app", "1", &manifest(&[])).await);
    assert_eq!(hub.status(Method::DELETE, &format!("team/app/blobs/{}", Digest::of(b"12345"))).await, 202);
    hub.upload("team/app", b"123456").await;
}

#[tokio::test]
async fn what_is_there_needs_no_room_and_uploads_at_once_share_it() {
    let mut settings = settings();
    let size = serde_json::to_vec(&manifest(&[])).unwrap().len() as u64;
    settings.quotas = vec![Quota { repositories: "team/*".to_owned(), bytes: 10 + size }];
    let hub = Hub::with(settings);
    hub.upload("team/app", b"{}").await;
    assert_eq!(hub.put("team/app", "1", &manifest(&[])).await.status, 201);
    let blobs: Vec<String> = (0..6).map(|number| format!("000{number}")).collect();
    let paths = blobs.iter().map(|blob| format!("team/app/blobs/uploads/?digest={}", Digest::of(blob.as_bytes())));
    let paths: Vec<String> = paths.collect();
    let uploads = blobs.iter().zip(&paths).map(|(blob, path)| hub.ask(Method::POST, path, &[], blob.as_bytes()));
    let answers = futures::future::join_all(uploads).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 2);
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 403)));
    // Nothing is left, and what is there may be sent again.
    for tag in ["1", "2", ""] {
        assert_eq!(hub.put("team/app", tag, &manifest(&[])).await.status, 201, "{tag}");
    }
    let sent = answers.iter().position(|answer| answer.status == 201).unwrap();
    assert_eq!(hub.ask(Method::POST, &paths[sent], &[], blobs[sent].as_bytes()).await.status, 201);
    let place = hub.ask(Method::POST, "team/app/blobs/uploads/", &[], b"").await.header("location").to_owned();
    let finish = format!("{place}?digest={}", Digest::of(blobs[sent].as_bytes()));
    assert_eq!(hub.ask_at(Method::PUT, &finish, &[], Body::from(blobs[sent].clone())).await.status, 201);
}

#[tokio::test]
async fn search_finds_repositories_by_name_with_what_they_say_of_themselves() {
    let hub = Hub::new();
    let ping = hub.ask_at(Method::GET, "/v1/_ping", &[], Body::empty()).await;
    assert_eq!(ping.status, 200);
    let config = json!({"config": {"Labels": {"org.opencontainers.image.description": "from a label"}}});
    let config = serde_json::to_vec(&config).unwrap();
    for repository in ["my-web", "web", "team/web", "web-two", "other"] {
        hub.upload(repository, &config).await;
        let mut document = manifest(&[]);
        document["config"] = descriptor(media_type::OCI_CONFIG, &config);
        if repository == "web-two" {
            document["annotations"] = json!({"org.opencontainers.image.description": "from an annotation"});
        }
        assert_eq!(hub.put(repository, "", &document).await.status, 201);
        let tagged = if repository == "team/web" { index(&[&document]) } else { document };
        assert_eq!(hub.put(repository, "latest", &tagged).await.status, 201);
    }
    let found = hub.ask_at(Method::GET, "/v1/search?q=web&n=3", &[], Body::empty()).await.json();
    let names: Vec<_> = found["results"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["web", "web-two", "my-web"]);
    assert_eq!((&found["num_results"], &found["num_pages"], &found["page"]), (&json!(4), &json!(2), &json!(1)));
    assert_eq!(found["results"][0]["description"], "from a label");
    assert_eq!(found["results"][1]["description"], "from an annotation");
    let rest = hub.ask_at(Method::GET, "/v1/search?q=WEB&n=3&page=2", &[], Body::empty()).await.json();
    assert_eq!(
        (&rest["results"][0]["name"], &rest["results"][0]["description"]),
        (&json!("team/web"), &json!("from a label"))
    );
    assert_eq!(hub.ask_at(Method::GET, "/v1/search?q=x&n=many", &[], Body::empty()).await.status, 400);
}
