//! `POST /v1/builds/{id}/rollback`: gives the tags of a build its image again.

use crate::api::named::Actable;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::build::BuildView;
use crate::view::code::Code;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Build, BuildId, RolledBack};

/// Queues a rollback; the answer is its build.
pub(crate) async fn roll_back(
    State(service): State<Service>,
    Actable { build, by }: Actable,
) -> Result<Response, Problem> {
    let id = queue(&service, &build, &by).await?;
    let queued = service.database.build(&id).await?.ok_or_else(Problem::no_such_build)?;
    let location = [(header::LOCATION, format!("/v1/builds/{}", id.as_str()))];
    Ok((StatusCode::ACCEPTED, location, axum::Json(BuildView::new(&queued, &service.settings))).into_response())
}

/// Queues a rollback to the image of `build` for the token `by`, and returns its id.
pub(crate) async fn queue(service: &Service, build: &Build, by: &str) -> Result<BuildId, Problem> {
    match service.database.roll_back(&build.id, by).await? {
        RolledBack::Queued(id) => {
            tracing::info!(build.id = id.as_str(), repo = build.request.repository, by, "a rollback was queued");
            Ok(id)
        }
        RolledBack::NoImage(state) => {
            let detail = format!("the build pushed no image that its tags could go back to: it is {}", state.as_str());
            Err(Problem::new(Code::NoImage, detail)
                .hint("choose a build that succeeded: GET /v1/builds?state=succeeded"))
        }
        RolledBack::NotFound => Err(Problem::no_such_build()),
    }
}
