//! `/v1/repos`: repositories as data, in the schema of `slipway.toml`.

use super::reserved::check_reserved;
use crate::api::named::{Changeable, Present, Visible};
use crate::api::query::{limit, query};
use crate::configuration::checks::check_forge;
use crate::configuration::document::{RepositoryDocument, Webhook, check_key, compile};
use crate::configuration::secret::Secret;
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::{Entry, KEY, PREVIOUS_KEY, webhook_key};
use crate::view::code::Code;
use crate::view::repository::{MovedView, RepositoryList, RepositoryProblems, RepositoryStatusProblem, RepositoryView};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use database::{Database, Put};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RepositoriesQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Lists repositories by name.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
    wanted: Result<Query<RepositoriesQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let wanted = query(wanted)?;
    let limit = limit(wanted.limit)?;
    let all = service.catalog.all(&service.database).await?;
    let after = wanted.cursor.unwrap_or_default();
    let mut rest = all.iter().filter(|entry| entry.document.name > after && caller.sees(&entry.document.name));
    let shown: Vec<RepositoryView> =
        rest.by_ref().take(limit as usize).map(|entry| show_entry(&service, entry, &caller)).collect();
    let next = rest.next().and(shown.last()).map(|last| last.document.name.clone());
    let list = RepositoryList { repositories: shown, next_cursor: next.clone() };
    let response = answer::document(&headers, &list);
    Ok(answer::linked(response, &uri, next.as_deref()))
}

/// Shows one repository.
pub(crate) async fn show(
    State(service): State<Service>,
    Visible { entry, caller }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut shown = show_entry(&service, &entry, &caller);
    let name = &entry.document.name;
    let refusal = service.database.newest_refusal(name).await?;
    let known = service.database.forge_repository(name).await?;
    let problems = RepositoryProblems {
        status_problem: refusal.as_ref().map(RepositoryStatusProblem::from),
        own_rules_problem: service.database.own_rules_problem(name).await?,
        moved: known.and_then(|known| MovedView::of(&known, &entry.repository.forge_name)),
    };
    let has_problem =
        problems.status_problem.is_some() || problems.own_rules_problem.is_some() || problems.moved.is_some();
    shown.meta.problems = Some(problems);
    let body = serde_json::to_vec(&shown).unwrap_or_default();
    // `meta` changes without the document, which the first part of the tag stands for.
    let tag = match has_problem {
        true => format!("{}-{}", etag(&entry).trim_end_matches('"'), answer::etag(&body).trim_start_matches('"')),
        false => etag(&entry),
    };
    Ok(answer::tagged(&headers, body, "application/json", &tag))
}

/// Adds a repository.
pub(crate) async fn add(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let (document, _) = body::document::<RepositoryDocument>(&headers, body).await?;
    let entry = create(&service, &caller, document).await?;
    let location = [(header::LOCATION, format!("/v1/repos/{}", entry.document.name))];
    Ok((StatusCode::CREATED, location, shown(&service, &HeaderMap::new(), &entry)).into_response())
}

/// Stores a repository that is not there yet, if the caller may.
pub(crate) async fn create(
    service: &Service,
    caller: &Caller,
    document: RepositoryDocument,
) -> Result<Arc<Entry>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let name = document.name.clone();
    store(service, document, Some(0)).await.map_err(|problem| match problem.code() {
        Code::VersionMismatch => Problem::new(Code::RepositoryExists, format!("`{name}` exists already"))
            .hint("change it with PATCH or PUT, or with `slipway repo add --replace`"),
        _ => problem,
    })
}

/// Puts a document in the place of version `version` of a repository, if the caller may.
pub(crate) async fn replace(
    service: &Service,
    caller: &Caller,
    mut document: RepositoryDocument,
    name: &str,
    version: i64,
) -> Result<Arc<Entry>, Problem> {
    let Changeable { present, .. } = Changeable::find(service, caller, name.to_owned()).await?;
    if document.name.is_empty() {
        name.clone_into(&mut document.name);
    }
    if document.name != name {
        let detail = format!("the document is for `{}`, the page for `{name}`", document.name);
        return Err(Problem::new(Code::InvalidRepository, detail));
    }
    check_reserved(caller, present.as_deref(), &document)?;
    store(service, document, Some(version)).await
}

/// Puts a document in the place of a repository, or adds it.
pub(crate) async fn put(
    State(service): State<Service>,
    Changeable { name, present, caller }: Changeable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (mut value, _) = body::document::<Value>(&headers, body).await?;
    let document = named(&mut value, &name)?;
    check_reserved(&caller, present.as_deref(), &document)?;
    let expected = expected(&headers, present.as_deref())?;
    let entry = store(&service, document, expected).await?;
    let status = if present.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, shown(&service, &HeaderMap::new(), &entry)).into_response())
}

