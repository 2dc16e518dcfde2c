//! The state and the requests of a client of registries.

use crate::auth::{Challenge, Logins};
use crate::body::Body;
use crate::http::Clients;
use crate::pace::MinimumRate;
use crate::pauses::Pauses;
use crate::prepare::Prepared;
use crate::retry::RetryPolicy;
use crate::rights::{Homes, Rights};
use crate::{Error, Settings};
use reqwest::Method;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Names the store that a registry serves from.
pub const STORE_HEADER: &str = "Slipway-Store";

/// State that all requests of a client share.
#[derive(Clone)]
pub(crate) struct Transport {
    /// The HTTP clients.
    pub http: Arc<Clients>,
    pub retry: Arc<RetryPolicy>,
    pub minimum_rate: MinimumRate,
    pub read_timeout: Duration,
    pub credentials: Arc<Logins>,
    /// Images that a build may read; all, where this is `None`.
    pub rights: Option<Arc<Rights>>,
    /// Registries that serve from this process's store.
    pub homes: Arc<Homes>,
    /// `Authorization` values by registry, scope, and whether a login was used.
    pub tokens: Arc<Mutex<HashMap<TokenKey, Authorization>>>,
    /// The challenges of `/v2/`, by registry.
    pub challenges: Arc<Mutex<HashMap<String, Vec<Challenge>>>>,
    /// Repositories that pushes were prepared for.
    pub prepared: Arc<Prepared>,
    /// Registries that want to be left alone.
    pub pauses: Arc<Pauses>,
}

pub(crate) type TokenKey = (String, String, bool);

/// A header that a registry takes, until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    /// The value.
    pub value: String,
    /// When a token ends.
    pub until: Option<Instant>,
}

/// The access that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
    /// Read, write and remove.
    Delete,
}

/// A request, described so that it can be sent several times.
#[derive(Clone)]
pub(crate) struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path below the registry's address, or a whole address that the registry sent.
    pub url: String,
    /// The operation, as errors name it.
    pub operation: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Body,
    /// Whether the registry may take long to answer: it has, or is being sent, a whole blob.
    pub is_upload: bool,
    /// Another repository of the registry that is read.
    pub mounted_from: Option<String>,
}

impl Request {
    /// Returns a request without headers and body.
    pub(crate) fn new(method: Method, url: impl Into<String>, operation: &'static str) -> Self {
        let (headers, body, mounted_from) = (Vec::new(), Body::Empty, None);
        Request { method, url: url.into(), operation, headers, body, is_upload: false, mounted_from }
    }
}

impl Transport {
    /// Sets up the HTTP clients.
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        // A second installation only says that the first one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Settings { credentials, user_agent, retry, minimum_rate, read_timeout, hosts, home } = settings;
        Ok(Transport {
            http: Arc::new(Clients::new(user_agent, hosts)?),
            retry: Arc::new(retry),
            minimum_rate,
            read_timeout,
            credentials: Arc::new(Logins::new(credentials)),
            rights: None,
            homes: Arc::new(Homes::new(home)),
            tokens: Arc::default(),
            challenges: Arc::default(),
            prepared: Arc::default(),
            pauses: Arc::default(),
        })
    }

    /// Returns one for a build with these rights.
    pub(crate) fn with_rights(&self, rights: Rights) -> Self {
        Transport { rights: Some(Arc::new(rights)), ..self.clone() }
    }
}
