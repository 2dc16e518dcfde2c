//! Extractors for the resource in a request's path: a repository that the caller may see or administers, a build that it may act on.

use crate::api::builds;
use crate::configuration::document::did_you_mean;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::code::Code;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use database::Build;
use serde::Deserialize;
use std::sync::Arc;

/// A repository that the caller may see.
pub(crate) struct Visible {
    /// The repository.
    pub entry: Arc<Entry>,
    /// The caller.
    pub caller: Caller,
}

/// A repository that the caller administers.
pub(crate) struct Administered {
    /// Its full name.
    pub name: String,
}

/// A repository, existing or not, that the caller may change: never one of the configuration.
pub(crate) struct Changeable {
    /// The full name.
    pub name: String,
    /// The repository, if it is there.
    pub present: Option<Arc<Entry>>,
    /// The caller.
    pub caller: Caller,
}

/// A repository to be changed by the caller.
pub(crate) struct Present {
    /// Its full name.
    pub name: String,
    /// The repository.
    pub entry: Arc<Entry>,
    /// The caller.
    pub caller: Caller,
}

/// A build that the caller may act on.
pub(crate) struct Actable {
    /// The build.
    pub build: Build,
    /// Name of the caller's token.
    pub by: String,
}

#[derive(Deserialize)]
struct RepositoryPath {
    namespace: String,
    name: String,
}

/// Finds a repository that a request may see.
pub(crate) async fn find(service: &Service, caller: &Caller, name: &str) -> Result<Arc<Entry>, Problem> {
    caller.may_read()?;
    let entry = service.catalog.get(&service.database, name).await?.filter(|_| caller.sees(name));
    match entry {
        Some(entry) => Ok(entry),
        None => Err(unknown(service, caller, name).await?),
    }
}

/// Returns the answer to a name that no repository has: it names the nearest of those that the caller sees.
async fn unknown(service: &Service, caller: &Caller, name: &str) -> Result<Problem, Problem> {
    let all = service.catalog.all(&service.database).await?;
    let seen = all.iter().map(|entry| entry.document.name.as_str()).filter(|known| caller.sees(known));
    Ok(Problem::new(Code::RepositoryNotFound, format!("`{name}` is not built here{}", did_you_mean(name, seen))))
}

async fn asked(parts: &mut Parts, service: &Service) -> Result<(String, Caller), Problem> {
    let path = parts.uri.path().to_owned();
    let Path(RepositoryPath { namespace, name }) = Path::from_request_parts(parts, service)
        .await
        .map_err(|_| Problem::no_such_repository(path.trim_start_matches("/v1/repos/")))?;
    Ok((format!("{namespace}/{name}"), Caller::from_request_parts(parts, service).await?))
}

impl FromRequestParts<Service> for Visible {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Visible, Problem> {
        let (name, caller) = asked(parts, service).await?;
        Ok(Visible { entry: find(service, &caller, &name).await?, caller })
    }
}

impl FromRequestParts<Service> for Administered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Administered, Problem> {
        let (name, caller) = asked(parts, service).await?;
        Administered::find(service, &caller, name).await
    }
}

impl Administered {
    /// Finds a repository that a caller administers.
    pub(crate) async fn find(service: &Service, caller: &Caller, name: String) -> Result<Administered, Problem> {
        caller.require(Scope::Admin, &name)?;
        service.catalog.get(&service.database, &name).await?.ok_or_else(|| Problem::no_such_repository(&name))?;
        Ok(Administered { name })
    }
}

impl FromRequestParts<Service> for Changeable {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Changeable, Problem> {
        let (name, caller) = asked(parts, service).await?;
        Changeable::find(service, &caller, name).await
    }
}

impl Changeable {
    /// Finds a repository, existing or not, that a caller may change.
    pub(crate) async fn find(service: &Service, caller: &Caller, name: String) -> Result<Changeable, Problem> {
        caller.require(Scope::Admin, &name)?;
        service.catalog.changed();
        let present = service.catalog.get(&service.database, &name).await?;
        if service.catalog.is_fixed(&name) {
            let detail = format!("`{name}` is defined in the server's slipway.toml");
            return Err(Problem::new(Code::DefinedInFile, detail).hint("change it there and restart the server"));
        }
        Ok(Changeable { name, present, caller: caller.clone() })
    }
}

impl FromRequestParts<Service> for Present {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Present, Problem> {
        let Changeable { name, present, caller } = Changeable::from_request_parts(parts, service).await?;
        let entry = present.ok_or_else(|| Problem::no_such_repository(&name))?;
        Ok(Present { name, entry, caller })
    }
}

impl FromRequestParts<Service> for Actable {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Actable, Problem> {
        let caller = Caller::from_request_parts(parts, service).await?;
        if caller.token.is_none() {
            return Err(Problem::unauthorized());
        }
        let id = Path::<String>::from_request_parts(parts, service).await;
        let Path(id) = id.map_err(|_| service.no_such_build(caller.address))?;
        Actable::find(service, &caller, &id).await
    }
}

impl Actable {
    /// Finds a build that a caller may act on.
    pub(crate) async fn find(service: &Service, caller: &Caller, id: &str) -> Result<Actable, Problem> {
        if caller.token.is_none() {
            return Err(Problem::unauthorized());
        }
        let gone = || service.no_such_build(caller.address);
        let build = builds::find(service, caller, id).await?;
        match caller.require(Scope::Trigger, &build.request.repository) {
            Err(problem) if problem.code() == Code::RepositoryNotFound => Err(gone()),
            Err(problem) => Err(problem),
            Ok(token) => Ok(Actable { by: token.name.clone(), build }),
        }
    }
}
