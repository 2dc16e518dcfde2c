//! References, digests, image documents, registry authentication, pull and push.
//!
//! Knows no containers and no builds.
#![forbid(unsafe_code)]

mod address;
mod auth;
mod certificate;
mod digest;
mod document;
mod download;
mod error;
mod http;
mod login;
pub mod media_type;
mod patience;
mod permit;
mod platform;
mod pull;
mod push;
mod reach;
mod reference;
mod refusal;
mod rights;
mod said;
mod token;
mod transport;
mod web;

pub use auth::Credentials;
pub use certificate::CertificateError;

pub use digest::{DiffId, Digest, DigestError};
pub use document::{ContainerConfig, Descriptor, Empty, Healthcheck, History, ImageConfig, Index, Manifest, RootFs};
pub use download::{Download, Downloaded, is_public, without_credentials};
pub use error::{Error, Login, Refusal};
pub use http::{HostSettings, TlsSettings};
pub use patience::Patience;
pub use platform::{Platform, PlatformError};
pub use pull::{Known, Resolved};
pub use push::{BlobSource, PROOF_HEADER};
pub use reach::{Allowed, Reach};
pub use reference::{Reference, ReferenceError};
pub use rights::{Home, ImagePattern, Rights};
pub use transport::STORE_HEADER;
pub use web::{WebAnswer, WebRequest, is_same_server, may_be_told};

use std::sync::Arc;

use std::collections::HashMap;

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever asked: retrying the same does not help.
    User,
    /// A registry, a forge or a mirror: it may help to try again later.
    Upstream,
    /// slipway or its machine.
    Service,
}

/// How a client talks to registries.
#[derive(Clone)]
pub struct Settings {
    /// Who it is.
    pub credentials: Credentials,
    /// What it calls itself.
    pub user_agent: String,
    /// How long it waits for registries.
    pub patience: Patience,
    /// How registries are spoken to that are not spoken to as usual.
    pub hosts: HashMap<String, HostSettings>,
    /// The registry that serves from the store of this process, if there is one.
    pub home: Option<Home>,
}

impl Default for Settings {
    fn default() -> Self {
        let user_agent = concat!("slipway/", env!("CARGO_PKG_VERSION")).to_owned();
        let (credentials, patience, hosts) = (Credentials::None, Patience::default(), HashMap::new());
        Settings { credentials, user_agent, patience, hosts, home: None }
    }
}

/// Pulls from and pushes to registries; cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: transport::Transport,
    /// Connects to where URLs of users lead.
    checked: Arc<reach::Checked>,
}

impl Client {
    /// Returns a client; nothing is asked of any registry yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Client { transport: transport::Transport::new(settings)?, checked: Arc::default() })
    }

    /// Returns a client for a build that may read only what `rights` say.
    #[must_use]
    pub fn with_rights(&self, rights: Rights) -> Self {
        Client { transport: self.transport.with_rights(rights), checked: self.checked.clone() }
    }

    /// Names whose eyes an image is read with: what was read with a login says nothing to those who have none.
    pub fn reader(&self, reference: &Reference) -> &'static str {
        if self.transport.login(reference).is_some() { "login" } else { "anonymous" }
    }

    /// Tells whether the image's registry is known to serve from the store of this process.
    pub fn is_home(&self, reference: &Reference) -> bool {
        self.transport.homes.contains(reference.registry())
    }

    /// Tells whether the image may be read from the registry that serves from the store of this process.
    pub fn may_read_home(&self, reference: &Reference) -> bool {
        self.transport.check_right(reference, transport::Access::Pull).is_ok()
    }

    /// Tells whether it speaks for strangers, who have to show each time that they may read an image.
    fn is_for_strangers(&self) -> bool {
        self.transport.rights().is_some_and(|rights| rights.reach == Reach::PublicOnly)
    }

    /// Returns a client that connects to what the operator allows besides public addresses, where that counts.
    #[must_use]
    pub fn allowing(self, allowed: Allowed) -> Self {
        Client { checked: Arc::new(reach::Checked::new(allowed)), ..self }
    }
}
