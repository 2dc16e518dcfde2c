//! Search in a registry, in the shape that docker knows.

use crate::response::bounded;
use crate::transport::{Access, Request};
use crate::{Client, Error, Reference, auth};
use reqwest::Method;
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

/// Largest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;
/// Docker Hub, and where it searches.
const DOCKER_HUB: &str = "docker.io";
const HUB_SEARCH: &str = "https://index.docker.io/v1/search";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FoundRepository {
    /// Its name, without the host.
    pub name: String,
    /// Its description.
    #[serde(default)]
    pub description: Option<String>,
    /// How many people like it.
    #[serde(default)]
    pub star_count: u64,
    /// Whether the registry's own people made it.
    #[serde(default)]
    pub is_official: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<FoundRepository>>,
}

impl Client {
    /// Searches the repositories of `registry` for `term`; at most `limit` of them. The login of the registry is sent where
    /// there is one: others may not see what its account may read.
    pub async fn search(&self, registry: &str, term: &str, limit: u32) -> Result<Vec<FoundRepository>, Error> {
        let reference = Reference::parse(&format!("{registry}/search"))
            .map_err(|_| Error::document(registry, "its name is not that of a registry".to_owned()))?;
        let term: String = byte_serialize(term.as_bytes()).collect();
        let path = if registry == DOCKER_HUB { HUB_SEARCH } else { "/v1/search" };
        let request = Request::new(Method::GET, format!("{path}?q={term}&n={limit}"), "searching");
        let login = self.transport.login(&reference).filter(|login| login.0 != auth::IDENTITY);
        // Docker Hub searches at another host, to which no login belongs.
        let authorization = login.filter(|_| registry != DOCKER_HUB).map(|login| auth::basic(&login));
        let sent = self.transport.send_following(&reference, Access::Pull, &request, authorization.as_deref()).await;
        let state = self.transport.login_state(&reference);
        let response = sent.map_err(|error| error.of_request(&reference, "searching", state))?;
        if response.status().as_u16() == 404 {
            return Err(Error::document(registry, "it has no search (`/v1/search`)".to_owned()));
        }
        if !response.status().is_success() {
            return Err(self.transport.refusal(&reference, "searching", response, state).await);
        }
        let body = bounded(response, MAX_ANSWER, registry, self.transport.minimum_rate).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| Error::document(registry, format!("its answer to a search: {error}")))?;
        let mut found = answer.results.unwrap_or_default();
        found.truncate(limit as usize);
        Ok(found)
    }
}
