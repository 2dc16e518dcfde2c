//! A client of registries, cheap to clone.

use crate::mirror::PullThrough;
use crate::reach::{Allowed, Checked, Reach};
use crate::rights::Rights;
use crate::transport::{Access, Transport};
use crate::{Error, Reference, Settings};
use std::sync::Arc;

/// Pulls from and pushes to registries; cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    /// Connects to where URLs of users lead.
    pub(crate) checked: Arc<Checked>,
    /// The mirrors between it and registries.
    pub(crate) mirrors: Option<Arc<dyn PullThrough>>,
}

impl Client {
    /// Returns a client; nothing is asked of any registry yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Client { transport: Transport::new(settings)?, checked: Arc::default(), mirrors: None })
    }

    /// Returns a client for a build that may read only what `rights` say.
    #[must_use]
    pub fn with_rights(&self, rights: Rights) -> Self {
        Client { transport: self.transport.with_rights(rights), ..self.clone() }
    }

    /// Returns the identity with which an image is read: what was read with a login must not serve readers without one.
    pub fn reader(&self, reference: &Reference) -> &'static str {
        if self.transport.login(reference).is_some() { "login" } else { "anonymous" }
    }

    /// Returns whether the image's registry is known to serve from the store of this process.
    pub fn is_home(&self, reference: &Reference) -> bool {
        self.transport.homes.contains(reference.registry())
    }

    /// Returns whether the image may be read from the registry that serves from the store of this process.
    pub fn may_read_home(&self, reference: &Reference) -> bool {
        self.transport.check_right(reference, Access::Pull).is_ok()
    }

    /// Returns whether it reads for an untrusted build, which has to show each time that it may read an image.
    pub(crate) fn is_untrusted(&self) -> bool {
        self.transport.rights().is_some_and(|rights| rights.reach == Reach::PublicOnly)
    }

    /// Returns a client that connects to what the operator allows besides public addresses, where that counts.
    #[must_use]
    pub fn allowing(self, allowed: Allowed) -> Self {
        Client { checked: Arc::new(Checked::new(allowed)), ..self }
    }
}
