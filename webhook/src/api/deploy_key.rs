//! `/v1/repos/{namespace}/{name}/key`: the deploy key of a repository, of which only the public half is shown.

use super::named::Administered;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::repository::DeployKeyView;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use database::DeployKey;
use serde::Deserialize;

/// A request for a key.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Making {
    /// Whether another key takes the place of the one that there is.
    rotate: bool,
}

/// Shows the key.
pub(crate) async fn show(
    State(service): State<Service>,
    Administered { name }: Administered,
) -> Result<axum::Json<DeployKeyView>, Problem> {
    let key = service.database.deploy_key(&name).await?;
    let key = key.ok_or_else(|| {
        Problem::new(Code::KeyNotFound, format!("`{name}` has no deploy key"))
            .hint("`slipway repo key` makes one, and so does POST to the same path")
    })?;
    Ok(axum::Json(view(&key)))
}

/// Makes the key, if there is none or another one is wanted.
pub(crate) async fn make(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, axum::Json<DeployKeyView>), Problem> {
    let has_body =
        headers.get("content-length").is_some_and(|length| length != "0") || headers.contains_key("transfer-encoding");
    let making = if has_body { body::document::<Making>(&headers, body).await?.0 } else { Making::default() };
    let known = service.database.deploy_key(&name).await?;
    if let Some(key) = known.filter(|_| !making.rotate) {
        return Ok((StatusCode::OK, axum::Json(view(&key))));
    }
    let key = service.database.make_deploy_key(&name).await?;
    tracing::info!(repo = name, fingerprint = key.fingerprint(), "a deploy key was made");
    Ok((StatusCode::CREATED, axum::Json(view(&key))))
}

fn view(key: &DeployKey) -> DeployKeyView {
    DeployKeyView { public_key: key.public_line(), fingerprint: key.fingerprint() }
}
