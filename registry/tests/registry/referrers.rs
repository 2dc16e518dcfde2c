//! Referrers: listed with what they say of themselves, filtered, in pages, and gone when they are deleted.

use crate::hub::{Answer, Hub, digest_of, index, manifest};
use axum::body::Body;
use axum::http::Method;
use registry_client::{Digest, media_type};
use serde_json::{Value, json};

/// Returns an artifact that is about `subject`.
fn artifact(subject: &Digest, kind: &str, number: usize) -> Value {
    let mut document = manifest(&[]);
    document["subject"] = json!({"mediaType": media_type::OCI_MANIFEST, "digest": subject.as_str(), "size": 1});
    document["artifactType"] = kind.into();
    document["annotations"] = json!({"number": number.to_string()});
    document
}

fn listed(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, media_type::OCI_INDEX));
    let document = answer.json();
    assert_eq!((&document["schemaVersion"], &document["mediaType"]), (&json!(2), &json!(media_type::OCI_INDEX)));
    document["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn referrers_show_their_type_and_annotations_and_may_come_before_their_subject() {
    let hub = Hub::new();
    let subject = digest_of(&manifest(&[]));
    let path = format!("a/a/referrers/{subject}");
    assert!(listed(&hub.get(&path).await).is_empty(), "never 404");
    hub.upload("a/a", b"{}").await;
    let signature = artifact(&subject, "application/x.signature+json", 1);
    let put = hub.put("a/a", "", &signature).await;
    assert_eq!((put.status, put.header("oci-subject")), (201, subject.as_str()));
    let mut list = index(&[]);
    list["subject"] = signature["subject"].clone();
    let mut plain = manifest(&[]);
    plain["subject"] = signature["subject"].clone();
    for document in [&list, &plain, &manifest(&[])] {
        assert_eq!(hub.put("a/a", "tag", document).await.status, 201);
    }
    let found = listed(&hub.get(&path).await);
    assert_eq!(found.len(), 3);
    let of = |document: &Value| found.iter().find(|one| one["digest"] == digest_of(document).as_str()).unwrap();
    assert_eq!(of(&signature)["artifactType"], "application/x.signature+json");
    assert_eq!(of(&signature)["annotations"], json!({"number": "1"}));
    assert_eq!(of(&signature)["size"], serde_json::to_vec(&signature).unwrap().len());
    assert_eq!(of(&plain)["artifactType"], media_type::OCI_CONFIG, "that of its configuration");
    assert!(of(&list).get("artifactType").is_none());
    let filtered = hub.get(&format!("{path}?artifactType=application/x.signature%2Bjson")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    assert_eq!(listed(&filtered), [of(&signature).clone()]);
    assert!(listed(&hub.get(&format!("{path}?artifactType=other/kind")).await).is_empty());
    assert_eq!(hub.status(Method::GET, "a/a/referrers/sha256:x").await, 400);
    assert!(listed(&hub.get(&format!("b/b/referrers/{subject}")).await).is_empty(), "of this repository alone");
}

#[tokio::test]
async fn many_referrers_come_in_pages_that_lead_on() {
    let hub = Hub::new();
    hub.upload("a/a", b"{}").await;
    let subject = digest_of(&manifest(&[]));
    for number in 0..7 {
        let kind = if number % 2 == 0 { "even/a+b" } else { "odd/a" };
        assert_eq!(hub.put("a/a", "", &artifact(&subject, kind, number)).await.status, 201);
    }
    for (filter, expected) in [("", vec![3, 3, 1]), ("artifactType=even/a%2Bb&", vec![3, 1])] {
        let mut path = format!("/v2/a/a/referrers/{subject}?{filter}n=3");
        let (mut sizes, mut seen) = (Vec::new(), Vec::new());
        loop {
            let page = hub.ask_at(Method::GET, &path, &[], Body::empty()).await;
            let found = listed(&page);
            sizes.push(found.len());
            seen.extend(found.iter().map(|one| one["digest"].to_string()));
            let link = page.header("link");
            let Some(next) = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")) else {
                break;
            };
            path = next.to_owned();
        }
        assert_eq!(sizes, expected, "{filter}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), expected.iter().sum::<usize>(), "none twice");
    }
}

#[tokio::test]
async fn a_referrer_that_goes_is_listed_no_more_and_lost_notes_come_back() {
    let hub = Hub::new();
    hub.upload("a/a", b"{}").await;
    let subject = digest_of(&manifest(&[]));
    let path = format!("a/a/referrers/{subject}");
    let (one, two) = (artifact(&subject, "a/b", 1), artifact(&subject, "a/b", 2));
    assert_eq!(hub.put("a/a", "", &one).await.status, 201);
    assert_eq!(hub.put("a/a", "two", &two).await.status, 201);
    assert_eq!(hub.status(Method::DELETE, &format!("a/a/manifests/{}", digest_of(&one))).await, 202);
    assert_eq!(listed(&hub.get(&path).await).len(), 1);
    // A power loss may take the notes; what tags lead to is noted again.
    std::fs::remove_dir_all(hub.directory().join("contents/a%2Fa")).unwrap();
    assert!(listed(&hub.get(&path).await).is_empty());
    hub.store.readmit().unwrap();
    assert_eq!(listed(&hub.get(&path).await).len(), 1);
    // A manifest that nothing leads to is collected, and its notes with it.
    assert_eq!(hub.status(Method::DELETE, "a/a/manifests/two").await, 202);
    hub.store.collect(&Default::default(), std::time::Duration::ZERO).unwrap();
    assert!(listed(&hub.get(&path).await).is_empty());
}

#[tokio::test]
async fn a_store_of_an_earlier_version_has_its_referrers() {
    let hub = Hub::new();
    hub.upload("a/a", b"{}").await;
    let subject = digest_of(&manifest(&[]));
    assert_eq!(hub.put("a/a", "", &artifact(&subject, "a/b", 1)).await.status, 201);
    std::fs::remove_dir_all(hub.directory().join("contents/a%2Fa/referrers")).unwrap();
    std::fs::remove_file(hub.directory().join("referrers.noted")).unwrap();
    image_store::Store::open(hub.directory()).unwrap();
    assert_eq!(listed(&hub.get(&format!("a/a/referrers/{subject}")).await).len(), 1);
}
