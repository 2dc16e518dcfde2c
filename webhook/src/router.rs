//! All routes of the service, and what is around them: headers of every answer, and requests that are refused at once.

use crate::api;
use crate::configuration::Settings;
use crate::forges::{Exchange, Exchanges};
use crate::http::audit;
use crate::http::compress;
use crate::http::problem::{self, Problem};
use crate::http::public_path;
use crate::http::readiness::Readiness;
use crate::http::state::Service;
use crate::intake::hooks;
use crate::pages;
use crate::pages::registry_images::RegistryImages;
use crate::pages::sign_in::Ways;
use crate::view::code::Code;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use database::Database;
use std::path::PathBuf;
use std::sync::Arc;
use tower_http::set_header::SetResponseHeaderLayer;

/// Headers of every answer: nothing is loaded from elsewhere, nothing is framed, nothing is guessed.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    // With `no-referrer`, browsers would send `Origin: null` with the forms of our own pages.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'self'",
    ),
];

/// Headers that come once or not at all: of two, each server on the way could read another one.
const ONCE: [&str; 7] =
    ["host", "content-length", "content-type", "authorization", "idempotency-key", "origin", "sec-fetch-site"];

/// Returns all routes. Long bodies lie in `spool` while they arrive.
pub fn router(
    database: Database,
    settings: Settings,
    readiness: Arc<Readiness>,
    spool: PathBuf,
    exchange: Arc<dyn Exchange>,
    registry: Arc<dyn RegistryImages>,
) -> Router {
    let path: Arc<str> = public_path::path_of(&settings.public_url).into();
    let ways = Arc::new(Ways::new(&settings));
    let service = Service::new(database, settings, readiness, spool, Exchanges::new(exchange), registry);
    let routes = repository_routes().merge(build_routes()).merge(page_routes()).merge(action_routes());
    let routes = routes.merge(registry_routes()).merge(people_routes()).merge(service_routes());
    let routes = routes
        .fallback(problem::no_such_page)
        .layer(from_fn_with_state(service.clone(), audit::watch))
        .layer(from_fn(guard))
        .layer(DefaultBodyLimit::disable())
        .with_state(service);
    // Around all routes: only there it is known which methods a path takes.
    let whole = Router::new()
        .fallback_service(routes)
        .layer(from_fn(name_methods))
        .layer(from_fn_with_state(ways, pages::problem::show))
        .layer(from_fn_with_state(path, public_path::link))
        .layer(from_fn(compress::compress));
    HEADERS.into_iter().fold(whole, |whole, (name, value)| {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        whole.layer(SetResponseHeaderLayer::if_not_present(name, value))
    })
}

fn repository_routes() -> Router<Service> {
    use api::{repositories, rules, secrets, triggers, webhooks};
    let one = get(repositories::show).put(repositories::put).patch(repositories::patch).delete(repositories::remove);
    Router::new()
        .route("/v1/repos", get(repositories::list).post(repositories::add))
        .route("/v1/repos/{namespace}/{name}", one)
        .route("/v1/repos/{namespace}/{name}/rules", get(rules::show).put(rules::put))
        .route("/v1/repos/{namespace}/{name}/rules:test", post(rules::test))
        .route("/v1/repos/{namespace}/{name}/reconcile", get(api::reconcile::show))
        .route("/v1/repos/{namespace}/{name}/base-images", get(api::reconcile::base_images))
        .route("/v1/repos/{namespace}/{name}/usage", get(api::usage::show))
        .route("/v1/repos/{namespace}/{name}/secrets", get(secrets::list))
        .route("/v1/repos/{namespace}/{name}/secrets/{secret}", put(secrets::put).delete(secrets::remove))
        .route("/v1/repos/{namespace}/{name}/webhooks", get(webhooks::list))
        .route("/v1/repos/{namespace}/{name}/webhooks/deliveries", get(webhooks::deliveries))
        .route("/v1/repos/{namespace}/{name}/webhooks/deliveries/{id}/replay", post(webhooks::replay))
        .route("/v1/repos/{namespace}/{name}/connect", post(api::connect::run))
        .route("/v1/repos/{namespace}/{name}/forge-deliveries", get(api::forge_deliveries::show))
        .route("/v1/repos/{namespace}/{name}/forge-deliveries/redeliver", post(api::forge_deliveries::redeliver))
        .route("/v1/repos/{namespace}/{name}/key", get(api::deploy_key::show).post(api::deploy_key::make))
        .route("/v1/repos/{namespace}/{name}/builds", post(triggers::trigger))
        .route("/v1/repos/{namespace}/{name}/builds/{number}", get(api::builds::numbered))
        .route("/u/{namespace}/{name}/trigger/{token}", post(api::dockerhub::trigger))
        .route("/u/{namespace}/{name}/trigger/{token}/", post(api::dockerhub::trigger))
}

