//! The service itself: version, health, and the identity of the caller.

use crate::configuration::settings::{Scope, Token};
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
    let repositories = known.and_then(Token::only);
    let all = [Scope::Read, Scope::Trigger, Scope::Admin];
    let scopes = match (known, &repositories) {
        (None, _) => vec![Scope::Read],
        (Some(token), Some(names)) if token.has_owner() => {
            let is_granted = |scope: &Scope| names.iter().any(|name| token.allows(*scope, Some(name)));
            all.into_iter().filter(is_granted).collect()
        }
        (Some(token), _) => token.scopes.clone(),
    };
    Ok(axum::Json(CallerView {
        token: known.map(|token| token.name.clone()),
        account: caller.person.as_ref().map(|person| person.name.clone()),
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
