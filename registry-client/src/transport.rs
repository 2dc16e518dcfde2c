//! Requests to one registry: scheme, authentication, redirects, retries, limits.

use crate::address::{Ground, NOT_ALLOWED, refused};
use crate::auth::{self, Challenge, Logins};
use crate::error::{Login, report};
use crate::http::Clients;
use crate::patience::{Pace, Patience, Tries, is_passing, retry_after};
use crate::rights::{Homes, Rights};
use crate::token::{Authorization, TokenRequest, host_of};
use crate::{Error, Reference, Settings};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Largest error body that is read.
pub const MAX_ERROR: usize = 64 * 1024;
/// Names the store that a registry serves from.
pub const STORE_HEADER: &str = "Slipway-Store";

/// Sends requests.
#[derive(Clone)]
pub struct Transport {
    /// The HTTP clients.
    pub http: Arc<Clients>,
    /// How long it waits.
    pub patience: Arc<Patience>,
    pub credentials: Arc<Logins>,
    /// Images that a build may read; all, where this is `None`.
    pub rights: Option<Arc<Rights>>,
    /// Registries that serve from this process's store.
    pub homes: Arc<Homes>,
    /// `Authorization` values by registry, scope, and whether a login was used.
    pub tokens: Arc<Mutex<HashMap<TokenKey, Authorization>>>,
    /// The challenges of `/v2/`, by registry.
    challenges: Arc<Mutex<HashMap<String, Vec<Challenge>>>>,
}

pub type TokenKey = (String, String, bool);

/// What a request needs to be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Path below the registry's address, or a whole address that the registry sent.
    pub url: String,
    /// The operation, as errors name it.
    pub operation: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Body,
    /// Another repository of the registry that is read.
    pub mounted_from: Option<String>,
}

impl Request {
    /// Returns a request without headers and body.
    pub fn new(method: Method, url: impl Into<String>, operation: &'static str) -> Self {
        let (headers, body, mounted_from) = (Vec::new(), Body::Empty, None);
        Request { method, url: url.into(), operation, headers, body, mounted_from }
    }
}

