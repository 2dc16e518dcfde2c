//! Tokens: what a registry's token server is asked for, and what it answers.

use crate::auth::{IDENTITY, basic};
use crate::error::{Login, Refusal};
use crate::response::{MAX_ERROR, bounded, unreachable};
use crate::retry::{Backoff, is_transient, retry_after};
use crate::server_message::{as_suffix, redact};
use crate::shown_url::host_of;
use crate::transport::{Authorization, Transport};
use crate::{Error, Reference};
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use std::time::{Duration, Instant};
use url::Url;

/// Largest answer of a token server that is read.
const MAX_TOKEN: usize = 1024 * 1024;
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// How long a token is good for that does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Longest life that is believed.
const MAX_LIFE: u64 = 24 * 60 * 60;
/// Time before the expiry of a token from which on a new one is fetched.
const MARGIN: Duration = Duration::from_secs(5);

/// A request for a token.
pub(crate) struct TokenRequest<'a> {
    /// The image that it is about.
    pub reference: &'a Reference,
    /// URL of the token server.
    pub realm: &'a str,
    /// The token server's name for the registry.
    pub service: Option<&'a str>,
    /// The access that the token grants.
    pub scope: &'a str,
    /// Whether the registry speaks plain HTTP.
    pub plain_http: bool,
}

impl Transport {
    /// Gets a token; a token server that is busy is asked again.
    ///
    /// The login goes to the https realm that the registry names, as docker sends it, whatever host that is (SV-10).
    pub(crate) async fn token(
        &self,
        asked: &TokenRequest<'_>,
        login: Option<&(String, String)>,
    ) -> Result<Authorization, Error> {
        let registry = asked.reference.registry();
        let url = url_of(asked)?;
        let is_secret_safe = url.scheme() == "https" || is_same_owner(registry, url.host_str().unwrap_or_default());
        let (login, state) = match login {
            Some(login) if is_secret_safe => (Some(login), Login::Sent),
            Some(_) => (None, Login::OtherHost),
            None => (None, self.withheld(asked.reference)),
        };
        let mut backoff = Backoff::new(&self.retry);
        loop {
            let sent = self.ask_for_token(asked, &url, login).await;
            let (failure, wait) = match sent {
                Ok(response) if response.status().is_success() => return self.read_token(asked, response).await,
                Ok(response) => {
                    let (status, wait) = (response.status(), retry_after(&response));
                    let message = self.said(asked.reference, response).await;
                    let host = host_of(&url);
                    if !is_transient(status) {
                        return Err(refused(asked, status.as_u16(), state, format!("{host}: {message}")));
                    }
                    let problem = format!("answered {status}{}", as_suffix(&message));
                    (Error::TokenServer { registry: registry.to_owned(), host, problem, asked: String::new() }, wait)
                }
                // It is the token server that was asked: nothing was sent to the registry that could be sent again.
                Err(error) if error.is_transient() => {
                    let (host, problem) = (host_of(&url), crate::error::report(&error));
                    (Error::TokenServer { registry: registry.to_owned(), host, problem, asked: String::new() }, None)
                }
                Err(error) => return Err(error),
            };
            if !backoff.next(registry, wait).await {
                return Err(failure);
            }
        }
    }

    /// Asks once and follows redirects; the login stays with the server that the registry named.
    async fn ask_for_token(
        &self,
        asked: &TokenRequest<'_>,
        origin: &Url,
        login: Option<&(String, String)>,
    ) -> Result<Response, Error> {
        let registry = asked.reference.registry();
        let mut url = origin.clone();
        for _ in 0..=MAX_REDIRECTS {
            if url.scheme() != "https" && !(url.scheme() == "http" && asked.plain_http) {
                return Err(Error::document(registry, "its token server leads to an address without https"));
            }
            let policy = self.address_policy_of(asked.reference, &url)?;
            policy.check(registry, &url)?;
            let client = self.http.get(url.scheme(), policy, Some(&host_of(&url)))?;
            let request = match login.filter(|_| url.origin() == origin.origin()) {
                Some((user, token)) if user == IDENTITY => {
                    let form = client.post(without_parameters(asked, &url)).body(refresh_form(asked, token));
                    form.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                }
                Some(login) => client.get(url.clone()).header(AUTHORIZATION, basic(login)),
                None => client.get(url.clone()),
            };
            let response = request.send().await.map_err(|cause| unreachable(registry, policy, cause))?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            match target.filter(|_| is_redirect).map(|target| url.join(target)) {
                None => return Ok(response),
                Some(Ok(next)) => url = next,
                Some(Err(_)) => {
                    return Err(Error::document(registry, "its token server redirects to a malformed address"));
                }
            }
        }
        Err(Error::document(registry, "its token server redirects too often"))
    }

