//! The audit log, written where requests end: whatever changed something is in it, with who did it.

use crate::http::auth::{Address, Signature};
use crate::http::state::Service;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use database::{BuildId, NewAuditEntry};
use std::net::IpAddr;

/// The subject of a deed, where the path does not name it: handlers add it to their answers.
#[derive(Debug, Clone)]
pub(crate) struct Subject(pub String);

/// Deeds by the end of a route, those of pages and of the API alike.
const DEEDS: [(&str, &str, &str); 51] = [
    ("POST", "/v1/repos", "repository_added"),
    ("PUT", "/v1/repos/{namespace}/{name}", "repository_changed"),
    ("PATCH", "/v1/repos/{namespace}/{name}", "repository_changed"),
    ("DELETE", "/v1/repos/{namespace}/{name}", "repository_removed"),
    ("PUT", "/rules", "rules_changed"),
    ("PUT", "/secrets/{secret}", "secret_written"),
    ("DELETE", "/secrets/{secret}", "secret_removed"),
    ("POST", "/webhooks/deliveries/{id}/replay", "webhook_replayed"),
    ("POST", "/{name}/connect", "webhook_connected"),
    ("POST", "/connect", "repository_added"),
    ("POST", "/{name}/settings", "repository_changed"),
    ("POST", "/{name}/remove", "repository_removed"),
    ("POST", "/{name}/secrets", "secret_written"),
    ("POST", "/{name}/secrets/remove", "secret_removed"),
    ("POST", "/{name}/forge-deliveries/redeliver", "redelivery_asked"),
    ("POST", "/{name}/key", "deploy_key_made"),
    ("POST", "/workers/{name}/drain", "worker_drained"),
    ("POST", "/workers/{name}/undrain", "worker_undrained"),
    ("POST", "/disk/clean", "disk_cleaned"),
    ("POST", "/registry-restore", "registry_tag_restored"),
    ("POST", "/v1/registry/restore", "registry_tag_restored"),
    ("POST", "/{namespace}/{name}/builds", "build_triggered"),
    ("POST", "/builds/{id}/approve", "build_approved"),
    ("POST", "/builds/{id}/cancel", "build_cancelled"),
    ("POST", "/builds/{id}/retry", "build_retried"),
    ("POST", "/builds/{id}/rollback", "build_rolled_back"),
    ("POST", "/queue/pause", "queue_paused"),
    ("POST", "/queue/resume", "queue_resumed"),
    ("POST", "/deliveries/{id}/replay", "delivery_replayed"),
    ("POST", "/v1/registry/users", "registry_account_added"),
    ("DELETE", "/v1/registry/users/{user}", "registry_account_removed"),
    ("PUT", "/v1/registry/users/{user}/password", "registry_password_changed"),
    ("PUT", "/v1/registry/rights", "registry_right_given"),
    ("DELETE", "/v1/registry/rights", "registry_right_taken"),
    ("POST", "/forges/{host}/app/remove", "forge_app_removed"),
    ("DELETE", "/v1/forges/{host}/app", "forge_app_removed"),
    ("POST", "/logout", "sign_out"),
    ("POST", "/account/sessions/end", "sessions_ended"),
    ("DELETE", "/v1/sessions", "sessions_ended"),
    ("POST", "/account/sessions/{session}/end", "session_ended"),
    ("DELETE", "/v1/sessions/{session}", "session_ended"),
    ("POST", "/account/tokens", "token_made"),
    ("POST", "/v1/tokens", "token_made"),
    ("POST", "/account/tokens/revoke", "token_revoked"),
    ("DELETE", "/v1/tokens/{token}", "token_revoked"),
    ("POST", "/account/device", "device_confirmed"),
    ("POST", "/v1/accounts", "account_added"),
    ("DELETE", "/v1/accounts/{id}", "account_removed"),
    ("PUT", "/v1/accounts/{id}/rights", "rights_changed"),
    ("POST", "/v1/accounts/{id}/tokens", "token_made"),
    ("DELETE", "/v1/accounts/{id}/sessions", "sessions_ended"),
];

/// Returns the deed that a request to a route is, if it succeeds; the longest end that fits says it.
pub(crate) fn deed(method: &str, route: &str) -> Option<&'static str> {
    let fits = |known: &&(&str, &str, &str)| known.0 == method && route.ends_with(known.1);
    DEEDS.iter().filter(fits).max_by_key(|known| known.1.len()).map(|known| known.2)
}