impl Transport {
    /// Sets up the HTTP clients.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        // A second installation only says that the first one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Settings { credentials, user_agent, patience, hosts, home } = settings;
        Ok(Transport {
            http: Arc::new(Clients::new(user_agent, hosts)?),
            patience: Arc::new(patience),
            credentials: Arc::new(Logins::new(credentials)),
            rights: None,
            homes: Arc::new(Homes::new(home)),
            tokens: Arc::default(),
            challenges: Arc::default(),
        })
    }

    /// Returns one for a build with these rights.
    pub fn with_rights(&self, rights: Rights) -> Self {
        Transport { rights: Some(Arc::new(rights)), ..self.clone() }
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

    /// Sends `request` for `reference`; only what asks for a login is answered, once.
    pub async fn send_once(&self, reference: &Reference, access: Access, request: &Request) -> Result<Response, Error> {
        if self.homes.contains(reference.registry()) {
            self.check_right(reference, access)?;
        }
        let scope = scope(reference, access, request.mounted_from.as_deref());
        let key = |login: &Option<_>| (reference.registry().to_owned(), scope.clone(), login.is_some());
        let known = self.known_token(&key(&self.login(reference)));
        let response = self.send_following(reference, (access, request), known.as_deref()).await?;
        let (status, is_anonymous) = (response.status().as_u16(), known.is_none());
        let challenges = match status {
            401 => challenges(&response),
            // Some hide what is private from those who did not log in, and say how only at `/v2/` (SV-04).
            403 | 404 if is_anonymous && !self.homes.contains(reference.registry()) => {
                self.asked_at_root(reference, access).await
            }
            _ => return Ok(response),
        };
        if challenges.is_empty() {
            return Ok(response);
        }
        // The answer may have told whose registry it is, and that the login may be used.
        let login = self.login(reference);
        match self.answer(reference, (access, request), (&key(&login), challenges), login.as_ref()).await {
            // Who cannot log in is told what was said to everybody.
            Ok(None) => Ok(response),
            Err(Error::Denied(_)) if status != 401 && login.is_none() => Ok(response),
            Ok(Some(answered)) => Ok(answered),
            Err(error) => Err(error),
        }
    }

    fn known_token(&self, key: &TokenKey) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let living = tokens.get(key).filter(|token| token.until.is_none_or(|until| until > Instant::now()));
        living.map(|token| token.value.clone())
    }

    /// Sends the request with what each challenge asks for until one is content; `None` if none can be met.
    async fn answer(
        &self,
        reference: &Reference,
        (access, request): (Access, &Request),
        (key, mut challenges): (&TokenKey, Vec<Challenge>),
        login: Option<&(String, String)>,
    ) -> Result<Option<Response>, Error> {
        challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
        challenges.dedup();
        let mut last = None;
        for challenge in challenges {
            let authorization = match (&challenge, login) {
                (Challenge::Basic, None) => continue,
                (Challenge::Basic, Some(login)) => Ok(Authorization { value: auth::basic(login), until: None }),
                (Challenge::Bearer { realm, service }, login) => {
                    let (scope, plain_http) = (key.1.as_str(), self.is_plain(reference));
                    let asked = TokenRequest { reference, realm, service: service.as_deref(), scope, plain_http };
                    self.token(&asked, login).await
                }
            };
            let authorization = match authorization {
                Ok(authorization) => authorization,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let response = self.send_following(reference, (access, request), Some(&authorization.value)).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), authorization);
                return Ok(Some(response));
            }
            let state = if login.is_some() { Login::Sent } else { self.withheld(reference) };
            last = Some(self.refusal(reference, request.operation, (response, state)).await);
        }
        last.map_or(Ok(None), Err)
    }

    /// Returns what `/v2/` of the registry asks for; nothing, if it does not say.
    async fn asked_at_root(&self, reference: &Reference, access: Access) -> Vec<Challenge> {
        let registry = reference.registry();
        let known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(registry).cloned();
        if let Some(known) = known {
            return known;
        }
        let request = Request::new(Method::GET, "v2/", "asking for the version");
        let Ok(response) = self.send_following(reference, (access, &request), None).await else { return Vec::new() };
        let found = if response.status() == StatusCode::UNAUTHORIZED { challenges(&response) } else { Vec::new() };
        if found.is_empty() && !response.status().is_success() {
            return found;
        }
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), found.clone());
        found
    }

    /// Sends once and follows redirects; the login stays behind when the host changes.
    ///
    /// Writes are sent on as they are where the status says so, as docker does; where it does not, what becomes of method
    /// and body is anybody's guess.
    async fn send_following(
        &self,
        reference: &Reference,
        (access, request): (Access, &Request),
        authorization: Option<&str>,
    ) -> Result<Response, Error> {
        let registry = reference.registry();
        let origin = self.base_url(reference)?;
        let malformed = |what| Error::document(registry, format!("it {what} a malformed address"));
        let mut url = origin.join(&request.url).map_err(|_| malformed("sent"))?;
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        for _ in 0..=MAX_REDIRECTS {
            if url.scheme() != "https" && !(url.scheme() == "http" && origin.scheme() == "http") {
                return Err(Error::document(registry, "it redirects to an address that is not allowed: without https"));
            }
            let ground = self.ground_of(reference, &url)?;
            ground.check(registry, &url)?;
            let host = if url.origin() == origin.origin() { registry.to_owned() } else { host_of(&url) };
            let mut builder =
                self.http.get(url.scheme(), ground, Some(&host))?.request(request.method.clone(), url.clone());
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(authorization) = authorization.filter(|_| url.origin() == origin.origin()) {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            let sent = with_body(builder, &request.body).await?.send().await;
            let response = sent.map_err(|cause| unreachable(registry, ground, cause))?;
            self.check_home(reference, access, (&origin, &response))?;
            let redirects = match response.status().as_u16() {
                301..=303 => is_read,
                307 | 308 => true,
                _ => false,
            };
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match target.filter(|_| redirects).map(|target| url.join(target)) {
                None => return Ok(response),
                Some(Ok(next)) => url = next,
                Some(Err(_)) => return Err(malformed("redirects to")),
            }
        }
        Err(Error::document(registry, "it redirects too often"))
    }
}

fn challenges(response: &Response) -> Vec<Challenge> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
    headers.filter_map(|value| value.to_str().ok()).flat_map(Challenge::parse_all).collect()
}

/// Returns the error of a request that got no answer, and says so where both speak differently (US-26).
///
/// Addresses stay out of it: they may hold a login or a signature (SEC-m8).
pub fn unreachable(registry: &str, ground: Ground, cause: reqwest::Error) -> Error {
    let told = report(&cause);
    if told.contains(NOT_ALLOWED) {
        return refused(registry, ground);
    }
    let is_plain = cause.url().is_some_and(|url| url.scheme() == "http");
    let speech = |problem: String| Error::Speech { registry: registry.to_owned(), problem };
    let setting = format!("`registries.\"{registry}\"");
    if told.contains("InvalidContentType") || told.contains("record overflow") {
        return speech(format!(
            "was spoken to with TLS and does not answer with it: {setting}.plain_http = true` if it speaks plain HTTP"
        ));
    }
    if is_plain && told.contains("invalid HTTP version") {
        return speech(not_plain(registry));
    }
    if told.contains("invalid peer certificate") {
        let why = told.rsplit("invalid peer certificate: ").next().unwrap_or_default();
        return speech(format!(
            "shows a certificate that is not trusted ({why}): {setting}.ca_file` names the one that vouches for it"
        ));
    }
    Error::Transport { registry: registry.to_owned(), cause: cause.without_url() }
}

/// Says that a registry does not speak plain HTTP.
pub fn not_plain(registry: &str) -> String {
    format!("was spoken to in plain HTTP and speaks TLS: `registries.\"{registry}\".plain_http = false`")
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
        let chunk = response.chunk().await.map_err(|cause| unreachable(registry, Ground::Any, cause))?;
        let Some(chunk) = chunk else { return Ok(body) };
        pace.passed(chunk.len())?;
        if body.len() + chunk.len() > limit {
            return Err(Error::document(registry, format!("it is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
}
