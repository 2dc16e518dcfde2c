//! Retention: which tags stay, and what stays with them.

use crate::hub::{Hub, digest_of, index, manifest};
use registry::{Access, ImmutableTags, RetentionRule, Settings, apply_retention};
use registry_client::media_type;
use serde_json::{Value, json};
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
