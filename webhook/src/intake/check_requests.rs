//! Requests at check runs: a retry or an approval, for people who may push to the repository, as its forge says.

use super::accept::Accepting;
use super::catalog::Entry;
use super::decision::Decision;
use crate::forges::{CallError, CheckAction, CheckRequest, Event, Purpose, current_name, may_push};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::first_line;
use crate::view::code::Code;
use crate::view::delivery::{DeliveryAnswer, IgnoredView, ReceivedView, StoredBuild};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use database::{Accepted, Approved, Build, BuildFilter, BuildId, BuildState, Retried, RetryFrom};
use std::time::Duration;

/// How long the forge may take to say what a user may do; it gives up on its delivery after ten seconds.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Builds of a commit that are looked at.
const MAX_BUILDS: u32 = 200;

/// Does what somebody asked for at a check run of a repository. The delivery is stored first, so that one that comes again does nothing.
pub(crate) async fn take(
    accepting: &Accepting<'_>,
    entries: &[&Entry],
    event: &Event,
    request: &CheckRequest,
) -> Result<Response, Problem> {
    let service = accepting.service;
    // Of several repositories that are built from one of the forge it is for the one whose build it names.
    let entry = owner(service, entries, request).await?;
    let refusal = refusal(service, entry, request).await?;
    let meant = match &refusal {
        Some(_) => Vec::new(),
        None => builds(service, entry, request).await?,
    };
    let (ignored, why) = match (refusal, request.action) {
        (Some(refusal), _) => (Some(refusal.0), refusal.1),
        (None, None) => (Some("unknown_event"), "there is no button of this name".to_owned()),
        (None, Some(_)) if meant.is_empty() => {
            (Some("check_request"), "the check run is of no build that is here".to_owned())
        }
        (None, Some(action)) => (None, format!("{} asks for: {}", first_line(&request.by), action.as_str())),
    };
    let decided = Decision { ignored, explain: vec![why.clone()], ..Decision::default() };
    let outcome = accepting.store_decided(entry, event, decided).await?;
    let delivery = accepting.id.to_owned();
    let (Some(action), None, Accepted::New(_)) = (request.action, ignored, &outcome.accepted) else {
        let reason = ignored.unwrap_or("no_change").to_owned();
        let answer = IgnoredView { delivery, ignored: true, reason, explain: vec![why] };
        return Ok(axum::Json(DeliveryAnswer::Ignored(answer)).into_response());
    };
    let (mut queued, mut explain) = (Vec::new(), vec![why]);
    for build in &meant {
        match act(service, action, build, &request.by).await? {
            Ok(id) => {
                let (repo, by, action) = (&build.request.repository, &request.by, action.as_str());
                tracing::info!(build.id = id.as_str(), repo, by, action, "somebody asked for a build at the forge");
                queued.push(stored(service, build, &id));
            }
            Err(why) => explain.push(format!("build {}: {why}", build.number)),
        }
    }
    let received = ReceivedView { delivery, received: true, builds: queued, explain, pending: None };
    Ok((StatusCode::ACCEPTED, axum::Json(DeliveryAnswer::Received(received))).into_response())
}

/// Returns the repository that a request is for: that of its build, or the first.
async fn owner<'e>(service: &Service, entries: &[&'e Entry], request: &CheckRequest) -> Result<&'e Entry, Problem> {
    for entry in entries.iter().skip(1) {
        if request.build.is_some() && !builds(service, entry, request).await?.is_empty() {
            return Ok(entry);
        }
    }
    entries.first().copied().ok_or_else(|| Problem::new(Code::BadSignature, "the delivery is for no repository"))
}

/// Returns why nothing follows from a request, if so: the word for it, and a sentence.
async fn refusal(
    service: &Service,
    entry: &Entry,
    request: &CheckRequest,
) -> Result<Option<(&'static str, String)>, Problem> {
    let repository = &entry.repository;
    let forge = service.settings.forge_of(repository, None);
    let Some(forge) = forge.filter(|forge| forge.app.get().is_some_and(|app| app.id == request.app)) else {
        return Ok(Some(("check_request", format!("App {} is not the one of this repository's forge", request.app))));
    };
    let names = (entry.document.name.as_str(), repository.forge_name.as_str());
    let name = current_name(&service.exchanges, &service.database, forge, names).await?;
    let asking = async {
        let client = service.exchanges.client_for(forge, &name, Purpose::Checks).await?;
        may_push(&client, &name, &request.by).await
    };
    let late = || Err(CallError::Again(format!("no answer within {} seconds", TIMEOUT.as_secs())));
    let may = tokio::time::timeout(TIMEOUT, asking).await.unwrap_or_else(|_| late());
    let may = may.map_err(|error| {
        let detail = format!("what {} may do is not known: {}", first_line(&request.by), error.problem());
        Problem::new(Code::ForgeUnavailable, detail)
    })?;
    let why = || format!("{} may not push to `{}`", first_line(&request.by), name);
    Ok((!may).then(|| ("not_allowed", why())))
}

/// Returns the builds that a request is about: one, or the last of each rule of the commit that went wrong.
async fn builds(service: &Service, entry: &Entry, request: &CheckRequest) -> Result<Vec<Build>, Problem> {
    let (database, repository) = (&service.database, &entry.repository.name);
    if let Some(id) = &request.build {
        let build = match BuildId::parse(id) {
            Some(id) => database.build(&id).await?,
            None => None,
        };
        let is_meant =
            |build: &Build| build.request.repository == *repository && build.commit.as_deref() == Some(&request.commit);
        return Ok(build.into_iter().filter(is_meant).collect());
    }
    let filter = BuildFilter {
        repository: Some(repository.clone()),
        commit: Some(request.commit.clone()),
        limit: MAX_BUILDS,
        ..BuildFilter::default()
    };
    let mut last: Vec<Build> = Vec::new();
    for build in database.builds(&filter).await? {
        let same = |one: &Build| {
            one.request.rule == build.request.rule && one.request.spec.git_ref == build.request.spec.git_ref
        };
        if !last.iter().any(same) {
            last.push(build);
        }
    }
    last.retain(|build| {
        matches!(build.state, BuildState::Failed | BuildState::Errored | BuildState::TimedOut | BuildState::Cancelled)
    });
    Ok(last)
}

/// Does what was asked for; the error says why not.
async fn act(
    service: &Service,
    action: CheckAction,
    build: &Build,
    by: &str,
) -> Result<Result<BuildId, String>, database::Error> {
    let ended = |state: BuildState| Err(format!("the build has ended: {}", state.as_str()));
    Ok(match action {
        CheckAction::Retry => match service.database.retry(&build.id, RetryFrom::FailedStep).await? {
            Retried::Queued(id) => Ok(id),
            Retried::NotFinished(state) => Err(format!("the build has not ended: {}", state.as_str())),
            Retried::NotFound => Err("the build was removed".to_owned()),
        },
        CheckAction::Approve => match service.database.approve(&build.id, &first_line(by)).await? {
            Approved::Queued | Approved::Before(_) => Ok(build.id.clone()),
            Approved::AlreadyFinished(state) => ended(state),
            Approved::NotHeld => Err("the build does not need an approval".to_owned()),
            Approved::NotFound => Err("the build was removed".to_owned()),
        },
    })
}

fn stored(service: &Service, build: &Build, id: &BuildId) -> StoredBuild {
    StoredBuild {
        id: id.as_str().to_owned(),
        rule: Some(build.request.rule.clone()),
        status_url: format!("{}/v1/builds/{}", service.settings.public_url, id.as_str()),
        warnings: None,
        tags: None,
        repo: build.request.repository.clone(),
    }
}
