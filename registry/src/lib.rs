//! The embedded OCI registry: the distribution API over the image store.
//!
//! One store keeps the bytes of all repositories; each serves, mounts, lists and deletes only what it was given.
#![forbid(unsafe_code)]

mod access;
mod blobs;
mod error;
mod manifests;
mod names;
mod sent;
mod uploads;

pub use access::Access;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use error::Failure;
use image_store::Store;
use names::Route;
use registry_client::STORE_HEADER;
use std::sync::Arc;
use uploads::Uploads;

/// How the registry is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may use it.
    pub access: Access,
}

/// What every request has at hand.
#[derive(Clone)]
pub(crate) struct Registry {
    store: Store,
    access: Arc<Access>,
    uploads: Uploads,
    /// The store's identity, for clients that share it.
    id: HeaderValue,
}

/// Returns the registry's routes, all below `/v2/`.
pub fn router(store: Store, settings: Settings) -> Router {
    let id = HeaderValue::from_str(&store.id()).unwrap_or(HeaderValue::from_static("unknown"));
    let registry = Registry { uploads: Uploads::default(), access: Arc::new(settings.access), store, id };
    Router::new().fallback(serve).with_state(registry)
}

/// Serves one request: repository names contain slashes, so the path is taken apart by hand.
async fn serve(State(registry): State<Registry>, request: Request<Body>) -> Response {
    let mut response = match registry.access.check(request.headers()) {
        Ok(()) => dispatch(&registry, request).await.unwrap_or_else(IntoResponse::into_response),
        Err(failure) => failure.into_response(),
    };
    response.headers_mut().insert("Docker-Distribution-Api-Version", HeaderValue::from_static("registry/2.0"));
    response.headers_mut().insert(STORE_HEADER, registry.id);
    response.headers_mut().insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    response
}

async fn dispatch(registry: &Registry, request: Request<Body>) -> Result<Response, Failure> {
    let route = Route::parse(request.uri().path())?;
    let method = request.method().clone();
    match (route, method) {
        (Route::Version, Method::GET | Method::HEAD) => Ok(axum::Json(serde_json::json!({})).into_response()),
        (Route::Catalog, Method::GET) => names::catalog(registry, request.uri()).await,
        (Route::Tags(name), Method::GET) => names::tags(registry, &name, request.uri()).await,
        (Route::Blob(name, digest), Method::GET | Method::HEAD) => {
            blobs::get(registry, (&name, &digest), (request.method(), request.headers())).await
        }
        (Route::Blob(name, digest), Method::DELETE) => blobs::delete(registry, &name, &digest).await,
        (Route::Manifest(name, reference), Method::GET | Method::HEAD) => {
            manifests::get(registry, (&name, &reference), request.method()).await
        }
        (Route::Manifest(name, reference), Method::PUT) => manifests::put(registry, (&name, &reference), request).await,
        (Route::Manifest(name, reference), Method::DELETE) => manifests::delete(registry, (&name, &reference)).await,
        (Route::Referrers(name, digest), Method::GET) => manifests::referrers(registry, &name, &digest).await,
        (Route::Uploads(name), Method::POST) => uploads::begin(registry, &name, request).await,
        (Route::Upload(name, id), Method::PATCH) => uploads::append(registry, (&name, &id), request).await,
        (Route::Upload(name, id), Method::PUT) => uploads::finish(registry, (&name, &id), request).await,
        (Route::Upload(name, id), Method::GET) => uploads::status(registry, (&name, &id)).await,
        (Route::Upload(name, id), Method::DELETE) => uploads::abandon(registry, (&name, &id)),
        _ => Err(Failure::unsupported()),
    }
}
