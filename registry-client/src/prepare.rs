//! Prepares a push: connections are open and tokens at hand before the first layer is there.

use crate::error::Login;
use crate::transport::{Access, Request};
use crate::{Client, Reference};
use futures::future::join;
use reqwest::Method;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a registry that was asked is taken to be connected.
const CONNECTED: Duration = Duration::from_secs(30);

/// When repositories were prepared for pushes.
pub(crate) type Prepared = Mutex<HashMap<String, Instant>>;

impl Client {
    /// Connects to the registry of `reference` and gets the tokens of a push. A failure is told by the push itself.
    pub async fn prepare_push(&self, reference: &Reference) {
        if self.was_prepared(reference) {
            return;
        }
        join(self.prepare(reference, Access::Push), self.prepare(reference, Access::Pull)).await;
    }

    /// Tells whether the repository was prepared a moment ago, and takes note of it.
    fn was_prepared(&self, reference: &Reference) -> bool {
        let name = format!("{}/{} {}", reference.registry(), reference.repository(), self.reader(reference));
        let mut prepared = self.transport.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|_, at| at.elapsed() < CONNECTED);
        prepared.insert(name, Instant::now()).is_some()
    }

    async fn prepare(&self, reference: &Reference, access: Access) {
        let request = Request::new(Method::GET, "v2/", "asking for the version");
        let answered = self.transport.send_once(reference, access, &request).await;
        let is_open = answered.is_ok_and(|response| response.status().is_success());
        if is_open && self.transport.login_state(reference) != Login::Sent {
            // It asks for nothing: what it does not have later is not hidden behind a login.
            let mut challenges = self.transport.challenges.lock().unwrap_or_else(PoisonError::into_inner);
            challenges.entry(reference.registry().to_owned()).or_default();
        }
    }
}
