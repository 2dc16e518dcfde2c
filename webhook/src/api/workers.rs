//! `/v1/workers/{name}`: workers that are to get no more builds, before their machine is looked after.

use crate::configuration::document::did_you_mean;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::queue::WorkerView;
use axum::extract::{Path, State};

/// Gives a worker no more builds; those that it has go on.
pub(crate) async fn drain(
    State(service): State<Service>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<axum::Json<WorkerView>, Problem> {
    set_drained(&service, &caller, &name, true).await.map(axum::Json)
}

/// Gives a worker builds again.
pub(crate) async fn undrain(
    State(service): State<Service>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<axum::Json<WorkerView>, Problem> {
    set_drained(&service, &caller, &name, false).await.map(axum::Json)
}

/// Drains a worker or ends that, if the caller may.
pub(crate) async fn set_drained(
    service: &Service,
    caller: &Caller,
    name: &str,
    is_drained: bool,
) -> Result<WorkerView, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?;
    let workers = service.database.workers().await?;
    let Some(worker) = workers.iter().find(|worker| worker.name == name) else {
        let known = workers.iter().map(|worker| worker.name.as_str());
        let detail = format!("no worker is called `{name}`{}: GET /v1/queue lists them", did_you_mean(name, known));
        return Err(Problem::new(Code::WorkerNotFound, detail));
    };
    match is_drained {
        true => service.database.drain_worker(name).await?,
        false => service.database.undrain_worker(name).await?,
    }
    tracing::info!(worker = name, is_drained, by = by.name, "a worker was drained, or gets builds again");
    Ok(WorkerView { drained: is_drained, ..WorkerView::from(worker) })
}
