//! Lists: the repositories, and the tags of one.

use crate::error::Failure;
use crate::query::{Page, with_link};
use crate::server::{Registry, blocking, blocking_check};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use registry_client::Digest;
use serde_json::json;

/// Lists the repositories.
pub(crate) async fn catalog(registry: &Registry, uri: &Uri) -> Result<Response, Failure> {
    let page = Page::of(uri)?;
    let store = registry.store.clone();
    let mut names = blocking(move || store.repositories()).await?;
    names.retain(|name| registry.is_listed(name));
    let (names, next) = page.cut(names, "/v2/_catalog");
    Ok(with_link(axum::Json(json!({"repositories": names})).into_response(), next))
}

/// Lists the tags of a repository.
pub(crate) async fn tags(registry: &Registry, name: &str, uri: &Uri) -> Result<Response, Failure> {
    let page = Page::of(uri)?;
    let (store, repository) = (registry.store.clone(), name.to_owned());
    let tags = blocking_check(move || {
        let mut tags = store.tags(&repository)?;
        if tags.is_empty() && !store.is_repository(&repository)? {
            return Err(Failure::name_unknown(&repository));
        }
        // A manifest that was put by digest is kept by a tag of that name.
        tags.retain(|tag| tag.parse::<Digest>().is_err());
        Ok(tags)
    });
    let (tags, next) = page.cut(tags.await?, &format!("/v2/{name}/tags/list"));
    Ok(with_link(axum::Json(json!({"name": name, "tags": tags})).into_response(), next))
}
