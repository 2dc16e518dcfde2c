//! The function of the fuzz target of the embedded registry: any request line is taken apart or refused.

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

use crate::query::{Page, form_values, parameters};
use crate::route::Route;
use axum::http::Uri;

/// Takes the path and the parameters of a request apart.
pub fn route(data: &[u8]) {
    form_values(&String::from_utf8_lossy(data), "scope").count();
    let Ok(uri) = Uri::try_from(data) else { return };
    for key in ["digest", "mount", "from", "n", "last"] {
        parameters(&uri, key).count();
    }
    if let Ok(page) = Page::of(&uri) {
        let (listed, _) = page.cut(vec!["a".to_owned(), "b/c".to_owned()], uri.path());
        assert!(listed.len() <= 2);
    }
    let Ok(route) = Route::parse(uri.path()) else { return };
    if let Route::Tags(name) | Route::Blob(name, _) | Route::Manifest(name, _) | Route::Uploads(name) = &route {
        assert!(name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{name:?}");
    }
    let path = match &route {
        Route::Version => "/v2/".to_owned(),
        Route::Ping => "/v1/_ping".to_owned(),
        Route::Search => "/v1/search".to_owned(),
        Route::Token => "/v2/token".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Tags(name) => format!("/v2/{name}/tags/list"),
        Route::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
        Route::Manifest(name, selector) => format!("/v2/{name}/manifests/{}", selector.as_str()),
        Route::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
        Route::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload(name, id) => format!("/v2/{name}/blobs/uploads/{id}"),
    };
    assert_eq!(Route::parse(&path).ok(), Some(route), "{path}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn inputs_that_were_found_by_fuzzing_stay_mended() {
        super::replay::replay("route", super::route);
    }
}
