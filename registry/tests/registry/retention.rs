//! Retention: which tags stay, and what stays with them.

use crate::hub::{Hub, digest_of, index, manifest};
use axum::http::Method;
use registry::{Access, ImmutableTags, RestoreError, RetentionRule, Settings, apply_retention};
use registry_client::media_type;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

fn numbered(number: usize) -> Value {
    let mut document = manifest(&[]);
    document["annotations"] = json!({"number": number.to_string()});
    document
}

async fn tags(hub: &Hub) -> Value {
    hub.get("team/app/tags/list").await.json()["tags"].clone()
}

#[tokio::test]
async fn the_newest_the_young_and_those_that_are_named_stay() {
    let mut settings = Settings::new(Access::Open);
    settings.immutable_tags = vec![ImmutableTags::parse("team/*:v0").unwrap()];
    let rule = RetentionRule {
        repositories: "team/*".to_owned(),
        keep_newest: 2,
        keep_days: 30,
        keep_tags: vec!["keep-*".to_owned()],
    };
    settings.retention = vec![rule];
    let hub = Hub::with(settings.clone());
    for repository in ["team/app", "other"] {
        hub.upload(repository, b"{}").await;
        for (number, tag) in ["keep-me", "v0", "old", "older", "new", "newest"].into_iter().enumerate() {
            assert_eq!(hub.put(repository, tag, &numbered(number)).await.status, 201);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let now = SystemTime::now();
    assert_eq!(apply_retention(&hub.store, &settings, now).unwrap(), [], "all are young");
    let removed = apply_retention(&hub.store, &settings, now + Duration::from_secs(31 * 24 * 60 * 60)).unwrap();
    let mut names: Vec<_> = removed.iter().map(|tag| tag.reference.as_str()).collect();
    names.sort();
    assert_eq!(names, ["old", "older"]);
    assert_eq!(tags(&hub).await, json!(["keep-me", "new", "newest", "v0"]));
    assert_eq!(hub.get("other/tags/list").await.json()["tags"].as_array().unwrap().len(), 6, "no rule is for it");
}

#[tokio::test]
async fn a_deleted_tag_is_restored_with_what_went_with_it() {
    let mut settings = Settings::new(Access::Open);
    settings.restore = Duration::from_secs(60);
    settings.retention = vec![RetentionRule { repositories: "**".to_owned(), keep_newest: 1, ..Default::default() }];
    let hub = Hub::with(settings.clone());
    hub.upload("team/app", b"{}").await;
    let image = numbered(1);
    let mut signature = numbered(2);
    signature["subject"] =
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest_of(&image).as_str(), "size": 1});
    for document in [&image, &signature] {
        assert_eq!(hub.put("team/app", "", document).await.status, 201);
    }
    let by_name = format!("sha256-{}.sig", digest_of(&image).hex());
    for (tag, document) in [("old", &index(&[&image])), (&by_name, &numbered(3)), ("new", &numbered(4))] {
        assert_eq!(hub.put("team/app", tag, document).await.status, 201);
        std::thread::sleep(Duration::from_millis(5));
    }
    let later = SystemTime::now() + Duration::from_secs(2 * 24 * 60 * 60);
    assert_eq!(apply_retention(&hub.store, &settings, later).unwrap().len(), 4);
    hub.store.put(b"garbage").unwrap();
    assert_eq!(hub.store.collect(&HashSet::new(), Duration::ZERO).unwrap().blobs, 1, "the garbage alone");
    let restored = registry::restore(&hub.store, "team/app", "old").unwrap();
    assert_eq!((restored.len(), restored[0].name.as_str()), (4, "old"));
    for reference in ["old", digest_of(&image).as_str(), digest_of(&signature).as_str(), &by_name] {
        assert_eq!(hub.get(&format!("team/app/manifests/{reference}")).await.status, 200, "{reference}");
    }
    let referrers = hub.get(&format!("team/app/referrers/{}", digest_of(&image))).await.json();
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 1);
    let again = registry::restore(&hub.store, "team/app", "old").unwrap_err();
    assert!(matches!(again, RestoreError::Unknown { .. }), "{again}");
    // By digest, with its tags; and a tag that was set again stays.
    let digest = digest_of(&numbered(4));
    assert_eq!(hub.status(Method::DELETE, &format!("team/app/manifests/{digest}")).await, 202);
    assert_eq!(hub.put("team/app", "new", &numbered(5)).await.status, 201);
    let taken = registry::restore(&hub.store, "team/app", "new").unwrap_err();
    assert!(matches!(&taken, RestoreError::Taken { digest, .. } if *digest == digest_of(&numbered(5))), "{taken}");
    assert_eq!(hub.status(Method::DELETE, "team/app/manifests/new").await, 202);
    registry::restore(&hub.store, "team/app", "new").unwrap();
    let there = hub.get("team/app/manifests/new").await;
    assert_eq!(there.header("docker-content-digest"), digest_of(&numbered(5)).as_str(), "the last one");
}

