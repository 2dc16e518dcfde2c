//! Lists of repositories and tags, a page at a time.

use crate::hub::{Hub, manifest};
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn tags_are_sorted_and_come_in_pages_that_lead_on() {
    let hub = Hub::new();
    let unknown = hub.get("a/a/tags/list").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "NAME_UNKNOWN"));
    hub.upload("a/a", b"{}").await;
    assert_eq!(hub.get("a/a/tags/list").await.json(), json!({"name": "a/a", "tags": []}));
    for tag in ["b", "a", "C", "10", "9", ""] {
        assert_eq!(hub.put("a/a", tag, &manifest(&[])).await.status, 201);
    }
    assert_eq!(hub.get("a/a/tags/list").await.json()["tags"], json!(["10", "9", "C", "a", "b"]));
    let mut path = "/v2/a/a/tags/list?n=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = hub.ask_at(Method::GET, &path, &[], axum::body::Body::empty()).await;
        pages.push(page.json()["tags"].clone());
        let link = page.header("link");
        let Some(next) = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")) else { break };
        path = next.to_owned();
    }
    assert_eq!(pages, [json!(["10", "9"]), json!(["C", "a"]), json!(["b"])]);
    let none = hub.get("a/a/tags/list?n=0").await;
    assert_eq!((none.json()["tags"].clone(), none.header("link")), (json!([]), ""));
    assert_eq!(hub.get("a/a/tags/list?last=C").await.json()["tags"], json!(["a", "b"]));
    let wrong = hub.get("a/a/tags/list?n=many").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"));
}

#[tokio::test]
async fn the_catalogue_names_repositories_with_manifests_in_pages() {
    let hub = Hub::new();
    for repository in ["z", "a/b", "a"] {
        hub.upload(repository, b"{}").await;
        assert_eq!(hub.put(repository, "1", &manifest(&[])).await.status, 201);
    }
    assert_eq!(hub.get("_catalog").await.json()["repositories"], json!(["a", "a/b", "z"]));
    let page = hub.get("_catalog?n=1&last=a").await;
    assert_eq!(page.json()["repositories"], json!(["a/b"]));
    assert_eq!(page.header("link"), "</v2/_catalog?n=1&last=a/b>; rel=\"next\"");
}
