//! Permissions of requests: the addresses that they may connect to, and the login that they may carry.

use crate::address::{AddressPolicy, elsewhere, refused};
use crate::error::Login;
use crate::rights::Rights;
use crate::shown_url::host_of;
use crate::transport::{Access, STORE_HEADER, Transport};
use crate::{Error, Reach, Reference};
use reqwest::Response;
use std::sync::PoisonError;
use url::Url;

impl Transport {
    /// Returns what the build may read; `None` for everything.
    pub(crate) fn rights(&self) -> Option<&Rights> {
        self.rights.as_deref()
    }

    /// Returns the login that may be sent for an image.
    pub(crate) fn login(&self, reference: &Reference) -> Option<(String, String)> {
        let granted = self.rights.as_ref().is_none_or(|rights| rights.may_log_in(&self.homes, reference));
        self.credentials.find(reference).filter(|_| granted)
    }

    /// Says why no login is sent.
    pub(crate) fn withheld(&self, reference: &Reference) -> Login {
        match self.credentials.find(reference) {
            Some(_) => Login::NotGranted,
            None => Login::NotConfigured,
        }
    }

    /// Returns what may be connected to at `url`, to which the registry of `reference` may have led.
    pub(crate) fn address_policy_of(&self, reference: &Reference, url: &Url) -> Result<AddressPolicy, Error> {
        let own =
            self.rights.as_ref().map_or(AddressPolicy::Any, |rights| rights.address_policy(&self.homes, reference));
        let is_own = self.base_url(reference)?.origin() == url.origin();
        Ok(if is_own { own } else { elsewhere(own, reference.is_loopback()) })
    }

    /// Refuses the answer of the registry that shares this store where the build may not read there, by whatever name or
    /// way it was reached (SEC-M1).
    pub(crate) fn check_home(
        &self,
        reference: &Reference,
        access: Access,
        origin: &Url,
        response: &Response,
    ) -> Result<(), Error> {
        let Some(rights) = &self.rights else {
            self.recognise(reference.registry(), origin, response);
            return Ok(());
        };
        let is_own = response.url().origin() == origin.origin();
        if !self.recognise(reference.registry(), origin, response) {
            // Shared images are in the registry of this store alone, whatever name an untrusted build gives it.
            let policy = rights.address_policy(&self.homes, reference);
            let for_home = rights.reach == Reach::PublicOnly && policy == AddressPolicy::Any && is_own;
            let allowed = !for_home || rights.names(&self.homes, reference);
            return if allowed { Ok(()) } else { Err(refused(reference.registry(), AddressPolicy::Public)) };
        }
        let (path, repository) = (response.url().path(), reference.repository());
        let is_named = path == "/v2/" || path.strip_prefix("/v2/").is_some_and(|rest| is_below(rest, repository));
        if !is_own || !is_named {
            return Err(Error::NotReadable(reference.to_string()));
        }
        self.check_right(reference, access)
    }

    /// Returns whether an answer is that of the registry that shares this store, and takes note of its name.
    fn recognise(&self, registry: &str, origin: &Url, response: &Response) -> bool {
        let Some(id) = response.headers().get(STORE_HEADER).and_then(|id| id.to_str().ok()) else { return false };
        let is_own = response.url().origin() == origin.origin();
        self.homes.recognise(&if is_own { registry.to_owned() } else { host_of(response.url()) }, id)
    }

    /// Refuses what a build may not do in the registry that shares this store.
    pub(crate) fn check_right(&self, reference: &Reference, access: Access) -> Result<(), Error> {
        let Some(rights) = &self.rights else { return Ok(()) };
        let allowed = match access {
            Access::Pull => rights.may_read_home(&self.homes, reference),
            Access::Push | Access::Delete => rights.names(&self.homes, reference),
        };
        if allowed { Ok(()) } else { Err(Error::NotReadable(reference.to_string())) }
    }

    /// Returns whether the registry is spoken to in plain HTTP: as configured, or, as docker does, on this machine.
    pub(crate) fn is_plain(&self, reference: &Reference) -> bool {
        self.http.plain_http(reference.registry()).unwrap_or_else(|| reference.is_loopback())
    }

    pub(crate) fn base_url(&self, reference: &Reference) -> Result<Url, Error> {
        let scheme = if self.is_plain(reference) { "http" } else { "https" };
        let host = if reference.registry() == "docker.io" { "registry-1.docker.io" } else { reference.registry() };
        Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| Error::document(reference.registry(), "its name is not a host"))
    }

    /// Tells what became of the login in a request that was answered.
    pub(crate) fn login_state(&self, reference: &Reference) -> Login {
        if self.login(reference).is_none() {
            return self.withheld(reference);
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = tokens.keys().any(|(registry, _, with_login)| registry == reference.registry() && *with_login);
        if sent { Login::Sent } else { Login::NotAsked }
    }
}

fn is_below(rest: &str, repository: &str) -> bool {
    rest.strip_prefix(repository).is_some_and(|rest| rest.starts_with('/'))
}