#[tokio::test]
async fn the_rules_are_looked_at_soon_after_a_start() {
    let mut settings = Settings::new(Access::Open);
    settings.retention = vec![RetentionRule { repositories: "**".to_owned(), keep_newest: 1, ..Default::default() }];
    let hub = Hub::with(settings.clone());
    hub.upload("team/app", b"{}").await;
    for (number, tag) in ["old", "new"].into_iter().enumerate() {
        assert_eq!(hub.put("team/app", tag, &numbered(number)).await.status, 201);
        std::thread::sleep(Duration::from_millis(5));
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let keeping = tokio::spawn(registry::keep_retention(hub.store.clone(), settings, stopped));
    let began = SystemTime::now();
    while tags(&hub).await != json!(["new"]) {
        assert!(began.elapsed().unwrap() < Duration::from_secs(10), "the old tag is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.send(true).unwrap();
    keeping.await.unwrap();
}

#[tokio::test]
async fn what_was_put_by_digest_goes_and_stays_with_its_index_and_its_subject() {
    let mut settings = Settings::new(Access::Open);
    settings.retention = vec![RetentionRule { repositories: "**".to_owned(), keep_newest: 1, ..Default::default() }];
    let hub = Hub::with(settings.clone());
    hub.upload("team/app", b"{}").await;
    let signed = |subject: &Value, number: usize| {
        let mut document = numbered(number);
        document["subject"] =
            json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest_of(subject).as_str(), "size": 1});
        document
    };
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (number, tag) in ["old", "new"].into_iter().enumerate() {
        let image = numbered(10 * number);
        let list = index(&[&image]);
        let signature = signed(&image, 10 * number + 1);
        let countersignature = signed(&signature, 10 * number + 2);
        for document in [&image, &signature, &countersignature] {
            assert_eq!(hub.put("team/app", "", document).await.status, 201);
        }
        assert_eq!(hub.put("team/app", tag, &list).await.status, 201);
        let by_name = format!("sha256-{}.sig", digest_of(&image).hex());
        assert_eq!(hub.put("team/app", &by_name, &numbered(10 * number + 3)).await.status, 201);
        let all = [image, signature, countersignature].map(|document| digest_of(&document).to_string());
        (if tag == "new" { &mut kept } else { &mut gone }).extend(all.into_iter().chain([by_name]));
        std::thread::sleep(Duration::from_millis(5));
    }
    let later = SystemTime::now() + Duration::from_secs(2 * 24 * 60 * 60);
    assert_eq!(apply_retention(&hub.store, &settings, later).unwrap().len(), 1 + gone.len());
    for (references, status) in [(&kept, 200), (&gone, 404)] {
        for reference in references {
            assert_eq!(hub.get(&format!("team/app/manifests/{reference}")).await.status, status, "{reference}");
        }
    }
}
