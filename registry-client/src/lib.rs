//! References, digests, image documents, registry authentication, pull and push.
//!
//! Knows no containers and no builds.
#![forbid(unsafe_code)]

mod address;
mod auth;
mod digest;
mod document;
mod download;
mod error;
pub mod media_type;
mod patience;
mod platform;
mod pull;
mod push;
mod reach;
mod reference;
mod transport;
mod web;

pub use auth::Credentials;

pub use digest::{DiffId, Digest, DigestError};
pub use document::{ContainerConfig, Descriptor, Empty, Healthcheck, History, ImageConfig, Index, Manifest, RootFs};
pub use download::{Download, Downloaded, is_public, without_credentials};
pub use error::Error;
pub use patience::Patience;
pub use platform::{Platform, PlatformError};
pub use pull::{Known, Resolved};
pub use push::BlobSource;
pub use reach::{Allowed, Reach};
pub use reference::{Reference, ReferenceError};
pub use web::{WebAnswer, WebRequest, is_same_server, may_be_told};

use std::sync::Arc;

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
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who it is.
    pub credentials: Credentials,
    /// What it calls itself.
    pub user_agent: String,
    /// How long it waits for registries.
    pub patience: Patience,
}

impl Default for Settings {
    fn default() -> Self {
        let user_agent = concat!("slipway/", env!("CARGO_PKG_VERSION")).to_owned();
        Settings { credentials: Credentials::None, user_agent, patience: Patience::default() }
    }
}

/// Pulls from and pushes to registries; cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: transport::Transport,
    /// Connects to where URLs of users lead.
    checked: Arc<reach::Checked>,
    /// Whether it speaks for somebody who has to show that he may read what others have read before.
    is_anonymous: bool,
}

impl Client {
    /// Returns a client; nothing is asked of any registry yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Client { transport: transport::Transport::new(settings)?, checked: Arc::default(), is_anonymous: false })
    }

    /// Returns a client that logs in nowhere, and asks registries for images that are known because this one was let in.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Client { transport: self.transport.anonymous(), checked: self.checked.clone(), is_anonymous: true }
    }

    /// Returns a client that connects to what the operator allows besides public addresses, where that counts.
    #[must_use]
    pub fn allowing(self, allowed: Allowed) -> Self {
        Client { checked: Arc::new(reach::Checked::new(allowed)), ..self }
    }
}
