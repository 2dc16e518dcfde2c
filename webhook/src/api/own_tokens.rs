//! `/v1/tokens` and `/v1/sessions`: the tokens and sessions of the caller.

use crate::configuration::document::check_part;
use crate::configuration::settings::Scope;
use crate::configuration::sign_in::check_pattern;
use crate::http::answer;
use crate::http::audit::Subject;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::http::token::generate;
use crate::view::code::Code;
use crate::view::person::{MadeTokenView, OwnTokenList, OwnTokenView, SessionList};
use crate::view::time::moment;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::{Identity, NewToken, TokenRecord};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Most tokens that one owner has at a time.
const MAX_TOKENS: usize = 100;

/// A token to be made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOwnToken {
    /// Its name, which none of the owner's had before.
    pub name: String,
    /// `read`, `trigger` or `admin`.
    pub scope: String,
    /// Names of repositories that it is good for, with `*` and `**`; all that its owner sees, without any.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Time at which it ends.
    pub expires_at: Option<String>,
}

/// Lists the caller's tokens.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let person = caller.require_person()?;
    let tokens = service.database.tokens_of(person.id).await?;
    Ok(answer::document(&headers, &OwnTokenList { tokens: tokens.iter().map(OwnTokenView::new).collect() }))
}

/// Makes a token for the caller.
pub(crate) async fn add(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let person = caller.require_person()?;
    let (asked, _) = body::document::<NewOwnToken>(&headers, body).await?;
    let made = make(&service, person, &asked).await?;
    Ok((StatusCode::CREATED, Extension(Subject(made.record.full_name.clone())), axum::Json(made)).into_response())
}

/// Revokes a token of the caller.
pub(crate) async fn remove(
    State(service): State<Service>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let revoked = revoke(&service, caller.require_person()?, &name).await?;
    Ok((StatusCode::NO_CONTENT, Extension(Subject(revoked))).into_response())
}

/// Makes a token of somebody's.
pub(crate) async fn make(service: &Service, owner: &Identity, asked: &NewOwnToken) -> Result<MadeTokenView, Problem> {
    let invalid = |problem: String| Problem::new(Code::InvalidToken, problem);
    check_part("token", &asked.name).map_err(invalid)?;
    let scope = Scope::parse(&asked.scope);
    let scope = scope.ok_or_else(|| invalid(format!("scope `{}`: read, trigger or admin is expected", asked.scope)))?;
    asked.repositories.iter().try_for_each(|pattern| check_pattern(pattern)).map_err(invalid)?;
    let now = now_ms();
    let expires_ms = asked.expires_at.as_deref().map(end).transpose()?;
    if expires_ms.is_some_and(|end| end <= now) {
        return Err(invalid("expires_at: this moment has passed".to_owned()));
    }
    if service.database.tokens_of(owner.id).await?.len() >= MAX_TOKENS {
        return Err(invalid(format!("there are {MAX_TOKENS} tokens already: revoke those that nobody uses")));
    }
    let token = generate().ok_or_else(Problem::database_unavailable)?;
    let new = NewToken {
        name: format!("{}/{}", owner.name, asked.name),
        hash: token.hash,
        scopes: vec![scope.as_str().to_owned()],
        repositories: asked.repositories.clone(),
        expires_ms,
        identity: Some(owner.id),
    };
    if !service.database.create_token(&new).await? {
        let detail = format!("there is, or was, a token called `{}`: choose another name", asked.name);
        return Err(Problem::new(Code::TokenExists, detail));
    }
    tracing::info!(owner = owner.name, token = new.name, "a token was made");
    let record = OwnTokenView {
        name: asked.name.clone(),
        full_name: new.name,
        scope: scope.as_str().to_owned(),
        repositories: new.repositories,
        created_at: moment(now),
        expires_at: expires_ms.and_then(moment),
        last_used_at: None,
    };
    Ok(MadeTokenView { record, token: token.text })
}

/// Revokes a token of somebody's; returns its full name.
pub(crate) async fn revoke(service: &Service, owner: &Identity, name: &str) -> Result<String, Problem> {
    let tokens = service.database.tokens_of(owner.id).await?;
    let is_meant = |token: &&TokenRecord| token.name == name || token.name.rsplit('/').next() == Some(name);
    let found = tokens.iter().find(is_meant);
    let found =
        found.ok_or_else(|| Problem::new(Code::TokenNotFound, format!("`{}` has no token `{name}`", owner.name)))?;
    service.database.revoke_token(&found.name).await?;
    tracing::info!(owner = owner.name, token = found.name, "a token was revoked");
    Ok(found.name.clone())
}

/// Lists the caller's sessions.
pub(crate) async fn sessions(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sessions = service.database.sessions_of(caller.require_person()?.id).await?;
    Ok(answer::document(&headers, &SessionList { sessions: sessions.iter().map(Into::into).collect() }))
}

/// Ends all sessions of the caller.
pub(crate) async fn end_sessions(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    service.database.end_sessions_of(caller.require_person()?.id, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends a session of the caller.
pub(crate) async fn end_session(
    State(service): State<Service>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    end_one(&service, caller.require_person()?, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends a session of somebody's.
pub(crate) async fn end_one(service: &Service, owner: &Identity, name: &str) -> Result<(), Problem> {
    match service.database.end_session_named(owner.id, name).await? {
        true => Ok(()),
        false => Err(Problem::new(Code::SessionNotFound, format!("`{}` has no session `{name}`", owner.name))),
    }
}

/// Reads the moment at which something ends.
fn end(text: &str) -> Result<i64, Problem> {
    let read = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        let detail = format!("expires_at: `{text}` is not a time such as 2030-01-31T12:00:00Z");
        Problem::new(Code::InvalidToken, detail)
    })?;
    Ok(i64::try_from(read.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
