//! `/v1/registry`: accounts of the embedded registry and their rights, for administrators.

use super::query::query;
use crate::configuration::document::did_you_mean;
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::registry::{RegistryUserList, RegistryUserPassword, RegistryUserView, RightList, RightView};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Account, NewAccount, Right};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRegistryUser {
    /// Its name.
    name: String,
    /// Its password; one is made if it is missing.
    password: Option<String>,
    /// Whether a program uses it, and no person.
    #[serde(default)]
    robot: bool,
    /// Time at which it ends.
    expires_at: Option<String>,
    /// Its rights.
    #[serde(default)]
    rights: Vec<OwnRight>,
}

/// A right of an account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OwnRight {
    pattern: String,
    actions: Vec<String>,
}

/// A password to be set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRegistryPassword {
    /// The password; one is made if it is missing.
    password: Option<String>,
}

/// A right to be given, to one account or to everybody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRight {
    /// The account.
    user: Option<String>,
    /// Whether everybody gets it, also without a login.
    #[serde(default)]
    everybody: bool,
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pattern: String,
    /// `pull`, `push` and `delete`; `*` for all.
    actions: Vec<String>,
}

/// The query that names a right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RightQuery {
    user: Option<String>,
    #[serde(default)]
    everybody: bool,
    pattern: String,
}

/// Lists the accounts.
pub(crate) async fn users(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let (accounts, rights, now) = (service.database.accounts().await?, service.database.rights().await?, now_ms());
    let users = accounts.iter().map(|account| RegistryUserView::new(account, &rights, now)).collect();
    Ok(answer::document(&headers, &RegistryUserList { users }))
}

/// Shows an account.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(answer::document(&headers, &service.registry_user(&name).await?))
}

/// Makes an account.
pub(crate) async fn add(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    let (asked, _) = body::document::<NewRegistryUser>(&headers, body).await?;
    let name = asked.name.as_str();
    database::check_account_name(name).map_err(invalid_user)?;
    if service.settings.registry_users.iter().any(|user| user == name) {
        let detail = format!("`{name}` is a user of `[server.registry_users]`: choose another name");
        return Err(Problem::new(Code::UserExists, detail));
    }
    let expires_ms = asked.expires_at.as_deref().map(end).transpose()?;
    let rights = asked.rights.iter().map(|right| Right::new(name, &right.pattern, &right.actions.join(",")));
    let rights = rights.collect::<Result<Vec<_>, _>>().map_err(invalid_right)?;
    let password = NewPassword::of(asked.password).await?;
    let account = NewAccount { name: name.to_owned(), is_robot: asked.robot, password_hash: password.hash, expires_ms };
    if !service.database.add_account(&account, &rights).await? {
        return Err(Problem::new(Code::UserExists, format!("there is an account `{name}` already")));
    }
    tracing::info!(user = name, by = by.name, "an account of the registry was added");
    let user = service.registry_user(name).await?;
    Ok(once(StatusCode::CREATED, &RegistryUserPassword { user, password: password.made }))
}

/// Gives an account another password.
pub(crate) async fn change_password(
    State(service): State<Service>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    let (asked, _) = body::document::<NewRegistryPassword>(&headers, body).await?;
    let user = service.registry_user(&name).await?;
    let password = NewPassword::of(asked.password).await?;
    if !service.database.change_password(&name, &password.hash).await? {
        return Err(service.no_such_user(&name).await?);
    }
    tracing::info!(user = name, by = by.name, "an account of the registry has another password");
    Ok(once(StatusCode::OK, &RegistryUserPassword { user, password: password.made }))
}

