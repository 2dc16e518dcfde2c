//! Authentication: tokens in the `Authorization` header, as a bearer or as the password of any user, and sessions of people
//! who signed in on a page.

use crate::configuration::settings::{Scope, Token};
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::session;
use crate::http::state::Service;
use crate::view::code::Code;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a request comes from.
pub(crate) struct Address(pub IpAddr);

impl FromRequestParts<Service> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Address, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Address(service.settings.client_address(peer, &parts.headers)))
    }
}

/// The sender of a request.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Their token, if they have one.
    pub token: Option<Token>,
    /// Where they are.
    pub address: IpAddr,
    /// Id of the session that they signed in for, if that is how the token is known.
    pub session: Option<String>,
    /// Whether everybody may see everything.
    anonymous_read: bool,
}

impl FromRequestParts<Service> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Caller, Problem> {
        let Ok(Address(address)) = Address::from_request_parts(parts, service).await;
        let anonymous_read = service.settings.anonymous_read;
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            // A cookie comes with whatever makes a browser ask: what changes something needs the proof of a form too.
            let session = session::id(&parts.headers).filter(|_| parts.method.is_safe());
            return Caller::of_session(service, address, session).await;
        }
        let token = match presented(&parts.headers) {
            Some(presented) => find(service, &presented).await?,
            None => None,
        };
        match token {
            Some(token) => Ok(Caller { token: Some(token), address, session: None, anonymous_read }),
            None => Err(service.refuse(address)),
        }
    }
}

impl Caller {
    /// Returns who sent a request with the cookie of a session; one that has ended, or whose token is gone, is nobody's.
    pub(crate) async fn of_session(
        service: &Service,
        address: IpAddr,
        session: Option<&str>,
    ) -> Result<Caller, Problem> {
        let anonymous_read = service.settings.anonymous_read;
        let nobody = Caller { token: None, address, session: None, anonymous_read };
        let Some(id) = session else { return Ok(nobody) };
        let token = match service.database.token_of_session(id).await? {
            Some(hash) => find_by_hash(service, hash).await?,
            None => None,
        };
        let session = token.is_some().then(|| id.to_owned());
        Ok(Caller { token, session, ..nobody })
    }

    /// Tells whether the caller may do `scope` to `repository`.
    pub(crate) fn may(&self, scope: Scope, repository: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.allows(scope, Some(repository)))
    }

    /// Tells whether the caller may do `scope` to all repositories.
    pub(crate) fn may_everywhere(&self, scope: Scope) -> bool {
        self.token.as_ref().is_some_and(|token| token.allows(scope, None))
    }

    /// Returns the token if it may do `scope` to `repository`. A repository that it is not for is not there.
    pub(crate) fn require(&self, scope: Scope, repository: &str) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if !token.allows(Scope::Read, Some(repository)) {
            return Err(Problem::no_such_repository(repository));
        }
        if token.allows(scope, Some(repository)) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Returns the token if it may do `scope` to all repositories.
    pub(crate) fn require_everywhere(&self, scope: Scope) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if token.allows(scope, None) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Refuses callers that may not read at all.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        if self.anonymous_read || self.token.is_some() { Ok(()) } else { Err(Problem::unauthorized()) }
    }

    /// Tells whether `repository` may be seen.
    pub(crate) fn sees(&self, repository: &str) -> bool {
        self.anonymous_read || self.token.as_ref().is_some_and(|token| token.allows(Scope::Read, Some(repository)))
    }

    /// Returns the repositories that a list may hold; `None` for all.
    pub(crate) fn only(&self) -> Option<Vec<String>> {
        let token = self.token.as_ref().filter(|_| !self.anonymous_read)?;
        (!token.repositories.is_empty()).then(|| token.repositories.clone())
    }
}

impl Service {
    /// Counts a token that is not known, and returns the answer to it.
    pub(crate) fn refuse(&self, address: IpAddr) -> Problem {
        match self.limiter.failed(address, Failure::Token) {
            None => Problem::unauthorized(),
            Some(seconds) => Problem::too_many(seconds, "too many requests with a wrong token came from this address"),
        }
    }

    /// Counts a build that is not there, and returns the answer to it.
    pub(crate) fn no_such_build(&self, address: IpAddr) -> Problem {
        match self.limiter.failed(address, Failure::Build) {
            None => Problem::no_such_build(),
            Some(seconds) => {
                Problem::too_many(seconds, "too many builds that are not there were asked for from this address")
            }
        }
    }
}

fn forbidden(token: &Token, scope: Scope) -> Problem {
    let detail = format!("the token `{}` may not do this: it needs the scope `{}`", token.name, scope.as_str());
    Problem::new(Code::Forbidden, detail)
}

/// Returns the token that was presented: one of the configuration, or one of the database that is still good.
pub(crate) async fn find(service: &Service, presented: &str) -> Result<Option<Token>, Problem> {
    if let Some(token) = service.settings.token(presented) {
        return Ok(Some(token.clone()));
    }
    if !crate::http::token::is_well_formed(presented) {
        return Ok(None);
    }
    find_by_hash(service, Sha256::digest(presented).into()).await
}

/// Returns the token with this SHA-256: one of the configuration, or one of the database that is still good.
async fn find_by_hash(service: &Service, hash: [u8; 32]) -> Result<Option<Token>, Problem> {
    if let Some(token) = service.settings.token_by_hash(&hash) {
        return Ok(Some(token.clone()));
    }
    let record = service.database.token_by_hash(&hash).await?;
    Ok(record.map(|record| {
        let scopes = record.scopes.iter().filter_map(|name| Scope::parse(name)).collect();
        Token::stored(&record.name, hash, scopes, record.repositories)
    }))
}

fn presented(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        return String::from_utf8(decoded).ok()?.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}
