//! The HTTP clients: one for each policy and way of speaking, and for registries with settings of their own.

use crate::Error;
use crate::address::{AddressPolicy, Resolver};
use crate::certificate::CertificateError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a registry may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a registry may be silent.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How one registry is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Whether it speaks plain HTTP; if that is not said, those on loopback do, as for docker.
    pub plain_http: Option<bool>,
    /// How its certificate is looked at.
    pub tls: TlsSettings,
}

/// How the certificate of a registry is looked at, and what it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Certificates, in PEM, that vouch for it in place of the machine's; its own may be one of them.
    pub ca: Option<Vec<u8>>,
    /// A certificate and its key, in PEM, that this client shows.
    pub identity: Option<Vec<u8>>,
}

/// Which client is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    policy: AddressPolicy,
    is_secure: bool,
    /// Whether the library limits how long an answer takes; its limit would begin with the request, whose body may be large.
    is_timed: bool,
    /// The registry whose TLS settings count.
    host: Option<String>,
}

/// The clients, each made when it is asked for.
pub(crate) struct Clients {
    user_agent: String,
    hosts: HashMap<String, HostSettings>,
    made: Mutex<HashMap<Kind, reqwest::Client>>,
}

impl Clients {
    /// Checks the settings of registries and sets up what every build needs.
    pub(crate) fn new(user_agent: String, hosts: HashMap<String, HostSettings>) -> Result<Self, Error> {
        let clients = Clients { user_agent, hosts, made: Mutex::default() };
        for (host, settings) in &clients.hosts {
            if settings.tls != TlsSettings::default() {
                let checked = with_tls(client(&clients.user_agent), &settings.tls);
                let failed = |cause| Error::Certificate { registry: host.clone(), cause };
                checked.map(drop).map_err(failed)?;
            }
        }
        clients.untimed("http", AddressPolicy::Any, None)?;
        Ok(clients)
    }

    /// Returns what the clients call themselves.
    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Returns whether a registry speaks plain HTTP, if that is configured.
    pub(crate) fn plain_http(&self, registry: &str) -> Option<bool> {
        self.hosts.get(registry)?.plain_http
    }

    /// Returns the client for addresses with `scheme` on `policy`; `registry` is given where its own TLS settings count.
    pub(crate) fn get(
        &self,
        scheme: &str,
        policy: AddressPolicy,
        registry: Option<&str>,
    ) -> Result<reqwest::Client, Error> {
        self.kept(scheme, policy, registry, true)
    }

    /// Returns the client as [`Clients::get`] does, for requests whose answers are waited for with limits of their own.
    pub(crate) fn untimed(
        &self,
        scheme: &str,
        policy: AddressPolicy,
        registry: Option<&str>,
    ) -> Result<reqwest::Client, Error> {
        self.kept(scheme, policy, registry, false)
    }

    fn kept(
        &self,
        scheme: &str,
        policy: AddressPolicy,
        registry: Option<&str>,
        is_timed: bool,
    ) -> Result<reqwest::Client, Error> {
        let is_secure = scheme != "http";
        let tls = |host: &&str| self.hosts.get(*host).is_some_and(|known| known.tls != TlsSettings::default());
        let host = registry.filter(|_| is_secure).filter(tls).map(str::to_owned);
        let kind = Kind { policy, is_secure, is_timed, host };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&kind) {
            return Ok(client.clone());
        }
        let client = self.make(&kind)?;
        made.insert(kind, client.clone());
        Ok(client)
    }

    fn make(&self, kind: &Kind) -> Result<reqwest::Client, Error> {
        let mut builder = untimed(&self.user_agent).dns_resolver(Arc::new(Resolver(kind.policy)));
        if kind.is_timed {
            builder = builder.read_timeout(READ_TIMEOUT);
        }
        if kind.policy == AddressPolicy::Public {
            // A proxy would look names up itself, and connect to what it finds.
            builder = builder.no_proxy();
        }
        if !kind.is_secure {
            // Reading the machine's certificates takes longer than a build may, and plain HTTP needs none.
            builder = builder.tls_certs_only(std::iter::empty());
        } else if let Some(settings) = kind.host.as_ref().and_then(|host| self.hosts.get(host)) {
            let failed = |cause| Error::Certificate { registry: kind.host.clone().unwrap_or_default(), cause };
            builder = with_tls(builder, &settings.tls).map_err(failed)?;
        }
        builder.build().map_err(Error::Setup)
    }
}

/// Returns what every client has in common that the library limits in time.
pub(crate) fn client(user_agent: &str) -> reqwest::ClientBuilder {
    untimed(user_agent).read_timeout(READ_TIMEOUT)
}

fn untimed(user_agent: &str) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(Resolver(AddressPolicy::Any)))
        .redirect(reqwest::redirect::Policy::none())
}

fn with_tls(builder: reqwest::ClientBuilder, tls: &TlsSettings) -> Result<reqwest::ClientBuilder, CertificateError> {
    if let Some(pem) = &tls.ca
        && !tls.insecure
    {
        return Ok(builder.tls_backend_preconfigured(crate::certificate::config(pem, tls.identity.as_deref())?));
    }
    let identity = tls.identity.as_ref().map(|pem| reqwest::Identity::from_pem(pem)).transpose();
    let builder = match identity.map_err(|_| CertificateError::NotPem)? {
        Some(identity) => builder.identity(identity),
        None => builder,
    };
    Ok(builder.tls_danger_accept_invalid_certs(tls.insecure))
}
