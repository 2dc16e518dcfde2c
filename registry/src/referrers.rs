//! Referrers: the manifests that have another one as their subject, a page at a time.

use crate::error::Failure;
use crate::manifests::MAX_MANIFEST;
use crate::query::{Page, encode, parameter, with_link};
use crate::server::{Registry, blocking};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use image_store::Store;
use registry_client::{Digest, media_type};
use serde_json::{Value, json};

/// Most descriptors of one page.
const MAX_PAGE: usize = 1000;

/// The part of the referrers that a request asks for.
struct Query {
    repository: String,
    subject: Digest,
    /// The kind of artifact.
    artifact_type: Option<String>,
    n: usize,
    last: Option<String>,
}

#[derive(Default)]
struct List {
    descriptors: Vec<Value>,
    /// The last digest, if there are more.
    next: Option<String>,
}

/// Lists the manifests of a repository that refer to `subject`.
pub(crate) async fn list(registry: &Registry, name: &str, subject: &Digest, uri: &Uri) -> Result<Response, Failure> {
    let page = Page::of(uri)?;
    let artifact_type = parameter(uri, "artifactType");
    let filter = artifact_type.as_deref().map(|kind| format!("artifactType={}&", encode(kind))).unwrap_or_default();
    let n = page.n.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let query = Query { repository: name.to_owned(), subject: subject.clone(), artifact_type, n, last: page.last };
    let store = registry.store.clone();
    let list = blocking(move || find(&store, &query)).await?;
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": list.descriptors});
    let response = ([(header::CONTENT_TYPE, media_type::OCI_INDEX)], index.to_string()).into_response();
    let next =
        list.next.map(|last| format!("</v2/{name}/referrers/{subject}?{filter}n={n}&last={last}>; rel=\"next\""));
    let mut response = with_link(response, next);
    if !filter.is_empty() {
        response.headers_mut().insert("OCI-Filters-Applied", header::HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

fn find(store: &Store, query: &Query) -> Result<List, image_store::Error> {
    let mut list = List::default();
    let mut size = 0;
    let mut last = None;
    for digest in store.referrers(&query.repository, &query.subject)? {
        if query.last.as_deref().is_some_and(|last| digest.as_str() <= last) {
            continue;
        }
        let Some(bytes) = store.referrer(&query.repository, &query.subject, &digest)? else { continue };
        let Ok(descriptor) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let kind = descriptor["artifactType"].as_str().unwrap_or_default();
        if query.artifact_type.as_deref().is_some_and(|wanted| wanted != kind) {
            continue;
        }
        // A page is a manifest, and no larger than one.
        size += bytes.len() + 1;
        if list.descriptors.len() >= query.n || (size > MAX_MANIFEST && !list.descriptors.is_empty()) {
            list.next = last;
            break;
        }
        list.descriptors.push(descriptor);
        last = Some(digest.to_string());
    }
    Ok(list)
}
