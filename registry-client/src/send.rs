//! Sends requests to one registry: authentication, redirects, retries.

use crate::auth::{self, Challenge};
use crate::body::{Sent, watched};
use crate::error::Login;
use crate::response::{in_time, unreachable};
use crate::retry::{Backoff, is_transient, retry_after};
use crate::shown_url::host_of;
use crate::token::TokenRequest;
use crate::transport::{Access, Authorization, Request, TokenKey, Transport};
use crate::{Error, Reference};
use reqwest::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

impl Transport {
    /// Sends `request` for `reference`; passing faults are tried again, a 401 is answered once.
    pub(crate) async fn send(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
    ) -> Result<Response, Error> {
        let mut backoff = Backoff::new(&self.retry);
        loop {
            let sent = self.send_once(reference, access, request).await;
            let asked = match &sent {
                Ok(response) if is_transient(response.status()) => retry_after(response),
                Err(error) if error.is_transient() => None,
                _ => return sent,
            };
            if !backoff.next(reference.registry(), asked).await {
                return sent;
            }
        }
    }

    /// Sends `request` for `reference`; only what asks for a login is answered, once. A registry that limits requests is
    /// left alone by all of them.
    pub(crate) async fn send_once(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
    ) -> Result<Response, Error> {
        self.pauses.wait(reference.registry()).await;
        let sent = self.send_answering(reference, access, request).await;
        if let Ok(response) = &sent
            && response.status() == StatusCode::TOO_MANY_REQUESTS
            && let Some(asked) = retry_after(response)
        {
            self.pauses.begin(reference.registry(), asked.min(self.retry.max_backoff));
        }
        sent.map_err(|error| error.of_request(reference, request.operation, self.login_state(reference)))
    }

    async fn send_answering(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
    ) -> Result<Response, Error> {
        if self.homes.contains(reference.registry()) {
            self.check_right(reference, access)?;
        }
        let scope = scope(reference, access, request.mounted_from.as_deref());
        let key = |login: &Option<_>| (reference.registry().to_owned(), scope.clone(), login.is_some());
        let known = self.known_token(&key(&self.login(reference)));
        let response = self.send_following(reference, access, request, known.as_deref()).await?;
        let (status, is_anonymous) = (response.status().as_u16(), known.is_none());
        let challenges = match status {
            401 => challenges(&response),
            // Some hide what is private from those who did not log in, and say how only at `/v2/` (SV-04).
            403 | 404 if is_anonymous && !self.homes.contains(reference.registry()) => {
                self.asked_at_root(reference, access).await
            }
            _ => return Ok(response),
        };
        if challenges.is_empty() {
            return Ok(response);
        }
        // The answer may have told whose registry it is, and that the login may be used.
        let login = self.login(reference);
        match self.answer(reference, access, request, &key(&login), challenges, login.as_ref()).await {
            // Without a login the first answer stands.
            Ok(None) => Ok(response),
            Err(Error::Denied(_)) if status != 401 && login.is_none() => Ok(response),
            Ok(Some(answered)) => Ok(answered),
            Err(error) => Err(error),
        }
    }

