//! Authentication: tokens in the `Authorization` header, as a bearer or, for browsers, as the password of any user.

use crate::configuration::settings::{Scope, Token};
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::state::Service;
use crate::view::code::Code;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a request comes from.
pub struct Address(pub IpAddr);

impl FromRequestParts<Service> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Address, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Address(service.settings.client_address(peer, &parts.headers)))
    }
}

/// The sender of a request.
pub struct Caller {
    /// Their token, if they have one.
    pub token: Option<Token>,
    /// Where they are.
    pub address: IpAddr,
    /// Whether everybody may see everything.
    anonymous_read: bool,
}

impl FromRequestParts<Service> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Caller, Problem> {
        let Ok(Address(address)) = Address::from_request_parts(parts, service).await;
        let anonymous_read = service.settings.anonymous_read;
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Caller { token: None, address, anonymous_read });
        }
        let token = match presented(&parts.headers) {
            Some(presented) => find(service, &presented).await?,
            None => None,
        };
        match token {
            Some(token) => Ok(Caller { token: Some(token), address, anonymous_read }),
            None => Err(service.refuse(address)),
        }
    }
}

impl Caller {
    /// Returns the token if it may do `scope` to `repository`. A repository that it is not for is not there.
    pub fn require(&self, scope: Scope, repository: &str) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if !token.allows(Scope::Read, Some(repository)) {
            return Err(Problem::no_such_repository(repository));
        }
        if token.allows(scope, Some(repository)) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Returns the token if it may do `scope` to all repositories.
    pub fn require_everywhere(&self, scope: Scope) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if token.allows(scope, None) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Refuses callers that may not read at all.
    pub fn may_read(&self) -> Result<(), Problem> {
        if self.anonymous_read || self.token.is_some() { Ok(()) } else { Err(Problem::unauthorized()) }
    }

    /// Tells whether `repository` may be seen.
    pub fn sees(&self, repository: &str) -> bool {
        self.anonymous_read || self.token.as_ref().is_some_and(|token| token.allows(Scope::Read, Some(repository)))
    }

    /// Returns the repositories that a list may hold; `None` for all.
    pub fn only(&self) -> Option<Vec<String>> {
        let token = self.token.as_ref().filter(|_| !self.anonymous_read)?;
        (!token.repositories.is_empty()).then(|| token.repositories.clone())
    }
}

impl Service {
    /// Counts a token that is not known, and returns the answer to it.
    pub fn refuse(&self, address: IpAddr) -> Problem {
        match self.limiter.failed(address, Failure::Token) {
            None => Problem::unauthorized(),
            Some(seconds) => Problem::too_many(seconds, "too many requests with a wrong token came from this address"),
        }
    }

    /// Counts a build that is not there, and returns the answer to it.
    pub fn no_such_build(&self, address: IpAddr) -> Problem {
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
pub async fn find(service: &Service, presented: &str) -> Result<Option<Token>, Problem> {
    if let Some(token) = service.settings.token(presented) {
        return Ok(Some(token.clone()));
    }
    if !crate::http::token::is_well_formed(presented) {
        return Ok(None);
    }
    let record = service.database.token_by_hash(&Sha256::digest(presented).into()).await?;
    Ok(record.map(|record| {
        let scopes = record.scopes.iter().filter_map(|name| Scope::parse(name)).collect();
        Token::new(&record.name, presented, scopes, record.repositories)
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
