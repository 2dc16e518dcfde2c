//! Requests to one registry: scheme, authentication, redirects, retries, limits.

use crate::auth::{self, Challenge, Credentials};
use crate::{Error, Reference};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often a request is tried before a passing fault is an error.
const TRIES: u32 = 4;
/// Longest wait that a registry may ask for with `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// How long a registry may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest error body that is read.
const MAX_ERROR: usize = 64 * 1024;

/// Sends requests.
#[derive(Clone)]
pub struct Transport {
    /// Speaks plain HTTP only: it is there at once.
    plain: reqwest::Client,
    /// Speaks https; made on first use, because reading the machine's certificates takes longer than a build may.
    secure: Arc<OnceLock<reqwest::Client>>,
    user_agent: String,
    credentials: Credentials,
    /// `Authorization` values by registry and scope.
    tokens: Arc<Mutex<HashMap<(String, String), String>>>,
}

/// What a request needs to be allowed to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// The body of a request that may be sent again.
#[derive(Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file and its size.
    File(std::path::PathBuf, u64),
}

/// A request, described so that it can be sent several times.
#[derive(Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path below the registry, or a whole URL.
    pub url: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Body,
}

impl Request {
    /// Returns a request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Request { method, url: url.into(), headers: Vec::new(), body: Body::Empty }
    }
}

impl Transport {
    /// Sets up the HTTP client.
    pub fn new(credentials: Credentials, user_agent: &str) -> Result<Self, Error> {
        // A second installation only says that the first one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = client(user_agent).tls_certs_only(std::iter::empty()).build().map_err(Error::Setup)?;
        let user_agent = user_agent.to_owned();
        Ok(Transport { plain, secure: Arc::default(), user_agent, credentials, tokens: Arc::default() })
    }

    /// Returns what the client calls itself.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Returns the client for addresses with `scheme`.
    pub fn http(&self, scheme: &str) -> Result<&reqwest::Client, Error> {
        if scheme == "http" {
            return Ok(&self.plain);
        }
        if self.secure.get().is_none() {
            let _ = self.secure.set(client(&self.user_agent).build().map_err(Error::Setup)?);
        }
        Ok(self.secure.get().expect("it was set above"))
    }

    /// Sends `request` for `reference`; passing faults are tried again, a 401 is answered once.
    pub async fn send(&self, reference: &Reference, access: Access, request: &Request) -> Result<Response, Error> {
        let mut wait = Duration::from_millis(250);
        let mut attempt = 1;
        loop {
            let sent = self.send_authenticated(reference, access, request).await;
            let asked = match &sent {
                Ok(response)
                    if response.status() == StatusCode::TOO_MANY_REQUESTS || response.status().is_server_error() =>
                {
                    retry_after(response)
                }
                Err(error) if error.is_transient() => None,
                _ => return sent,
            };
            if attempt == TRIES {
                return sent;
            }
            tokio::time::sleep(asked.unwrap_or(wait).min(MAX_WAIT)).await;
            (attempt, wait) = (attempt + 1, wait * 3);
        }
    }

    async fn send_authenticated(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
    ) -> Result<Response, Error> {
        let scope = scope(reference, access);
        let key = (reference.registry().to_owned(), scope.clone());
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let response = self.send_following(reference, request, known.as_deref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenges.filter_map(|value| Challenge::parse(value.to_str().ok()?)).next();
        let denied = || Error::Denied(format!("{}/{}", reference.registry(), reference.repository()));
        let login = self.credentials.find(reference.registry());
        let authorization = match challenge.ok_or_else(denied)? {
            Challenge::Basic => auth::basic(&login.ok_or_else(denied)?),
            Challenge::Bearer { realm, service } => {
                let registry = (reference.registry(), reference.is_loopback());
                auth::token(self.http(scheme_of(&realm))?, registry, (&realm, service.as_deref(), &scope), login)
                    .await?
            }
        };
        let response = self.send_following(reference, request, Some(&authorization)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(denied());
        }
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key, authorization);
        Ok(response)
    }