fn build_routes() -> Router<Service> {
    use api::{approvals, builds, deliveries, differences, explain, logs, queue, rollback, workers};
    Router::new()
        .route("/hooks/{forge}", post(hooks::take))
        .route("/v1/builds", get(builds::list))
        .route("/v1/builds/{id}", get(builds::show))
        .route("/v1/builds/{id}/logs", get(logs::show))
        .route("/v1/builds/{id}/trace", get(builds::trace))
        .route("/v1/builds/{id}/explain", get(explain::show))
        .route("/v1/builds/{id}/diff", get(differences::show))
        .route("/v1/builds/{id}/approve", post(approvals::approve))
        .route("/v1/builds/{id}/cancel", post(builds::cancel))
        .route("/v1/builds/{id}/retry", post(builds::retry))
        .route("/v1/builds/{id}/rollback", post(rollback::roll_back))
        .route("/v1/queue", get(queue::show))
        .route("/v1/queue/pause", post(queue::pause))
        .route("/v1/queue/resume", post(queue::resume))
        .route("/v1/workers/{name}/drain", post(workers::drain))
        .route("/v1/workers/{name}/undrain", post(workers::undrain))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::show))
        .route("/v1/deliveries/{id}/replay", post(deliveries::replay))
}

fn registry_routes() -> Router<Service> {
    use api::{registry, registry_images};
    Router::new()
        .route("/v1/forges", get(api::forges::list))
        .route("/v1/forges/{host}/app", delete(api::forges::remove_app))
        .route("/v1/registry/users", get(registry::users).post(registry::add))
        .route("/v1/registry/users/{user}", get(registry::show).delete(registry::remove))
        .route("/v1/registry/users/{user}/password", put(registry::change_password))
        .route("/v1/registry/rights", get(registry::rights).put(registry::allow).delete(registry::deny))
        .route("/v1/registry/repositories", get(registry_images::repositories))
        .route("/v1/registry/repository", get(registry_images::repository))
        .route("/v1/registry/restore", post(registry_images::restore))
}

fn people_routes() -> Router<Service> {
    use api::{accounts, device, own_tokens};
    use pages::{account, audit_log, device as device_page};
    Router::new()
        .route("/v1/tokens", get(own_tokens::list).post(own_tokens::add))
        .route("/v1/tokens/{token}", delete(own_tokens::remove))
        .route("/v1/sessions", get(own_tokens::sessions).delete(own_tokens::end_sessions))
        .route("/v1/sessions/{session}", delete(own_tokens::end_session))
        .route("/v1/accounts", get(accounts::list).post(accounts::add))
        .route("/v1/accounts/{id}", delete(accounts::remove))
        .route("/v1/accounts/{id}/rights", put(accounts::put_rights))
        .route("/v1/accounts/{id}/tokens", post(accounts::add_token))
        .route("/v1/accounts/{id}/sessions", delete(accounts::end_sessions))
        .route("/v1/audit", get(accounts::audit))
        .route("/v1/device", post(device::begin))
        .route("/v1/device/token", post(device::token))
        .route("/account", get(account::show))
        .route("/account/tokens", post(account::add_token))
        .route("/account/tokens/revoke", post(account::revoke_token))
        .route("/account/sessions/end", post(account::end_sessions))
        .route("/account/sessions/{session}/end", post(account::end_session))
        .route("/account/device", get(device_page::show).post(device_page::answer))
        .route("/audit", get(audit_log::show))
}

fn page_routes() -> Router<Service> {
    Router::new()
        .route("/", get(pages::builds::list))
        .route("/builds/{id}", get(pages::build::show))
        .route("/builds/{id}/explain", get(pages::explain::show))
        .route("/builds/{id}/image", get(pages::image::show))
        .route("/builds/{id}/diff", get(pages::difference::show))
        .route("/repos", get(pages::repositories::list))
        .route("/repos/{namespace}/{name}", get(pages::repository::show))
        .route("/queue", get(pages::queue::show))
        .route("/deliveries", get(pages::deliveries::list))
        .route("/deliveries/{id}", get(pages::delivery::show))
        .route("/disk", get(pages::disk::show))
        .route("/registry", get(pages::registry::list))
        .route("/registry/repository", get(pages::registry::show))
        .route("/assets/{file}", get(pages::asset::show))
        .route("/favicon.ico", get(pages::asset::icon))
        .route("/badges/{namespace}/{file}", get(api::badges::show))
        .route("/docker/cloud/build/{namespace}/{file}", get(api::badges::show_hub))
        .route("/docker/build/{namespace}/{file}", get(api::badges::show_hub))
}

