//! `/v1/registry/repositories`, `/v1/registry/repository` and `/v1/registry/restore`: images of the embedded registry, for
//! administrators.

use super::query::query;
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::pages::registry_images::RegistryImages;
use crate::view::code::Code;
use crate::view::registry_images::{RegistryRepositoryList, RegistryRepositoryView, RestoredTags};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Tags of a repository that are listed, the newest ones.
const MAX_TAGS: usize = 1000;

/// A deleted tag to be put back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletedReference {
    /// The repository's path in the registry.
    repository: String,
    /// The tag, or the digest of what was put by digest alone.
    reference: String,
}

/// The query that names a repository.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepositoryQuery {
    name: String,
}

/// Lists the repositories.
pub(crate) async fn repositories(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let repositories = read(&service, |images| images.repositories()).await?;
    Ok(answer::document(&headers, &RegistryRepositoryList { repositories }))
}

/// Shows tags and deleted tags of a repository.
pub(crate) async fn repository(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<RepositoryQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let name = query(wanted)?.name;
    let wanted = name.clone();
    let found = read(&service, move |images| images.repository(&wanted, MAX_TAGS)).await?;
    if found.total == 0 && found.deleted.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("the registry has no repository `{name}`")));
    }
    Ok(answer::document(&headers, &RegistryRepositoryView::new(&name, &found)))
}

/// Puts a deleted tag back with what belongs to it.
pub(crate) async fn restore(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?.name.clone();
    let (asked, _) = body::document::<DeletedReference>(&headers, body).await?;
    let restored = restored(&service, asked.repository, asked.reference, by).await?;
    Ok(Json(RestoredTags { restored }).into_response())
}

/// Puts a deleted tag back on behalf of somebody; returns the names that came back.
pub(crate) async fn restored(
    service: &Service,
    repository: String,
    reference: String,
    by: String,
) -> Result<Vec<String>, Problem> {
    let images = service.registry.clone();
    match tokio::task::spawn_blocking(move || images.restore(&repository, &reference, &by)).await {
        Ok(Ok(names)) => Ok(names),
        Ok(Err(problem)) => Err(Problem::new(Code::TagNotRestored, problem)),
        Err(_) => Err(Problem::database_unavailable()),
    }
}

async fn read<T: Send + 'static>(
    service: &Service,
    read: impl FnOnce(Arc<dyn RegistryImages>) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let images = service.registry.clone();
    match tokio::task::spawn_blocking(move || read(images)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(problem)) => Err(Problem::new(Code::NotFound, problem)),
        Err(_) => Err(Problem::database_unavailable()),
    }
}
