//! Trying a login before it is kept.

use crate::transport::{Access, Request};
use crate::{Client, Error, Reference};
use reqwest::Method;

impl Client {
    /// Logs in at the registry of `reference`, whose repository need not exist; fails if the registry refuses the login.
    pub async fn check_login(&self, reference: &Reference) -> Result<(), Error> {
        let request = Request::new(Method::GET, "v2/", "logging in");
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(self.transport.failed(reference, request.operation, response).await),
        }
    }
}