/// Removes an account with its rights and tokens.
pub(crate) async fn remove(
    State(service): State<Service>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    if !service.database.remove_account(&name).await? {
        return Err(service.no_such_user(&name).await?);
    }
    tracing::info!(user = name, by = by.name, "an account of the registry was removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the rights.
pub(crate) async fn rights(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let rights = service.database.rights().await?.iter().map(RightView::from).collect();
    Ok(answer::document(&headers, &RightList { rights }))
}

/// Gives a right; one for the same pattern is replaced.
pub(crate) async fn allow(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    let (asked, _) = body::document::<NewRight>(&headers, body).await?;
    let holder = holder(asked.user.as_deref(), asked.everybody)?;
    let right = Right::new(holder, &asked.pattern, &asked.actions.join(",")).map_err(invalid_right)?;
    if !service.database.put_right(&right).await? {
        return Err(service.no_such_user(holder).await?);
    }
    let Right { account, pattern, actions } = &right;
    tracing::info!(user = account, pattern, actions, by = by.name, "a right in the registry was given");
    Ok(axum::Json(RightView::from(&right)).into_response())
}

/// Takes a right away.
pub(crate) async fn deny(
    State(service): State<Service>,
    caller: Caller,
    asked: Result<Query<RightQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    let asked = query(asked)?;
    let holder = holder(asked.user.as_deref(), asked.everybody)?;
    if !service.database.remove_right(holder, &asked.pattern).await? {
        let whose = if holder.is_empty() { "everybody".to_owned() } else { format!("`{holder}`") };
        let detail = format!("{whose} has no right for `{}`: GET /v1/registry/rights lists them", asked.pattern);
        return Err(Problem::new(Code::RightNotFound, detail));
    }
    tracing::info!(user = holder, pattern = asked.pattern, by = by.name, "a right in the registry was taken away");
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Service {
    async fn registry_user(&self, name: &str) -> Result<RegistryUserView, Problem> {
        let accounts = self.database.accounts().await?;
        let Some(account) = accounts.iter().find(|account| account.name == name) else {
            return Err(no_such_user(&accounts, name));
        };
        Ok(RegistryUserView::new(account, &self.database.rights().await?, now_ms()))
    }

    async fn no_such_user(&self, name: &str) -> Result<Problem, Problem> {
        Ok(no_such_user(&self.database.accounts().await?, name))
    }
}

/// A password as it is stored, and as it is answered if it was made here.
struct NewPassword {
    hash: String,
    made: Option<String>,
}

impl NewPassword {
    async fn of(given: Option<String>) -> Result<NewPassword, Problem> {
        if let Some(password) = &given {
            database::check_password(password).map_err(invalid_user)?;
        }
        let made = if given.is_none() { database::generate_password() } else { None };
        let password = given.or(made.clone());
        // Hashing takes a processor for a while.
        let hashed = tokio::task::spawn_blocking(move || database::hash_password(&password?)).await;
        match hashed.ok().flatten() {
            Some(hash) => Ok(NewPassword { hash, made }),
            None => {
                tracing::error!("no password can be made: the system gives no randomness");
                Err(Problem::database_unavailable())
            }
        }
    }
}

/// Returns an answer that nobody keeps: a password may be in it.
fn once(status: StatusCode, user: &RegistryUserPassword) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(user)).into_response()
}

/// Returns who a right is for, as rights have it: the account, or an empty name for everybody.
fn holder(user: Option<&str>, everybody: bool) -> Result<&str, Problem> {
    match (user, everybody) {
        (Some(name), false) if !name.is_empty() => Ok(name),
        (None, true) => Ok(""),
        _ => Err(invalid_right("a right has either `user`, the name of an account, or `everybody`: true".to_owned())),
    }
}

fn end(text: &str) -> Result<i64, Problem> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| invalid_user(format!("`{text}` is not a time such as 2027-01-31T12:00:00Z")))?;
    let milliseconds = time.unix_timestamp().saturating_mul(1000);
    if milliseconds <= now_ms() {
        return Err(invalid_user(format!("expires_at is `{text}`, which has passed: a time to come is expected")));
    }
    Ok(milliseconds)
}

fn no_such_user(accounts: &[Account], name: &str) -> Problem {
    let known = accounts.iter().map(|account| account.name.as_str());
    Problem::new(Code::UserNotFound, format!("there is no account `{name}`{}", did_you_mean(name, known)))
}

fn invalid_user(problem: String) -> Problem {
    Problem::new(Code::InvalidUser, problem)
}

fn invalid_right(problem: String) -> Problem {
    Problem::new(Code::InvalidRight, problem)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