/// Writes who did what, once it is done.
pub(crate) async fn watch(State(service): State<Service>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let deed = route.as_deref().and_then(|route| deed(request.method().as_str(), route));
    let (Some(deed), Some(route)) = (deed, route) else { return next.run(request).await };
    let signature = Signature::default();
    request.extensions_mut().insert(signature.clone());
    let path = request.uri().path().to_owned();
    let (mut parts, body) = request.into_parts();
    let Ok(Address(address)) = Address::from_request_parts(&mut parts, &service).await;
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    // A plan of a build, an approval that was given before, and a key that is there change nothing.
    let is_done = status.is_success() || status == StatusCode::SEE_OTHER;
    let is_idle = status == StatusCode::OK && matches!(deed, "build_triggered" | "build_approved" | "deploy_key_made");
    let Some(actor) = signature.name().filter(|_| is_done && !is_idle) else { return response };
    let said = said(&response);
    let (repository, subject) = done_to(&service, &route, &path, said).await;
    service.record(actor, address, deed, &repository, &subject).await;
    response
}

/// Returns what an answer says that something was done to.
fn said(response: &Response) -> Option<String> {
    let said = response.extensions().get::<Subject>().map(|subject| subject.0.clone());
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let made = location.and_then(|location| location.rsplit('/').next());
    said.or_else(|| made.filter(|_| response.status() == StatusCode::CREATED).map(str::to_owned))
}

/// Returns the repository and the thing that something was done to, as path and answer name them.
async fn done_to(service: &Service, route: &str, path: &str, said: Option<String>) -> (String, String) {
    let names = route.split('/').zip(path.split('/'));
    let named: Vec<(&str, &str)> = names.filter(|pair| pair.0.starts_with('{')).collect();
    let value = |name: &str| named.iter().find(|known| known.0 == name).map(|known| known.1);
    let repository = match (value("{namespace}"), value("{name}")) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => of_build(service, value("{id}")).await,
    };
    let is_repository = |name: &str| value("{namespace}").is_some() && matches!(name, "{namespace}" | "{name}");
    let others = named.iter().filter(|known| !is_repository(known.0)).map(|known| known.1);
    let subject = said.unwrap_or_else(|| others.collect::<Vec<_>>().join("/"));
    (repository, subject)
}

/// Returns the repository of the build that a path names, if it names one.
async fn of_build(service: &Service, id: Option<&str>) -> String {
    let Some(id) = id.and_then(BuildId::parse) else { return String::new() };
    let build = service.database.build(&id).await.ok().flatten();
    build.map(|build| build.request.repository.clone()).unwrap_or_default()
}

impl Service {
    /// Writes an entry. The deed is done: a database that fails now takes nothing back, and the log says so.
    pub(crate) async fn record(
        &self,
        actor: &str,
        address: IpAddr,
        action: &'static str,
        repository: &str,
        subject: &str,
    ) {
        let (actor, address) = (actor.to_owned(), address.to_string());
        let (repository, subject) = (repository.to_owned(), subject.to_owned());
        let entry = NewAuditEntry { actor, address, action, repository, subject };
        if let Err(error) = self.database.write_audit(&entry).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                error,
                action,
                actor = entry.actor,
                subject = entry.subject,
                "the audit log cannot be written"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that change nothing, or that are in the log of their own accord.
    const OTHERS: [(&str, &str); 7] = [
        ("POST", "/hooks/{forge}"),
        ("POST", "/login"),
        ("POST", "/u/{namespace}/{name}/trigger/{token}"),
        ("POST", "/u/{namespace}/{name}/trigger/{token}/"),
        ("POST", "/v1/device"),
        ("POST", "/v1/device/token"),
        ("POST", "/v1/repos/{namespace}/{name}/rules:test"),
    ];

    #[test]
    fn every_request_that_changes_something_is_a_deed() {
        for operation in crate::api::operations::operations() {
            let (method, route) = (operation.method.to_uppercase(), operation.path);
            let is_other = OTHERS.contains(&(method.as_str(), route)) || method == "GET";
            assert!(deed(&method, route).is_some() != is_other, "{method} {route}");
        }
        assert_eq!(deed("POST", "/v1/builds/{id}/retry"), Some("build_retried"));
        assert_eq!(deed("POST", "/repos/{namespace}/{name}/builds"), Some("build_triggered"));
        assert_eq!(deed("POST", "/connect"), Some("repository_added"));
        assert_eq!(deed("POST", "/repos/{namespace}/{name}/secrets/remove"), Some("secret_removed"));
        assert_eq!(deed("POST", "/repos/{namespace}/{name}/webhooks/deliveries/{id}/replay"), Some("webhook_replayed"));
    }
}