    fn known_token(&self, key: &TokenKey) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let living = tokens.get(key).filter(|token| token.until.is_none_or(|until| until > Instant::now()));
        living.map(|token| token.value.clone())
    }

    /// Sends the request with what each challenge asks for until one is content; `None` if none can be met.
    async fn answer(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
        key: &TokenKey,
        mut challenges: Vec<Challenge>,
        login: Option<&(String, String)>,
    ) -> Result<Option<Response>, Error> {
        challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
        challenges.dedup();
        let mut last = None;
        for challenge in challenges {
            let authorization = match (&challenge, login) {
                (Challenge::Basic, None) => continue,
                // An identity token is for token servers.
                (Challenge::Basic, Some((user, _))) if user == auth::IDENTITY => continue,
                (Challenge::Basic, Some(login)) => Ok(Authorization { value: auth::basic(login), until: None }),
                (Challenge::Bearer { realm, service }, login) => {
                    let (scope, plain_http) = (key.1.as_str(), self.is_plain(reference));
                    let asked = TokenRequest { reference, realm, service: service.as_deref(), scope, plain_http };
                    self.token(&asked, login).await
                }
            };
            let authorization = match authorization {
                Ok(authorization) => authorization,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let response = self.send_following(reference, access, request, Some(&authorization.value)).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), authorization);
                return Ok(Some(response));
            }
            let state = if login.is_some() { Login::Sent } else { self.withheld(reference) };
            last = Some(self.refusal(reference, request.operation, response, state).await);
        }
        last.map_or(Ok(None), Err)
    }

    /// Returns what `/v2/` of the registry asks for; nothing, if it does not say.
    async fn asked_at_root(&self, reference: &Reference, access: Access) -> Vec<Challenge> {
        let registry = reference.registry();
        let known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(registry).cloned();
        if let Some(known) = known {
            return known;
        }
        let request = Request::new(Method::GET, "v2/", "asking for the version");
        let Ok(response) = self.send_following(reference, access, &request, None).await else { return Vec::new() };
        let found = if response.status() == StatusCode::UNAUTHORIZED { challenges(&response) } else { Vec::new() };
        if found.is_empty() && !response.status().is_success() {
            return found;
        }
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), found.clone());
        found
    }

    /// Sends once and follows redirects; the login stays behind when the host changes.
    ///
    /// Writes are sent on as they are where the status says so, as docker does; where it does not, what becomes of method
    /// and body is anybody's guess.
    pub(crate) async fn send_following(
        &self,
        reference: &Reference,
        access: Access,
        request: &Request,
        authorization: Option<&str>,
    ) -> Result<Response, Error> {
        let registry = reference.registry();
        let origin = self.base_url(reference)?;
        let malformed = |what| Error::document(registry, format!("it {what} a malformed address"));
        let mut url = origin.join(&request.url).map_err(|_| malformed("sent"))?;
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        for _ in 0..=MAX_REDIRECTS {
            if url.scheme() != "https" && !(url.scheme() == "http" && origin.scheme() == "http") {
                return Err(Error::document(registry, "it redirects to an address that is not allowed: without https"));
            }
            let policy = self.address_policy_of(reference, &url)?;
            policy.check(registry, &url)?;
            let host = if url.origin() == origin.origin() { registry.to_owned() } else { host_of(&url) };
            let client = self.http.untimed(url.scheme(), policy, Some(&host))?;
            let mut builder = client.request(request.method.clone(), url.clone());
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(authorization) = authorization.filter(|_| url.origin() == origin.origin()) {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            let sent = Arc::new(Sent::default());
            let sending = request.body.add_to(builder, &sent).await?.send();
            let answered = match request.is_upload {
                true => watched(sending, &sent, self.minimum_rate, registry).await?,
                false => in_time(registry, self.read_timeout, sending).await?,
            };
            let response = answered.map_err(|cause| unreachable(registry, policy, cause))?;
            self.check_home(reference, access, &origin, &response)?;
            let redirects = match response.status().as_u16() {
                301..=303 => is_read,
                307 | 308 => true,
                _ => false,
            };
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match target.filter(|_| redirects).map(|target| url.join(target)) {
                None => return Ok(response),
                Some(Ok(next)) => url = next,
                Some(Err(_)) => return Err(malformed("redirects to")),
            }
        }
        Err(Error::document(registry, "it redirects too often"))
    }
}

fn challenges(response: &Response) -> Vec<Challenge> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
    headers.filter_map(|value| value.to_str().ok()).flat_map(Challenge::parse_all).collect()
}

fn scope(reference: &Reference, access: Access, mounted_from: Option<&str>) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
        Access::Delete => "pull,push,delete",
    };
    let own = format!("repository:{}:{actions}", reference.repository());
    mounted_from.map_or(own.clone(), |other| format!("{own} repository:{other}:pull"))
}
