//! Requests to one registry: scheme, authentication, redirects, retries, limits.

use crate::auth::{self, Challenge, Credentials};
use crate::patience::{Pace, Patience, Tries, is_passing, retry_after};
use crate::{Error, Reference, Settings};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

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
    /// How long it waits.
    pub patience: Arc<Patience>,
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
    /// Another repository of the registry that is read.
    pub mounted_from: Option<String>,
}

impl Request {
    /// Returns a request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Request { method, url: url.into(), headers: Vec::new(), body: Body::Empty, mounted_from: None }
    }
}

impl Transport {
    /// Sets up the HTTP client.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        // A second installation only says that the first one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Settings { credentials, user_agent, patience } = settings;
        let plain = client(&user_agent).tls_certs_only(std::iter::empty()).build().map_err(Error::Setup)?;
        let (secure, tokens, patience) = (Arc::default(), Arc::default(), Arc::new(patience));
        Ok(Transport { plain, secure, user_agent, patience, credentials, tokens })
    }

    /// Returns one without credentials and without tokens that were got for them.
    pub fn anonymous(&self) -> Self {
        Transport { credentials: Credentials::None, tokens: Arc::default(), ..self.clone() }
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
        let mut tries = Tries::new(&self.patience);
        loop {
            let sent = self.send_once(reference, access, request).await;
            let asked = match &sent {
                Ok(response) if is_passing(response.status()) => retry_after(response),
                Err(error) if error.is_transient() => None,
                _ => return sent,
            };
            if !tries.next(reference.registry(), asked).await {
                return sent;
            }
        }
    }

    /// Sends `request` for `reference`; only a 401 is answered, once.
    pub async fn send_once(&self, reference: &Reference, access: Access, request: &Request) -> Result<Response, Error> {
        let scope = scope(reference, access, request.mounted_from.as_deref());
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
                auth::token(
                    (self.http(scheme_of(&realm))?, &self.patience),
                    registry,
                    (&realm, service.as_deref(), &scope),
                    login,
                )
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
            crate::address::check(reference, &origin, &url)?;
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
        .dns_resolver(Arc::new(crate::address::Resolver))
        .redirect(reqwest::redirect::Policy::none())
}

fn scheme_of(address: &str) -> &str {
    address.split_once(':').map_or("https", |(scheme, _)| scheme)
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

fn scope(reference: &Reference, access: Access, mounted_from: Option<&str>) -> String {
    let actions = if access == Access::Push { "pull,push" } else { "pull" };
    let own = format!("repository:{}:{actions}", reference.repository());
    mounted_from.map_or(own.clone(), |other| format!("{own} repository:{other}:pull"))
}

/// Reads a body of at most `limit` bytes.
pub async fn bounded(
    mut response: Response,
    limit: usize,
    (registry, patience): (&str, &Patience),
) -> Result<Vec<u8>, Error> {
    let mut pace = Pace::new(patience, registry);
    let mut body = Vec::new();
    loop {
        let chunk =
            response.chunk().await.map_err(|cause| Error::Transport { registry: registry.to_owned(), cause })?;
        let Some(chunk) = chunk else { return Ok(body) };
        pace.passed(chunk.len())?;
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
    let body = bounded(response, MAX_ERROR, (&registry, &Patience::default())).await.unwrap_or_default();
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