fn action_routes() -> Router<Service> {
    use pages::{actions, connect, provider_sign_in, repository_settings, sign_in};
    Router::new()
        .route("/login", get(sign_in::show).post(sign_in::submit))
        .route("/login/with/{provider}", get(provider_sign_in::begin))
        .route("/login/callback/{provider}", get(provider_sign_in::finish))
        .route("/logout", post(sign_in::leave))
        .route("/builds/{id}/retry", post(actions::retry))
        .route("/builds/{id}/rollback", post(actions::roll_back))
        .route("/builds/{id}/cancel", post(actions::cancel))
        .route("/builds/{id}/approve", post(actions::approve))
        .route("/repos/{namespace}/{name}/builds", post(actions::trigger))
        .route("/repos/{namespace}/{name}/webhooks/deliveries/{id}/replay", post(actions::send_again))
        .route("/connect", get(connect::begin).post(connect::add))
        .route("/repos/{namespace}/{name}/connect", get(connect::show).post(connect::register))
        .route("/repos/{namespace}/{name}/forge-deliveries", get(pages::forge_deliveries::show))
        .route("/repos/{namespace}/{name}/forge-deliveries/redeliver", post(pages::forge_deliveries::redeliver))
        .route("/repos/{namespace}/{name}/settings", get(repository_settings::show).post(repository_settings::save))
        .route("/repos/{namespace}/{name}/secrets", post(repository_settings::put_secret))
        .route("/repos/{namespace}/{name}/secrets/remove", post(repository_settings::remove_secret))
        .route("/repos/{namespace}/{name}/remove", post(repository_settings::remove))
        .route("/forges", get(pages::forges::list))
        .route("/forges/{host}/app", get(pages::forges::begin))
        .route("/forges/{host}/app/back", get(pages::forges::back))
        .route("/forges/{host}/app/made", get(pages::forges::finish))
        .route("/forges/{host}/app/remove", post(pages::forges::remove))
        .route("/disk/clean", post(pages::disk::clean))
        .route("/registry-restore", post(pages::registry::restore))
        .route("/queue/pause", post(actions::pause))
        .route("/queue/resume", post(actions::resume))
        .route("/workers/{name}/drain", post(actions::drain))
        .route("/workers/{name}/undrain", post(actions::undrain))
        .route("/deliveries/{id}/replay", post(actions::replay))
}

fn service_routes() -> Router<Service> {
    use api::service;
    Router::new()
        .route("/v1/openapi.json", get(api::openapi::show))
        .route("/v1/version", get(service::version))
        .route("/v1/whoami", get(service::whoami))
        .route("/healthz", get(service::alive))
        .route("/readyz", get(service::ready))
        .route("/metrics", get(api::metrics::show))
}

/// Refuses requests whose end two servers could see in different places, and those that another site makes a browser
/// send: a browser adds the password that it was given, wherever a request comes from.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return ambiguous("Transfer-Encoding and Content-Length came together".to_owned());
    }
    if let Some(name) = ONCE.into_iter().find(|name| headers.get_all(*name).iter().count() > 1) {
        return ambiguous(format!("the header {name} came twice: another server could read the other one"));
    }
    if !request.method().is_safe() && is_cross_site(headers) {
        let detail = "another site's page may not change anything here";
        return Problem::new(Code::CrossSite, detail).into_response();
    }
    next.run(request).await
}

fn ambiguous(detail: String) -> Response {
    ([(header::CONNECTION, "close")], Problem::new(Code::AmbiguousRequest, detail)).into_response()
}

/// Says which methods a path takes, where a request has another one.
async fn name_methods(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let allowed = response.headers().get(header::ALLOW).cloned();
    match allowed.filter(|_| response.status() == StatusCode::METHOD_NOT_ALLOWED) {
        Some(allowed) => {
            let taken = allowed.to_str().unwrap_or_default().replace(',', ", ");
            let problem = problem::method_not_allowed(&method, &taken);
            ([(header::ALLOW, allowed)], problem).into_response()
        }
        None => response,
    }
}

/// Tells whether a browser says that a request comes from another site's page. Forges and tools say nothing.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text("host"),
        (None, None) => false,
    }
}
