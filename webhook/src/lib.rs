//! HTTP for people and forges: deliveries, rules, triggers, status, logs, pages.
//!
//! Runs no command, unpacks no file, reads no Dockerfile: whatever is accepted is stored, and workers take it from there.
#![forbid(unsafe_code)]

mod access;
mod builds;
mod configuration;
mod forge;
mod github;
mod hooks;
mod logs;
mod pages;
mod problem;
mod requests;
mod rules;
mod sandbox;
mod secret;
mod settings;
mod triggers;

pub use configuration::{Configuration, ConfigurationError, Limits, Login, Server};
pub use forge::tell_statuses;
pub use rules::{Matched, Pushed, RefKind, Rule};
pub use sandbox::Sandbox;
pub use settings::{Repository, Scope, Settings, Token};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use database::Database;
use std::sync::Arc;
use std::time::Duration;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// How long a request may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What every request has at hand.
#[derive(Clone)]
pub(crate) struct Service {
    pub database: Database,
    pub settings: Arc<Settings>,
}

/// Returns all routes.
pub fn router(database: Database, settings: Settings) -> Router {
    let service = Service { database, settings: Arc::new(settings) };
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    Router::new()
        .route("/", get(pages::list))
        .route("/builds/{id}", get(pages::build))
        .route("/style.css", get(pages::style))
        .route("/hooks/github", post(hooks::github))
        .route("/v1/repos/{namespace}/{name}/builds", post(triggers::trigger))
        .route("/v1/builds", get(builds::list))
        .route("/v1/builds/{id}", get(builds::show))
        .route("/v1/builds/{id}/logs", get(logs::show))
        .route("/v1/builds/{id}/cancel", post(builds::cancel))
        .route("/v1/version", get(version))
        .route("/healthz", get(health))
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(BODY_TIME))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "no-referrer"))
        .layer(header(
            "content-security-policy",
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ))
        .with_state(service)
}

async fn version() -> Response {
    axum::Json(serde_json::json!({ "name": "slipway", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

async fn health(axum::extract::State(service): axum::extract::State<Service>) -> Response {
    let filter = database::BuildFilter { limit: 1, ..database::BuildFilter::default() };
    match service.database.builds(&filter).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => problem::Problem::from(error).into_response(),
    }
}
