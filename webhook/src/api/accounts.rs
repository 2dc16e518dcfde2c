//! `/v1/accounts` and `/v1/audit`: who is known, service accounts and their rights, and who did what, for administrators.

use super::own_tokens::{NewOwnToken, make};
use super::query::{limit, query};
use crate::configuration::document::check_part;
use crate::configuration::settings::Scope;
use crate::configuration::sign_in::{LOCAL, ProviderKind, SERVICE, check_pattern};
use crate::http::answer;
use crate::http::audit::Subject;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::person::{AccountList, AccountRight, AccountView, AuditLog};
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use database::{AuditFilter, Identity, IdentityRight};
use schemars::JsonSchema;
use serde::Deserialize;

/// An account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewServiceAccount {
    /// Its name.
    name: String,
    /// Whether it is an account of the embedded registry, whose owner signs in with its password.
    #[serde(default)]
    local: bool,
    /// Its rights.
    #[serde(default)]
    rights: Vec<AccountRight>,
}

/// Rights to be given, in place of those that there are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRights {
    /// The rights.
    rights: Vec<AccountRight>,
}

/// The query of the audit log.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditQuery {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub repo: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<i64>,
}

/// Lists the accounts.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let mut accounts = Vec::new();
    for identity in service.database.identities().await? {
        accounts.push(shown(&service, &identity).await?);
    }
    Ok(answer::document(&headers, &AccountList { accounts }))
}

/// Makes a service account, or takes note of an account of the registry before its owner signs in.
pub(crate) async fn add(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let (asked, _) = body::document::<NewServiceAccount>(&headers, body).await?;
    let invalid = |problem: String| Problem::new(Code::InvalidAccount, problem);
    check_part("account", &asked.name).map_err(invalid)?;
    let rights = checked(&asked.rights)?;
    let provider = if asked.local { LOCAL } else { SERVICE };
    if asked.local
        && !service.database.accounts().await?.iter().any(|known| known.name == asked.name && !known.is_robot)
    {
        let detail = format!("the registry has no account `{}` of a person", asked.name);
        return Err(invalid(detail)).map_err(|problem| problem.hint("`slipway registry user add` makes one"));
    }
    let known = service.database.identity_of(provider, &asked.name).await?;
    if known.is_some() {
        let detail = format!("there is an account `{provider}/{}` already", asked.name);
        return Err(Problem::new(Code::AccountExists, detail).hint("PUT /v1/accounts/{id}/rights changes its rights"));
    }
    let name = format!("{provider}/{}", asked.name);
    let identity = service.database.put_identity(provider, &asked.name, &name, None).await?;
    service.database.put_rights(identity.id, &rights).await?;
    let view = shown(&service, &identity).await?;
    Ok((StatusCode::CREATED, Extension(Subject(name)), axum::Json(view)).into_response())
}

/// Removes an account with its rights, sessions and tokens.
pub(crate) async fn remove(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let identity = find(&service, &id).await?;
    service.database.remove_identity(identity.id).await?;
    service.people.forget(identity.id);
    Ok((StatusCode::NO_CONTENT, Extension(Subject(identity.name))).into_response())
}

/// Puts rights in the place of those that an account has.
pub(crate) async fn put_rights(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let identity = find(&service, &id).await?;
    let (asked, _) = body::document::<NewRights>(&headers, body).await?;
    let provider = service.settings.sign_in.provider(&identity.provider);
    if provider.is_some_and(|provider| matches!(provider.kind, ProviderKind::Forge { .. })) {
        let detail = format!("what `{}` may is what the forge says: change it there", identity.name);
        return Err(Problem::new(Code::RightsOfForge, detail));
    }
    service.database.put_rights(identity.id, &checked(&asked.rights)?).await?;
    let subject = Extension(Subject(identity.name.clone()));
    Ok((subject, axum::Json(shown(&service, &identity).await?)).into_response())
}

/// Makes a token of a service account.
pub(crate) async fn add_token(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let identity = find(&service, &id).await?;
    if identity.provider != SERVICE {
        let detail = format!("`{}` is a person, who makes their tokens themselves", identity.name);
        return Err(Problem::new(Code::InvalidAccount, detail));
    }
    let (asked, _) = body::document::<NewOwnToken>(&headers, body).await?;
    let made = make(&service, &identity, &asked).await?;
    Ok((StatusCode::CREATED, Extension(Subject(made.record.full_name.clone())), axum::Json(made)).into_response())
}

/// Ends all sessions of an account.
pub(crate) async fn end_sessions(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let identity = find(&service, &id).await?;
    service.database.end_sessions_of(identity.id, None).await?;
    Ok((StatusCode::NO_CONTENT, Extension(Subject(identity.name))).into_response())
}

/// Shows the audit log.
pub(crate) async fn audit(
    State(service): State<Service>,
    caller: Caller,
    uri: Uri,
    wanted: Result<Query<AuditQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let wanted = query(wanted)?;
    let limit = limit(wanted.limit)?;
    let filter =
        AuditFilter { actor: wanted.actor, action: wanted.action, repository: wanted.repo, before: wanted.cursor };
    let mut entries = service.database.audit_log(&filter, i64::from(limit) + 1).await?;
    let is_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next_cursor = entries.last().filter(|_| is_more).map(|last| last.id.to_string());
    let log = AuditLog { entries: entries.iter().map(Into::into).collect(), next_cursor: next_cursor.clone() };
    Ok(answer::linked(answer::document(&headers, &log), &uri, next_cursor.as_deref()))
}

async fn find(service: &Service, id: &str) -> Result<Identity, Problem> {
    let found = match id.parse() {
        Ok(number) => service.database.identity(number).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::new(Code::AccountNotFound, format!("there is no account with the id {id}")))
}

async fn shown(service: &Service, identity: &Identity) -> Result<AccountView, Problem> {
    let rights = service.database.rights_of(identity.id).await?;
    let administers = service.settings.sign_in.administers(&identity.provider, &identity.name);
    Ok(AccountView::new(identity, &rights, administers))
}

fn checked(rights: &[AccountRight]) -> Result<Vec<IdentityRight>, Problem> {
    let right = |right: &AccountRight| {
        check_pattern(&right.repositories)?;
        match Scope::parse(&right.scope) {
            Some(scope) => Ok(IdentityRight { pattern: right.repositories.clone(), scope: scope.as_str().to_owned() }),
            None => Err(format!("scope `{}`: read, trigger or admin is expected", right.scope)),
        }
    };
    let checked: Result<_, String> = rights.iter().map(right).collect();
    checked.map_err(|problem| Problem::new(Code::InvalidAccount, problem))
}