    /// Sends once and follows redirects of reads; the login stays behind when the host changes.
    async fn send_following(
        &self,
        reference: &Reference,
        request: &Request,
        authorization: Option<&str>,
    ) -> Result<Response, Error> {
        let origin = base_url(reference)?;
        let mut url = origin
            .join(&request.url)
            .map_err(|_| Error::document(reference.registry(), "it sent a malformed address"))?;
        for _ in 0..=MAX_REDIRECTS {
            check_address(reference, &origin, &url)?;
            let mut builder = self.http(url.scheme())?.request(request.method.clone(), url.clone());
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(authorization) = authorization.filter(|_| url.origin() == origin.origin()) {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            let response = with_body(builder, &request.body)
                .await?
                .send()
                .await
                .map_err(|cause| Error::Transport { registry: reference.registry().to_owned(), cause })?;
            let redirected = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
                && matches!(request.method, Method::GET | Method::HEAD);
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match target.filter(|_| redirected).map(|target| url.join(target)) {
                None => return Ok(response),
                Some(Ok(next)) => url = next,
                Some(Err(_)) => {
                    return Err(Error::document(reference.registry(), "it redirects to a malformed address"));
                }
            }
        }
        Err(Error::document(reference.registry(), "it redirects too often"))
    }
}

pub fn client(user_agent: &str) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
}

fn scheme_of(address: &str) -> &str {
    address.split_once(':').map_or("https", |(scheme, _)| scheme)
}

/// Refuses to be sent from a remote registry to this machine or to link-local addresses (REG-20).
fn check_address(reference: &Reference, origin: &url::Url, url: &url::Url) -> Result<(), Error> {
    if url.origin() == origin.origin() {
        return Ok(());
    }
    let local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_link_local() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some()
        }
        Some(url::Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => true,
    };
    let allowed = matches!(url.scheme(), "https") || (url.scheme() == "http" && reference.is_loopback());
    if allowed && (!local || reference.is_loopback()) {
        return Ok(());
    }
    Err(Error::document(reference.registry(), "it redirects to an address that is not allowed"))
}

async fn with_body(builder: RequestBuilder, body: &Body) -> Result<RequestBuilder, Error> {
    Ok(match body {
        Body::Empty => builder,
        Body::Bytes(bytes) => builder.body(bytes.clone()),
        Body::File(path, size) => {
            let file = tokio::fs::File::open(path).await?;
            let stream = tokio_util::io::ReaderStream::with_capacity(file, 256 * 1024);
            builder.header("Content-Length", size.to_string()).body(reqwest::Body::wrap_stream(stream))
        }
    })
}

/// Returns the registry's address: plain HTTP on this machine, as docker does, https elsewhere.
fn base_url(reference: &Reference) -> Result<url::Url, Error> {
    let scheme = if reference.is_loopback() { "http" } else { "https" };
    let host = if reference.registry() == "docker.io" { "registry-1.docker.io" } else { reference.registry() };
    url::Url::parse(&format!("{scheme}://{host}/"))
        .map_err(|_| Error::document(reference.registry(), "its name is no host"))
}

fn scope(reference: &Reference, access: Access) -> String {
    let actions = if access == Access::Push { "pull,push" } else { "pull" };
    format!("repository:{}:{actions}", reference.repository())
}

fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Reads a body of at most `limit` bytes.
pub async fn bounded(mut response: Response, limit: usize, registry: &str) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let chunk =
            response.chunk().await.map_err(|cause| Error::Transport { registry: registry.to_owned(), cause })?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > limit {
            return Err(Error::document(registry, format!("it is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Turns an answer that is no success into an error with the registry's own words.
pub async fn failed(reference: &Reference, response: Response) -> Error {
    let status = response.status().as_u16();
    let registry = reference.registry().to_owned();
    let body = bounded(response, MAX_ERROR, &registry).await.unwrap_or_default();
    let message = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|answer| {
            let error = answer.get("errors")?.get(0)?;
            let code = error.get("code")?.as_str().unwrap_or_default().to_lowercase().replace('_', " ");
            Some(format!("{code}: {}", error.get("message").and_then(|text| text.as_str()).unwrap_or_default()))
        })
        .unwrap_or_default();
    match status {
        401 | 403 => Error::Denied(format!("{registry}/{}", reference.repository())),
        404 => Error::NotFound(reference.to_string()),
        _ => Error::Status { registry, status, message },
    }
}
