//! Reading through mirrors: names of other registries, of which a copy is kept. Nothing is pushed there, and nothing that the
//! mirror's login alone may read is shown to those who have no right of their own to it.

use crate::error::Failure;
use crate::query::{parameter, with_link};
use crate::rights::{Action, Caller};
use crate::route::{Route, Selector};
use crate::server::Registry;
use crate::{blobs, manifests};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use image_store::{Coming, Mirror, MirrorBlob, MirrorName};
use registry_client::{Digest, Error, Listed, Mirrored, Reader, media_type, report};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

/// Marks an answer that is what a tag meant earlier.
const STALE: HeaderName = HeaderName::from_static("slipway-stale");

/// A request for what a mirror has.
pub(crate) struct Through {
    mirror: Mirror,
    /// The repository of the other registry.
    repository: String,
    /// The name that rights are given for: the other registry's host and the repository.
    canonical: String,
    /// The repository as the request has it.
    asked: String,
    /// The query of the request.
    query: String,
}

impl Through {
    /// Returns the mirror that a request is for: `?ns=` names the other registry, as containerd does, or the name begins
    /// with it. A name that says none is of the default mirror if there is no such repository here.
    pub(crate) fn of(registry: &Registry, route: &Route, method: &Method, uri: &Uri) -> Option<Through> {
        let mirrors = &registry.settings.mirrors;
        let asked = route.repository().filter(|_| !mirrors.is_empty())?;
        let through = |mirror: &Mirror, repository: &str| Through {
            mirror: mirror.clone(),
            repository: repository.to_owned(),
            canonical: format!("{}/{repository}", mirror.settings.host),
            asked: asked.to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        };
        if let Some(mirror) = parameter(uri, "ns").and_then(|host| mirrors.of(&host).cloned()) {
            return Some(through(&mirror, asked));
        }
        if let Some((host, repository)) = asked.split_once('/')
            && let Some(mirror) = mirrors.of(host)
        {
            return Some(through(mirror, repository));
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let is_content = !matches!(route, Route::Uploads(_) | Route::Upload(..));
        let mirror = mirrors.default_mirror().filter(|_| is_read && is_content)?;
        let is_own = registry.store.is_repository(asked).unwrap_or(true);
        (!is_own).then(|| through(mirror, asked))
    }

    /// Refuses a request that whoever sent it may not make.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Failure> {
        if caller.may_as(Action::Pull, &self.canonical, &self.asked) {
            return Ok(());
        }
        let scope = format!("repository:{}:pull", self.canonical);
        if caller.scope.is_some() && caller.is_granted(Action::Pull, &self.canonical) {
            return Err(Failure::insufficient_scope(scope));
        }
        match caller.name.as_str() {
            "" => Err(Failure::unauthorized_for(scope)),
            name => Err(Failure::denied(name, Action::Pull, &self.canonical)),
        }
    }