/// Changes what a document names (RFC 7396: `null` takes a key away).
pub(crate) async fn patch(
    State(service): State<Service>,
    Present { entry, caller, .. }: Present,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (patch, _) = body::document::<Value>(&headers, body).await?;
    let entry = change_by(&service, &caller, &entry, &headers, |document| merge(document, patch)).await?;
    Ok(shown(&service, &HeaderMap::new(), &entry))
}

/// Removes a repository: its queued builds are cancelled, its running ones asked to end.
pub(crate) async fn remove(
    State(service): State<Service>,
    Present { name, entry, .. }: Present,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    expected(&headers, Some(&entry))?;
    delete(&service, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Removes a repository that somebody may change.
pub(crate) async fn delete(service: &Service, name: &str) -> Result<(), Problem> {
    service.database.delete_repository(name).await?;
    service.catalog.changed();
    tracing::info!(repo = name, "a repository was removed");
    Ok(())
}

/// Changes the document of a repository, as far as the caller may, and stores it.
pub(crate) async fn change_by(
    service: &Service,
    caller: &Caller,
    present: &Entry,
    headers: &HeaderMap,
    change: impl FnOnce(&mut Value),
) -> Result<Arc<Entry>, Problem> {
    let mut value = serde_json::to_value(&present.document).unwrap_or_default();
    change(&mut value);
    check_reserved(caller, Some(present), &named(&mut value, &present.document.name)?)?;
    self::change(service, present, headers, |document| *document = value).await
}

/// Changes the document of a repository and stores it.
pub(crate) async fn change(
    service: &Service,
    present: &Entry,
    headers: &HeaderMap,
    change: impl FnOnce(&mut Value),
) -> Result<Arc<Entry>, Problem> {
    let expected = expected(headers, Some(present))?.or(present.version);
    let mut value = serde_json::to_value(&present.document).unwrap_or_default();
    change(&mut value);
    let document = named(&mut value, &present.document.name)?;
    store(service, document, expected).await
}

/// Reads a document for the repository `name`, without what only answers hold.
fn named(value: &mut Value, name: &str) -> Result<RepositoryDocument, Problem> {
    let object = value.as_object_mut().ok_or_else(|| Problem::new(Code::BadJson, "a repository is an object"))?;
    object.remove("meta");
    let said = object.entry("name").or_insert_with(|| name.into());
    if said != name {
        return Err(Problem::new(
            Code::InvalidRepository,
            format!("the document is for {said}, the path for `{name}`"),
        ));
    }
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut problem: Result<RepositoryDocument, _> = crate::configuration::document::from_json(&bytes);
    if let Err(error) = &mut problem {
        // The position is one in the merged text, which the client does not know.
        return Err(Problem::new(
            if error.is_unknown_key() { Code::UnknownField } else { Code::BadJson },
            error.problem.clone(),
        ));
    }
    Ok(problem?)
}

/// Returns the version that a change is for, if the request names one; `0` for none at all.
fn expected(headers: &HeaderMap, present: Option<&Entry>) -> Result<Option<i64>, Problem> {
    let tag = present.map(etag).unwrap_or_default();
    let version = present.map_or(Some(0), |entry| entry.version);
    match answer::names_part(headers, header::IF_MATCH, &tag) {
        Some(false) => Err(mismatch()),
        Some(true) => Ok(version),
        None if answer::names(headers, header::IF_NONE_MATCH, &tag) == Some(true) && present.is_some() => {
            Err(mismatch())
        }
        None => Ok(None),
    }
}

fn mismatch() -> Problem {
    let detail = "the repository was changed since this version of it was read";
    Problem::new(Code::VersionMismatch, detail).hint("read it again and repeat the change")
}

/// Checks a document and stores it with its keys.
async fn store(
    service: &Service,
    mut document: RepositoryDocument,
    expected: Option<i64>,
) -> Result<Arc<Entry>, Problem> {
    let invalid = |problem: String| Problem::new(Code::InvalidRepository, problem);
    let (secret, previous) = (plain(document.secret.take())?, plain(document.previous_secret.take())?);
    for key in [&secret, &previous].into_iter().flatten() {
        check_key(key).map_err(|problem| invalid(format!("secret: {problem}")))?;
    }
    let written: Vec<_> = document.webhooks.iter_mut().map(|webhook| webhook.secret.take()).collect();
    let refused = |refused: crate::configuration::network::Refused| Problem::new(refused.code, refused.detail);
    service.settings.network.check("clone_url", &document.clone_url).await.map_err(refused)?;
    let meant = compile(&document, Vec::new()).map_err(invalid)?;
    check_forge(document.forge.as_deref(), &service.settings.forges).map_err(invalid)?;
    for webhook in &meant.webhooks {
        service.settings.network.check("url", &webhook.url).await.map_err(refused)?;
    }
    let webhook_secrets = named_secrets(&meant.webhooks, written)?;
    if service.catalog.is_fixed(&document.name) {
        return Err(Problem::new(Code::DefinedInFile, format!("`{}` is defined in slipway.toml", document.name)));
    }
    let text = serde_json::to_string(&document).map_err(|error| invalid(error.to_string()))?;
    let (name, database) = (document.name.as_str(), &service.database);
    if let Put::Conflict { .. } = database.put_repository(name, &text, expected).await? {
        return Err(mismatch());
    }
    if let Some(secret) = secret {
        database.put_secret(name, KEY, secret.as_bytes()).await?;
        database.delete_secret(name, PREVIOUS_KEY).await?;
    }
    if let Some(previous) = previous {
        database.put_secret(name, PREVIOUS_KEY, previous.as_bytes()).await?;
    }
    store_webhooks(database, name, &meant.webhooks, webhook_secrets).await?;
    // Storing it again gives it a new version, so that every server reads the keys again.
    database.put_repository(name, &text, None).await?;
    service.catalog.changed();
    tracing::info!(repo = name, "a repository was stored");
    service.catalog.get(database, name).await?.ok_or_else(|| Problem::no_such_repository(name))
}

/// Returns the secrets that came with webhooks, by the names of those.
fn named_secrets(webhooks: &[Webhook], written: Vec<Option<Secret>>) -> Result<Vec<(String, String)>, Problem> {
    let mut named = Vec::new();
    for (webhook, secret) in webhooks.iter().zip(written) {
        named.extend(plain(secret)?.map(|secret| (webhook.name.clone(), secret)));
    }
    Ok(named)
}

/// Stores which webhooks a repository has, and their secrets. A secret stays while its webhook does.
async fn store_webhooks(
    database: &Database,
    repository: &str,
    webhooks: &[Webhook],
    secrets: Vec<(String, String)>,
) -> Result<(), Problem> {
    for (name, secret) in secrets {
        database.put_secret(repository, &webhook_key(&name), secret.as_bytes()).await?;
    }
    for kept in database.secret_names(repository).await? {
        let is_gone = !webhooks.iter().any(|webhook| webhook_key(&webhook.name) == kept);
        if kept.starts_with(&webhook_key("")) && is_gone {
            database.delete_secret(repository, &kept).await?;
        }
    }
    let records: Vec<_> = webhooks.iter().map(Webhook::record).collect();
    database.put_webhooks(repository, &records).await?;
    Ok(())
}

/// Returns a secret that came with a document: a text, never a file of the server.
fn plain(secret: Option<Secret>) -> Result<Option<String>, Problem> {
    match secret {
        None => Ok(None),
        Some(Secret::Text(text)) if !text.is_empty() => Ok(Some(text)),
        Some(Secret::Text(_)) => Err(Problem::new(Code::InvalidRepository, "secret: a secret is empty")),
        Some(Secret::File { .. }) => {
            Err(Problem::new(Code::InvalidRepository, "secret: the API takes the secret itself, no file of the server"))
        }
    }
}

/// Returns a repository's tag.
pub(crate) fn etag(entry: &Entry) -> String {
    match entry.version {
        Some(version) => format!("\"v{version}\""),
        None => answer::etag(&serde_json::to_vec(&entry.document).unwrap_or_default()),
    }
}

fn shown(service: &Service, headers: &HeaderMap, entry: &Entry) -> Response {
    let body = serde_json::to_vec(&RepositoryView::new(entry, &service.settings)).unwrap_or_default();
    answer::tagged(headers, body, "application/json", &etag(entry))
}

/// Returns the parts of a repository that a caller may see. URLs of webhooks often are a secret: only callers that could
/// change them see them.
fn show_entry(service: &Service, entry: &Entry, caller: &Caller) -> RepositoryView {
    let mut shown = RepositoryView::new(entry, &service.settings);
    let token = caller.token.as_ref();
    if !token.is_some_and(|token| token.allows(Scope::Admin, Some(&entry.document.name))) {
        shown.document.webhooks.clear();
    }
    shown
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().map(|object| object.remove(&key))),
            value => merge(&mut target[&key], value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_merged() {
        let mut value = json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": [1] });
        merge(&mut value, json!({ "a": null, "b": { "c": null, "x": { "y": null } }, "e": [2, 3] }));
        assert_eq!(value, json!({ "b": { "d": 2, "x": {} }, "e": [2, 3] }));
    }
}
