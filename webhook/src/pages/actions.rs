//! Posts of the buttons on pages: each does what the API's request of the same name does, and leads back to a page.

use super::form::{Posted, see_other};
use crate::api::named::{Actable, Administered};
use crate::api::triggers::{self, TriggerRequest};
use crate::api::{approvals, builds, deliveries, queue, rollback, webhooks, workers};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use axum::extract::{Path, State};
use axum::response::Response;
use database::{BuildId, RetryFrom};

/// Repeats a build, from its start or from the step that failed.
pub(crate) async fn retry(
    State(service): State<Service>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    let from = match posted.fields.get("from") {
        "start" => RetryFrom::Start,
        "" | "failed_step" => RetryFrom::FailedStep,
        other => {
            let detail = format!("from `{other}`: `start` or `failed_step` is expected");
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
    };
    let Actable { build, .. } = Actable::find(&service, &posted.caller, &id).await?;
    Ok(to_build(&builds::repeat(&service, &build, from).await?))
}

/// Gives the tags of a build its image again.
pub(crate) async fn roll_back(
    State(service): State<Service>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Actable { build, by } = Actable::find(&service, &posted.caller, &id).await?;
    Ok(to_build(&rollback::queue(&service, &build, &by).await?))
}

/// Asks for the end of a build; one that waits for approval is rejected by that.
pub(crate) async fn cancel(
    State(service): State<Service>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Actable { build, .. } = Actable::find(&service, &posted.caller, &id).await?;
    builds::end(&service, &build).await?;
    Ok(to_build(&build.id))
}

/// Lets a build go that waits for approval.
pub(crate) async fn approve(
    State(service): State<Service>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Actable { build, by } = Actable::find(&service, &posted.caller, &id).await?;
    approvals::let_go(&service, &build, &by).await?;
    Ok(to_build(&build.id))
}

/// Queues builds of a repository.
pub(crate) async fn trigger(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let field = |name: &str| posted.fields.get(name);
    let request = TriggerRequest::of_form(field("ref"), field("commit"), field("rule"));
    let ids = triggers::queue(&service, &posted.caller, &name, &request).await?;
    Ok(match ids.as_slice() {
        [only] => to_build(only),
        _ => see_other(&format!("/repos/{name}")),
    })
}

/// Sends a delivery to a webhook again.
pub(crate) async fn send_again(
    State(service): State<Service>,
    Path((namespace, name, id)): Path<(String, String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let Administered { name } = Administered::find(&service, &posted.caller, name).await?;
    webhooks::send_again(&service, &name, &id).await?;
    Ok(see_other(&format!("/repos/{name}#webhooks")))
}

/// Pauses the queue.
pub(crate) async fn pause(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    queue::set_paused(&service, &posted.caller, true).await?;
    Ok(see_other("/queue"))
}

/// Resumes the queue.
pub(crate) async fn resume(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    queue::set_paused(&service, &posted.caller, false).await?;
    Ok(see_other("/queue"))
}

/// Gives a worker no more builds.
pub(crate) async fn drain(
    State(service): State<Service>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    workers::set_drained(&service, &posted.caller, &name, true).await?;
    Ok(see_other("/queue#workers"))
}

/// Gives a worker builds again.
pub(crate) async fn undrain(
    State(service): State<Service>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    workers::set_drained(&service, &posted.caller, &name, false).await?;
    Ok(see_other("/queue#workers"))
}

/// Applies the present rules to a delivery once more.
pub(crate) async fn replay(
    State(service): State<Service>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    deliveries::repeat(&service, &posted.caller, &id).await?;
    Ok(see_other("/deliveries"))
}

fn to_build(id: &BuildId) -> Response {
    see_other(&format!("/builds/{}", id.as_str()))
}