    async fn read_token(&self, asked: &TokenRequest<'_>, response: Response) -> Result<Authorization, Error> {
        let registry = asked.reference.registry();
        let body = bounded(response, MAX_TOKEN, registry, self.minimum_rate).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|_| Error::document(registry, "its token server did not answer with JSON"))?;
        // Each may be there, null or empty beside the other (SV-01).
        let text = |key: &str| answer.get(key).and_then(|token| token.as_str()).filter(|token| !token.is_empty());
        let token = text("token").or_else(|| text("access_token"));
        let token = token.ok_or_else(|| Error::document(registry, "its token server gave no token"))?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::document(registry, "its token server gave a token that no header can hold"));
        }
        let until = Instant::now() + life(&answer).saturating_sub(MARGIN);
        Ok(Authorization { value: format!("Bearer {token}"), until: Some(until) })
    }

    /// Returns the message of an unsuccessful answer, without the secrets that this client knows.
    pub(crate) async fn said(&self, reference: &Reference, response: Response) -> String {
        let body = bounded(response, MAX_ERROR, reference.registry(), self.minimum_rate).await;
        let text = crate::server_message::of_body(&body.unwrap_or_default());
        match self.login(reference) {
            Some(login) => redact(&text, &[&login.1, &basic(&login)["Basic ".len()..]]),
            None => text,
        }
    }
}

fn refused(asked: &TokenRequest<'_>, status: u16, login: Login, said: String) -> Error {
    Error::Denied(Box::new(Refusal {
        registry: asked.reference.registry().to_owned(),
        repository: asked.reference.repository().to_owned(),
        operation: "getting a token",
        status,
        login,
        said,
    }))
}

/// Returns where a token is asked for, with what.
pub(crate) fn url_of(asked: &TokenRequest<'_>) -> Result<Url, Error> {
    let registry = asked.reference.registry();
    let mut url =
        Url::parse(asked.realm).map_err(|_| Error::document(registry, "its token server's address is malformed"))?;
    // Credentials in the URL are neither sent nor shown.
    let _ = (url.set_username(""), url.set_password(None));
    if url.scheme() == "http" && !asked.plain_http {
        let problem = format!(
            "its token server `{}` does not use https, though the registry does: no login goes there in the clear",
            host_of(&url)
        );
        return Err(Error::document(registry, problem));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error::document(registry, "its token server's address is neither https nor http"));
    }
    for scope in asked.scope.split(' ') {
        url.query_pairs_mut().append_pair("scope", scope);
    }
    if let Some(service) = asked.service {
        url.query_pairs_mut().append_pair("service", service);
    }
    Ok(url)
}

/// Returns where a token server is asked with a form: what is asked for stands there.
fn without_parameters(asked: &TokenRequest<'_>, url: &Url) -> Url {
    let realm = Url::parse(asked.realm).ok();
    let mut url = url.clone();
    url.set_query(realm.as_ref().and_then(Url::query));
    url
}

/// Returns the form that exchanges an identity token, as docker sends it.
fn refresh_form(asked: &TokenRequest<'_>, token: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("client_id", "slipway");
    form.append_pair("scope", asked.scope).append_pair("refresh_token", token);
    if let Some(service) = asked.service {
        form.append_pair("service", service);
    }
    form.finish()
}

/// Returns how long a token is good for: a number of seconds, as a number or as text, or what is usual.
fn life(answer: &serde_json::Value) -> Duration {
    let given = answer.get("expires_in");
    let seconds = given.and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()));
    match seconds {
        // Docker, too, takes less than a minute for a mistake.
        Some(seconds) if seconds >= 60.0 => Duration::from_secs((seconds as u64).min(MAX_LIFE)),
        _ => DEFAULT_LIFE,
    }
}

/// Returns whether a token server on `host` that speaks plain HTTP belongs to the registry.
fn is_same_owner(registry: &str, host: &str) -> bool {
    // An IPv6 address without a port has colons, too.
    let port = registry.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let own = port.map_or(registry, |(host, _)| host);
    own == host || parent_of(host).is_some_and(|parent| parent == own || Some(parent) == parent_of(own))
}

fn parent_of(name: &str) -> Option<String> {
    let is_number = name.parse::<std::net::IpAddr>().is_ok();
    name.split_once('.').map(|(_, rest)| rest.to_owned()).filter(|rest| rest.contains('.') && !is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    // REG-22
    #[test]
    fn a_login_is_not_for_other_hosts_in_the_clear() {
        assert!(is_same_owner("registry.example.com:5000", "registry.example.com"));
        assert!(is_same_owner("registry.example.com", "auth.example.com"));
        assert!(is_same_owner("[fd00::5]", "[fd00::5]") && is_same_owner("[fd00::5]:5000", "[fd00::5]"));
        assert!(!is_same_owner("registry.example.com", "evil.com"));
        assert!(!is_same_owner("registry.example.com", "example.com.evil.org"));
        assert!(!is_same_owner("10.0.0.5:5000", "10.0.0.6"));
    }

    #[test]
    fn the_life_of_a_token_is_written_in_many_ways() {
        // SV-01
        for (answer, seconds) in [
            (r#"{"expires_in":300}"#, 300),
            (r#"{"expires_in":"300"}"#, 300),
            (r#"{"expires_in":300.5}"#, 300),
            (r#"{"expires_in":null}"#, 60),
            (r#"{"expires_in":""}"#, 60),
            (r#"{"expires_in":-1}"#, 60),
            (r#"{"expires_in":1e300}"#, MAX_LIFE),
            (r#"{}"#, 60),
        ] {
            assert_eq!(life(&serde_json::from_str(answer).unwrap()).as_secs(), seconds, "{answer}");
        }
    }
}
