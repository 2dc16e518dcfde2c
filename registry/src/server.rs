//! The server: takes a request to the operation that its path and method name.

use crate::error::Failure;
use crate::events::{EventKind, Source, Target};
use crate::rights::{Action, Caller};
use crate::route::Route;
use crate::session::Uploads;
use crate::through::Through;
use crate::{Settings, blobs, lists, manifests, put, referrers, search, token, uploads};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use database::NewChange;
use image_store::Store;
use registry_client::STORE_HEADER;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// State shared by all requests, and the sender of one of them.
#[derive(Clone)]
pub(crate) struct Registry {
    /// The blobs, tags and notes of all repositories.
    pub store: Store,
    /// How the registry is served.
    pub settings: Arc<Settings>,
    /// The uploads in progress.
    pub uploads: Uploads,
    /// Held while what immutable tags lead to, or quotas leave, is looked at and changed.
    pub changing: Arc<Mutex<()>>,
    /// The sender of the request.
    caller: Arc<Caller>,
    /// The request, as events tell of it.
    pub source: Arc<Source>,
    /// The store's identity, for clients that share it.
    id: HeaderValue,
}

impl Registry {
    /// Tells whether the caller may read a repository.
    pub(crate) fn is_readable(&self, repository: &str) -> bool {
        self.caller.may(Action::Pull, repository)
    }

    /// Tells whether lists for the caller have a repository.
    pub(crate) fn is_listed(&self, repository: &str) -> bool {
        self.caller.finds(repository)
    }

    /// Tells whether the caller could read a repository with a token for it.
    pub(crate) fn lacks_scope(&self, repository: &str) -> bool {
        !self.is_readable(repository) && self.caller.is_granted(Action::Pull, repository)
    }

    /// Returns the account, or without a login the address, whose uploads are counted; `None` if all may be done.
    pub(crate) fn holder(&self) -> Option<String> {
        let Caller { name, address, is_all, .. } = self.caller.as_ref();
        let shown = if name.is_empty() { address.clone() } else { format!("`{name}`") };
        (!is_all).then_some(shown)
    }

    /// Returns a change by the sender of the request.
    pub(crate) fn change(&self) -> NewChange {
        let Caller { name, address, .. } = self.caller.as_ref();
        NewChange { account: name.clone(), address: address.clone(), ..NewChange::default() }
    }

    /// Records what was changed, and tells endpoints of it.
    pub(crate) async fn record(&self, kind: EventKind, reference: &str, target: &Target) {
        let change = NewChange {
            action: kind.as_str(),
            repository: target.repository.clone(),
            reference: reference.to_owned(),
            digest: target.digest.clone().unwrap_or_default(),
            ..self.change()
        };
        let notifications = self.settings.notifications(kind, target, &self.source, &change);
        self.settings.record(change, notifications).await;
    }
}

/// Returns the registry's routes: all below `/v2/`, and the search that docker knows.
pub fn router(store: Store, settings: Settings) -> Router {
    let id = HeaderValue::from_str(&store.id()).unwrap_or(HeaderValue::from_static("unknown"));
    let (uploads, caller) = (Uploads::default(), Arc::default());
    let (settings, changing, source) = (Arc::new(settings), Arc::default(), Arc::default());
    let registry = Registry { uploads, settings, store, changing, caller, source, id };
    Router::new().fallback(serve).with_state(registry)
}

async fn serve(State(registry): State<Registry>, request: Request<Body>) -> Response {
    let (url, id) = (url(&registry.settings, request.headers()), registry.id.clone());
    let mut response = admit(registry, request, &url).await.unwrap_or_else(|failure| failure.answer(&url));
    response.headers_mut().insert("Docker-Distribution-Api-Version", HeaderValue::from_static("registry/2.0"));
    response.headers_mut().insert(STORE_HEADER, id);
    response.headers_mut().insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    response
}

/// Returns the registry's URL: as the settings have it, or as whoever asks calls it.
fn url(settings: &Settings, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or("localhost");
    let is_secure = text("x-forwarded-proto") == Some("https");
    let scheme = if is_secure { "https" } else { "http" };
    settings.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
}

/// Finds out who asks and whether they may.
async fn admit(mut registry: Registry, request: Request<Body>, url: &str) -> Result<Response, Failure> {
    let route = Route::parse(request.uri().path())?;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = peer.map(|peer| registry.settings.client_address.of(peer.0.ip(), request.headers()));
    let address = address.unwrap_or_default();
    if route == Route::Token {
        return token::issue(&registry, &address, request).await;
    }
    let settings = registry.settings.clone();
    let caller = settings.access.caller(request.headers(), &address, &registry.store).await?;
    registry.source = Arc::new(Source::of(request.method().as_str(), request.headers(), url));
    if let Some(through) = Through::of(&registry, &route, request.method(), request.uri()) {
        through.check(&caller)?;
        return through.serve(&caller, route, request.method(), request.headers()).await;
    }
    settings.access.check(&caller, &route, request.method())?;
    registry.caller = Arc::new(caller);
    dispatch(&registry, route, request).await
}

async fn dispatch(registry: &Registry, route: Route, request: Request<Body>) -> Result<Response, Failure> {
    let method = request.method().clone();
    match (route, method) {
        (Route::Version, Method::GET | Method::HEAD) => Ok(axum::Json(serde_json::json!({})).into_response()),
        (Route::Ping, Method::GET) => Ok(axum::Json(true).into_response()),
        (Route::Search, Method::GET) => search::search(registry, request.uri()).await,
        (Route::Catalog, Method::GET) => lists::catalog(registry, request.uri()).await,
        (Route::Tags(name), Method::GET) => lists::tags(registry, &name, request.uri()).await,
        (Route::Blob(name, digest), Method::GET | Method::HEAD) => {
            blobs::get(registry, &name, &digest, request.method(), request.headers()).await
        }
        (Route::Blob(name, digest), Method::DELETE) => blobs::delete(registry, &name, &digest).await,
        (Route::Manifest(name, selector), Method::GET | Method::HEAD) => {
            manifests::get(registry, &name, &selector, request.method(), request.headers()).await
        }
        (Route::Manifest(name, selector), Method::PUT) => put::put(registry, &name, selector, request).await,
        (Route::Manifest(name, selector), Method::DELETE) => manifests::delete(registry, &name, selector).await,
        (Route::Referrers(name, digest), Method::GET) => referrers::list(registry, &name, &digest, request.uri()).await,
        (Route::Uploads(name), Method::POST) => uploads::begin(registry, &name, request).await,
        (Route::Upload(name, id), Method::PATCH) => uploads::append(registry, &name, &id, request).await,
        (Route::Upload(name, id), Method::PUT) => uploads::finish(registry, &name, &id, request).await,
        (Route::Upload(name, id), Method::GET | Method::HEAD) => uploads::status(registry, &name, &id),
        (Route::Upload(name, id), Method::DELETE) => uploads::cancel(registry, &name, &id),
        _ => Err(Failure::unsupported()),
    }
}

/// Runs what blocks on the disk away from the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, image_store::Error> + Send + 'static,
) -> Result<T, Failure> {
    blocking_check(move || work().map_err(Failure::from)).await
}

/// Does the same for work that may find a request to be at fault.
pub(crate) async fn blocking_check<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Failure::unavailable()))
}
