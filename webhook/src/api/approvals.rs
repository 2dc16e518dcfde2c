//! `POST /v1/builds/{id}/approve`: lets a build go that waits for approval.

use crate::api::named::Actable;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::build::BuildView;
use crate::view::code::Code;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use database::Approved;

/// Approves a build; once more changes nothing.
pub async fn approve(State(service): State<Service>, Actable { build, by }: Actable) -> Result<Response, Problem> {
    let status = match service.database.approve(&build.id, &by).await? {
        Approved::Queued => {
            tracing::info!(build.id = build.id.as_str(), repo = build.request.repository, by, "a build was approved");
            StatusCode::ACCEPTED
        }
        Approved::Before(_) => StatusCode::OK,
        Approved::AlreadyFinished(state) => {
            return Err(Problem::new(Code::AlreadyFinished, format!("the build has ended: {}", state.as_str())));
        }
        Approved::NotHeld => return Err(Problem::new(Code::NotHeld, "the build does not need an approval")),
        Approved::NotFound => return Err(Problem::no_such_build()),
    };
    let approved = service.database.build(&build.id).await?.ok_or_else(Problem::no_such_build)?;
    Ok((status, axum::Json(BuildView::new(&approved, &service.settings))).into_response())
}
