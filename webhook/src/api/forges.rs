//! `/v1/forges`: the forges of the configuration, and Apps that were made of them on a page.

use crate::configuration::settings::Scope;
use crate::forges::made_apps;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::forge::{ForgeAppView, ForgeList, ForgeView};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// Lists the forges.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(answer::document(&headers, &ForgeList { forges: listed(&service).await? }))
}

/// Forgets an App that was made on a page.
pub(crate) async fn remove_app(
    State(service): State<Service>,
    Path(host): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    forget(&service, &host).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Returns all forges.
pub(crate) async fn listed(service: &Service) -> Result<Vec<ForgeView>, Problem> {
    let forges = &service.settings.forges;
    made_apps::load(&service.database, forges).await?;
    let mut all = Vec::new();
    for forge in forges.all() {
        let made =
            if made_apps::may_be_made(forge) { made_apps::of(&service.database, &forge.host).await? } else { None };
        let app = forge.app.get().map(|app| ForgeAppView {
            id: app.id,
            is_made: !forge.app.is_configured(),
            name: made.as_ref().map(|made| made.name.clone()),
            page: made.as_ref().map(|made| made.page.clone()),
            made_by: made.as_ref().map(|made| made.by.clone()),
        });
        all.push(ForgeView {
            host: forge.host.clone(),
            kind: forge.kind.as_str().to_owned(),
            has_token: forge.authorization().is_some(),
            may_have_app: made_apps::may_be_made(forge),
            app,
        });
    }
    Ok(all)
}

/// Forgets the App that was made of a forge.
pub(crate) async fn forget(service: &Service, host: &str) -> Result<(), Problem> {
    let forge = service.settings.forges.named(host).filter(|forge| made_apps::may_be_made(forge));
    let none = || Problem::new(Code::NotFound, format!("no App was made of a forge `{host}`"));
    let forge = forge.ok_or_else(none)?;
    if !made_apps::remove(&service.database, &forge.host).await? {
        return Err(none());
    }
    made_apps::load(&service.database, &service.settings.forges).await?;
    tracing::info!(forge = forge.host, "an App was forgotten");
    Ok(())
}
