//! Who asks: tokens in the `Authorization` header, as a bearer or, for browsers, as the password of anybody.

use crate::Service;
use crate::problem::Problem;
use crate::settings::{Scope, Token};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;

/// Returns the token of a request that may do `scope` to `repository`.
pub fn require<'s>(
    service: &'s Service,
    headers: &HeaderMap,
    (scope, repository): (Scope, &str),
) -> Result<&'s Token, Problem> {
    let token =
        presented(headers).and_then(|token| service.settings.token(&token)).ok_or_else(Problem::unauthorized)?;
    if token.allows(scope, Some(repository)) {
        return Ok(token);
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!("the token `{}` may not do this to `{repository}`", token.name),
    ))
}

/// Tells which repositories a request may see.
pub fn visible<'s>(service: &'s Service, headers: &HeaderMap) -> Result<Visible<'s>, Problem> {
    let token = presented(headers).and_then(|token| service.settings.token(&token));
    match token {
        _ if service.settings.anonymous_read => Ok(Visible(None)),
        Some(token) => Ok(Visible(Some(token))),
        None => Err(Problem::unauthorized()),
    }
}

/// What a request may see.
pub struct Visible<'s>(Option<&'s Token>);

impl Visible<'_> {
    /// Tells whether builds of `repository` may be seen.
    pub fn shows(&self, repository: &str) -> bool {
        self.0.is_none_or(|token| token.allows(Scope::Read, Some(repository)))
    }
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