    /// Answers a request.
    pub(crate) async fn serve(
        self,
        caller: &Caller,
        route: Route,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let host = &self.mirror.settings.host;
        if !matches!(*method, Method::GET | Method::HEAD) {
            let message = format!("this is a mirror of {host}: nothing is pushed to it or deleted");
            return Err(Failure::new(StatusCode::FORBIDDEN, "DENIED", message));
        }
        let reader = if caller.is_named_for(&self.canonical) { Reader::Trusted } else { Reader::Anonymous };
        match route {
            Route::Manifest(_, selector) => self.manifest(selector, reader, method, headers).await,
            Route::Blob(_, digest) if *method == Method::HEAD => self.blob_head(&digest, reader).await,
            Route::Blob(_, digest) => self.blob(&digest, reader, headers).await,
            Route::Tags(_) => self.tags(reader).await,
            Route::Referrers(_, subject) => self.referrers(&subject, reader).await,
            _ => {
                let message = format!("a mirror has what can be pulled alone: ask {host} for the rest");
                Err(Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message))
            }
        }
    }

    async fn manifest(
        &self,
        selector: Selector,
        reader: Reader,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let named = match &selector {
            Selector::Tag(tag) => MirrorName::Tag(tag.clone()),
            Selector::Digest(digest) => MirrorName::Digest(digest.clone()),
        };
        let unknown = || Failure::manifest_unknown(selector.as_str());
        let found = self.mirror.manifest(&self.repository, &named, reader).await;
        let found = found.map_err(|error| self.failure(error, unknown))?.ok_or_else(unknown)?;
        let algorithm = match &selector {
            Selector::Digest(digest) => digest.algorithm(),
            Selector::Tag(_) => Default::default(),
        };
        let Mirrored { media_type, bytes, stale } = found;
        let digest = Digest::with(algorithm, &bytes);
        let found = manifests::Found { digest, media_type, bytes };
        let mut answer = manifests::answer(found, method, headers);
        if stale.is_some() {
            let warning = HeaderValue::from_static("110 slipway \"Response is Stale\"");
            answer.headers_mut().insert(header::WARNING, warning);
            answer.headers_mut().insert(STALE, HeaderValue::from_static("true"));
        }
        Ok(answer)
    }

    async fn blob(&self, digest: &Digest, reader: Reader, headers: &HeaderMap) -> Result<Response, Failure> {
        let unknown = || Failure::blob_unknown(digest.as_str());
        // A part is cut out of what is whole.
        let is_part = headers.contains_key(header::RANGE) || blobs::is_known(headers, digest);
        let found = match is_part {
            true => self.mirror.blob(&self.repository, digest, reader).await.map(|file| file.map(MirrorBlob::Here)),
            false => self.mirror.blob_as_it_comes(&self.repository, digest, reader).await,
        };
        let file = match found.map_err(|error| self.failure(error, unknown))?.ok_or_else(unknown)? {
            MirrorBlob::Here(file) => file,
            MirrorBlob::Coming { coming, size } => {
                let etag = [(header::ETAG, format!("\"{digest}\""))];
                return Ok((blob_headers(digest, size), etag, Body::from_stream(streamed(coming))).into_response());
            }
        };
        let size = file.metadata()?.len();
        let store = self.mirror.store().clone();
        let blob = blobs::Opened { store, digest: digest.clone(), size, file: tokio::fs::File::from_std(file) };
        blobs::answer(blob, headers).await
    }

    async fn blob_head(&self, digest: &Digest, reader: Reader) -> Result<Response, Failure> {
        let unknown = || Failure::blob_unknown(digest.as_str());
        let found = self.mirror.blob_size(&self.repository, digest, reader).await;
        let size = found.map_err(|error| self.failure(error, unknown))?.ok_or_else(unknown)?;
        Ok((blob_headers(digest, size), Body::empty()).into_response())
    }

    /// Passes on a page of the tags, under the name that was asked for.
    async fn tags(&self, reader: Reader) -> Result<Response, Failure> {
        let unknown = || Failure::name_unknown(&self.asked);
        let (page, mut list) = self.list("tags/list", reader, unknown).await?;
        let tags = list["tags"].take();
        let list = json!({"name": self.asked, "tags": if tags.is_array() { tags } else { json!([]) }});
        Ok(self.with_next(axum::Json(list).into_response(), &page, "tags/list"))
    }

    /// Passes on a page of the referrers. Of a registry that has no such lists, clients ask for a tag instead.
    async fn referrers(&self, subject: &Digest, reader: Reader) -> Result<Response, Failure> {
        let path = format!("referrers/{subject}");
        let (page, list) = self.list(&path, reader, || Failure::manifest_unknown(subject.as_str())).await?;
        let answer = ([(header::CONTENT_TYPE, media_type::OCI_INDEX)], list.to_string()).into_response();
        let mut answer = self.with_next(answer, &page, &path);
        if let Some(filters) = page.filters.as_deref().and_then(|filters| HeaderValue::from_str(filters).ok()) {
            answer.headers_mut().insert("OCI-Filters-Applied", filters);
        }
        Ok(answer)
    }

    /// Asks for a page of a list with the query of the request.
    async fn list(
        &self,
        path: &str,
        reader: Reader,
        unknown: impl Fn() -> Failure,
    ) -> Result<(Listed, Value), Failure> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("ns="));
        let query = pairs.collect::<Vec<_>>().join("&");
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let listed = self.mirror.list(&self.repository, &path, reader).await;
        let page = listed.map_err(|error| self.failure(error, &unknown))?.ok_or_else(&unknown)?;
        let list = serde_json::from_slice::<Value>(&page.bytes).ok().filter(Value::is_object);
        let list = list.ok_or_else(|| {
            let message = format!("{}, of which this is a mirror, sent no list", self.mirror.settings.host);
            Failure::new(StatusCode::BAD_GATEWAY, "UNKNOWN", message)
        })?;
        Ok((page, list))
    }

    /// Adds the address of the next page here.
    fn with_next(&self, response: Response, page: &Listed, path: &str) -> Response {
        let ns = self.query.split('&').find(|pair| pair.starts_with("ns=")).map(|pair| format!("&{pair}"));
        let next = page
            .next
            .as_deref()
            .map(|query| format!("</v2/{}/{path}?{query}{}>; rel=\"next\"", self.asked, ns.unwrap_or_default()));
        with_link(response, next)
    }

    /// Tells a client what the other registry answered; what it refuses is not there.
    fn failure(&self, error: Error, unknown: impl Fn() -> Failure) -> Failure {
        let (host, told) = (&self.mirror.settings.host, report(&error));
        match error {
            Error::NotFound(_) | Error::Denied(_) => unknown(),
            Error::Local(_) => {
                tracing::error!(mirror = host, error = told, "a mirror cannot be used");
                Failure::unavailable()
            }
            _ => {
                tracing::warn!(mirror = host, error = told, "a mirror's registry cannot be asked");
                let message = format!("{host}, of which this is a mirror, cannot be asked: {told}");
                Failure::new(StatusCode::BAD_GATEWAY, "UNKNOWN", message)
            }
        }
    }
}

fn blob_headers(digest: &Digest, size: u64) -> [(HeaderName, String); 4] {
    [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ]
}

/// Returns the bytes of a blob as they come; they end with an error if the blob does not come whole.
fn streamed(coming: Arc<Coming>) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::try_unfold((coming, 0), |state| async move {
        let (coming, at) = state;
        let bytes = coming.read(at, blobs::CHUNK).await?;
        let next = (coming, at + bytes.len() as u64);
        Ok((!bytes.is_empty()).then(|| (Bytes::from(bytes), next)))
    })
}

impl Registry {
    /// Tells whether an account may pull what names without a registry mean in the default mirror, or with `?ns=` in another.
    pub(crate) fn is_mirrored_for(&self, caller: &Caller, name: &str) -> bool {
        let may = |host: &str| caller.is_granted(Action::Pull, &format!("{host}/{name}"));
        self.settings.mirrors.hosts().any(may)
    }
}
