//! `POST /v1/builds/{id}/approve`: lets a build go that waits for approval.

use crate::api::named::Actable;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::build::BuildView;
use crate::view::code::Code;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use database::{Approved, Build};

/// Approves a build; once more changes nothing.
pub(crate) async fn approve(
    State(service): State<Service>,
    Actable { build, by }: Actable,
) -> Result<Response, Problem> {
    let status = if let_go(&service, &build, &by).await? { StatusCode::ACCEPTED } else { StatusCode::OK };
    let approved = service.database.build(&build.id).await?.ok_or_else(Problem::no_such_build)?;
    Ok((status, axum::Json(BuildView::new(&approved, &service.settings))).into_response())
}

/// Approves a build for the token `by`; tells whether it was not approved before.
pub(crate) async fn let_go(service: &Service, build: &Build, by: &str) -> Result<bool, Problem> {
    match service.database.approve(&build.id, by).await? {
        Approved::Queued => {
            tracing::info!(build.id = build.id.as_str(), repo = build.request.repository, by, "a build was approved");
            Ok(true)
        }
        Approved::Before(_) => Ok(false),
        Approved::AlreadyFinished(state) => {
            Err(Problem::new(Code::AlreadyFinished, format!("the build has ended: {}", state.as_str())))
        }
        Approved::NotHeld => Err(Problem::new(Code::NotHeld, "the build does not need an approval")),
        Approved::NotFound => Err(Problem::no_such_build()),
    }
}
