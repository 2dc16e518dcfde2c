//! `POST /v1/repos/{namespace}/{name}/connect`: registers or repairs the webhook of a repository on its forge.

use super::named::Administered;
use crate::forges::{CallError, Connected, Hook, connect};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::repository::ConnectedView;
use axum::extract::State;

/// Connects a repository.
pub(crate) async fn run(
    State(service): State<Service>,
    Administered { name }: Administered,
) -> Result<axum::Json<ConnectedView>, Problem> {
    Ok(axum::Json(register(&service, &name).await?))
}

/// Registers or repairs the webhook of a repository on its forge.
pub(crate) async fn register(service: &Service, name: &str) -> Result<ConnectedView, Problem> {
    let entry = service.catalog.get(&service.database, name).await?;
    let entry = entry.ok_or_else(|| Problem::no_such_repository(name))?;
    let repository = &entry.repository;
    let forge = service.settings.forge_of(repository, None).ok_or_else(|| {
        let url = database::redact(&repository.clone_url);
        Problem::new(Code::NoForge, format!("no forge is configured for {url}"))
            .hint("the operator names it, with a token, under `[forges.\"HOST\"]` of slipway.toml")
    })?;
    if forge.app.is_some() {
        let detail =
            format!("`{}` has an App, whose webhook delivers for every repository that it is installed on", forge.host);
        return Err(Problem::new(Code::ForgeHasApp, detail)
            .hint("install the App on the repository: there is nothing to register"));
    }
    let key = repository.keys.first().ok_or_else(|| {
        Problem::new(Code::NoSecret, format!("`{name}` has no `secret`, which deliveries are signed with"))
            .hint("set one, for example that of `openssl rand -hex 32`")
    })?;
    let url = format!("{}/hooks/{}", service.settings.public_url, forge.kind.hook_name());
    let client = service.exchanges.client(forge);
    let hook = Hook { repository: &repository.forge_name, url: &url, key };
    let connected = connect(&client, &hook).await.map_err(|error| {
        // The forge may repeat what it was sent.
        let said = error.problem().replace(key.as_str(), "***");
        let code = if let CallError::Refused(_) = error { Code::ForgeRefused } else { Code::ForgeUnavailable };
        Problem::new(code, format!("{}: {said}", forge.host))
    })?;
    let Connected { id, is_new, faults } = connected;
    tracing::info!(repo = name, forge = forge.host, hook = id, is_new, "the webhook of a repository was registered");
    let action = match (is_new, faults.is_empty()) {
        (true, _) => "added",
        (false, true) => "confirmed",
        (false, false) => "repaired",
    };
    Ok(ConnectedView { forge: forge.host.clone(), hook: id, url, action: action.to_owned(), faults })
}
