//! `/v1/queue`: the order of queued builds, the reason why each waits, and pausing.

use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::queue::{PausedView, QueueView, QueuedBuildView, WorkerView};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

/// Builds that are shown.
const MAX_SHOWN: u32 = 200;

/// Shows the queue in the order in which it is likely to be worked off.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let database = &service.database;
    let (queued, length) = (database.queue(MAX_SHOWN).await?, database.queue_length().await?);
    let builds = queued.iter().filter(|build| caller.sees(&build.repository)).map(QueuedBuildView::from).collect();
    let workers = database.workers().await?.iter().map(WorkerView::from).collect();
    let queue = QueueView { paused: database.is_queue_paused().await?, length, builds, workers };
    Ok(answer::document(&headers, &queue))
}

/// Stops giving out builds; what runs goes on, what comes is queued.
pub(crate) async fn pause(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    set_paused(&service, &caller, true).await?;
    Ok(axum::Json(PausedView { paused: true }).into_response())
}

/// Gives out builds again.
pub(crate) async fn resume(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    set_paused(&service, &caller, false).await?;
    Ok(axum::Json(PausedView { paused: false }).into_response())
}

/// Pauses or resumes the queue, if the caller may.
pub(crate) async fn set_paused(service: &Service, caller: &Caller, paused: bool) -> Result<(), Problem> {
    caller.require_everywhere(Scope::Admin)?;
    if paused {
        service.database.pause_queue().await?;
        tracing::info!("the queue was paused");
    } else {
        service.database.resume_queue().await?;
        tracing::info!("the queue was resumed");
    }
    Ok(())
}
