//! `/v1/repos/{namespace}/{name}/secrets`: written, never read.

use super::named::Administered;
use crate::configuration::document::check_name;
use crate::http::answer;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::repository::{SecretList, SecretName, SecretWritten};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::Deserialize;

/// Largest secret.
const MAX_SECRET: usize = 64 * 1024;
/// Shorter ones cannot be masked in logs.
const SHORT: usize = 4;

/// Lists the names of a repository's secrets.
pub(crate) async fn list(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let secrets = names(&service, &name).await?.into_iter().map(|name| SecretName { name }).collect();
    Ok(answer::document(&headers, &SecretList { secrets }))
}

/// The secret that a path names.
#[derive(Deserialize)]
pub(crate) struct SecretPath {
    secret: String,
}

/// A secret as it comes: a text, or bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Writing {
    value: Option<String>,
    value_base64: Option<String>,
}

/// Writes a secret.
pub(crate) async fn put(
    State(service): State<Service>,
    Administered { name }: Administered,
    Path(SecretPath { secret }): Path<SecretPath>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let invalid = |problem: &str| Problem::new(Code::InvalidSecret, problem);
    // A name that is wrong is told before the body is read.
    check_name("secret", &secret).map_err(|problem| Problem::new(Code::InvalidSecret, problem))?;
    let (writing, _) = body::document::<Writing>(&headers, body).await?;
    let value = match (writing.value, writing.value_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => {
            base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| invalid("value_base64 is not base64"))?
        }
        _ => return Err(invalid("a secret has either `value` or `value_base64`")),
    };
    let warning = write(&service, &name, &secret, &value).await?;
    Ok(axum::Json(SecretWritten { name: secret, warning }).into_response())
}

/// Writes a secret of a repository; returns a warning about it, if there is one.
pub(crate) async fn write(
    service: &Service,
    repository: &str,
    secret: &str,
    value: &[u8],
) -> Result<Option<String>, Problem> {
    check_name("secret", secret).map_err(|problem| Problem::new(Code::InvalidSecret, problem))?;
    if value.is_empty() || value.len() > MAX_SECRET {
        return Err(Problem::new(Code::InvalidSecret, format!("a secret has 1 to {MAX_SECRET} bytes")));
    }
    service.database.put_secret(repository, secret, value).await?;
    tracing::info!(repo = repository, secret, "a secret was written");
    Ok((value.len() < SHORT).then(|| "the secret is too short to be masked in logs".to_owned()))
}

/// Removes a secret.
pub(crate) async fn remove(
    State(service): State<Service>,
    Administered { name }: Administered,
    Path(SecretPath { secret }): Path<SecretPath>,
) -> Result<Response, Problem> {
    delete(&service, &name, &secret).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Removes a secret of a repository.
pub(crate) async fn delete(service: &Service, repository: &str, secret: &str) -> Result<(), Problem> {
    let known = check_name("secret", secret).is_ok() && service.database.delete_secret(repository, secret).await?;
    if !known {
        return Err(Problem::new(Code::SecretNotFound, format!("`{repository}` has no secret `{secret}`")));
    }
    tracing::info!(repo = repository, secret, "a secret was removed");
    Ok(())
}

/// Returns the names of a repository's secrets, without those that slipway keeps itself.
pub(crate) async fn names(service: &Service, repository: &str) -> Result<Vec<String>, Problem> {
    let names = service.database.secret_names(repository).await?;
    Ok(names.into_iter().filter(|name| !name.starts_with('@')).collect())
}
