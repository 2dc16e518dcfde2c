//! The service itself: version, health, and the identity of the caller.

use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::service::{CallerView, VersionView};
use axum::extract::State;
use axum::response::{IntoResponse, Response};

/// Returns the version.
pub(crate) async fn version() -> Response {
    axum::Json(VersionView { name: "slipway".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
        .into_response()
}

/// Says who the caller is.
pub(crate) async fn whoami(caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    let known = caller.token.as_ref();
    let scopes = known.map(|token| token.scopes.clone()).unwrap_or_else(|| vec![Scope::Read]);
    let repositories = known.map(|token| token.repositories.clone()).filter(|names| !names.is_empty());
    Ok(axum::Json(CallerView {
        token: known.map(|token| token.name.clone()),
        anonymous: known.is_none(),
        scopes: scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect(),
        repositories,
    })
    .into_response())
}

/// Says whether the process answers at all.
pub(crate) async fn alive() -> Response {
    "ok\n".into_response()
}

/// Says whether deliveries would be accepted now.
pub(crate) async fn ready(State(service): State<Service>) -> Result<Response, Problem> {
    Ok(service.readiness.check(&service.database).await?.into_response())
}
