//! `/v1/builds`: lists, one with its steps, cancellation and repetition.

use crate::api::named::Actable;
use crate::api::query::{limit, query, wait};
use crate::configuration::document::did_you_mean;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::build::{BuildDetails, BuildList, BuildView, CancelView};
use crate::view::code::Code;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Build, BuildFilter, BuildId, BuildSearch, BuildState, BuildWatch, Cancel, Retried, RetryFrom};
use serde::Deserialize;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How often a queued build is read while a request waits: its place changes without a change of the build.
const QUEUE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BuildsQuery {
    repo: Option<String>,
    rule: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    commit: Option<String>,
    tag: Option<String>,
    state: Option<String>,
    trigger: Option<String>,
    since: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl BuildsQuery {
    fn filter(self, caller: &Caller) -> Result<BuildFilter, Problem> {
        let state = self
            .state
            .map(|name| BuildState::parse(&name).ok_or_else(|| Problem::new(Code::InvalidState, not_a_state(&name))));
        let before = self.cursor.map(|text| {
            BuildId::parse(&text).ok_or_else(|| Problem::new(Code::InvalidCursor, "the cursor is not one of a list"))
        });
        let since = self.since.map(|text| {
            let time = OffsetDateTime::parse(&text, &Rfc3339);
            time.map(|time| time.unix_timestamp() * 1000).map_err(|_| {
                Problem::new(Code::InvalidSince, format!("`{text}` is not a time such as 2026-11-25T13:00:00Z"))
            })
        });
        let git_ref =
            self.git_ref.map(|name| if name.starts_with("refs/") { name } else { format!("refs/heads/{name}") });
        Ok(BuildFilter {
            repository: self.repo,
            among: caller.only(),
            rule: self.rule,
            git_ref,
            is_of_repository: false,
            commit: self.commit.map(digits).transpose()?,
            tag: self.tag.map(tag).transpose()?,
            state: state.transpose()?,
            trigger: self.trigger,
            since_ms: since.transpose()?,
            before: before.transpose()?,
            search: BuildSearch::default(),
            limit: limit(self.limit)?,
        })
    }
}

/// Returns a tag that somebody looks for: a full reference, or its last part alone.
pub(crate) fn tag(text: String) -> Result<String, Problem> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/@[]".contains(&byte);
    if text.is_empty() || !text.bytes().all(fine) {
        return Err(Problem::new(
            Code::InvalidTag,
            format!("`{text}` is not a tag such as latest or registry/name:latest"),
        ));
    }
    Ok(text)
}

/// Says which states a build may have.
fn not_a_state(name: &str) -> String {
    let states: Vec<&str> = BuildState::all().map(BuildState::as_str).collect();
    format!(
        "`{name}` is not a state of a build{} (there are {})",
        did_you_mean(name, states.iter().copied()),
        states.join(", ")
    )
}

/// Returns the beginning of a commit's hash that somebody looks for.
pub(crate) fn digits(text: String) -> Result<String, Problem> {
    let digits = text.to_ascii_lowercase();
    if !(4..=64).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Problem::new(
            Code::InvalidCommit,
            format!("commit {text:?}: 4 to 64 hexadecimal digits are expected"),
        ));
    }
    Ok(digits)
}

/// Lists builds, newest first.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    uri: axum::http::Uri,
    wanted: Result<Query<BuildsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let filter = query(wanted)?.filter(&caller)?;
    let page = service.database.page_of_builds(&filter).await?;
    let next = page.next.as_ref().map(BuildId::as_str);
    let seen = page.builds.iter().filter(|build| caller.sees(&build.request.repository));
    let builds = seen.map(|build| BuildView::new(build, &service.settings)).collect();
    let list = BuildList { builds, next_cursor: next.map(str::to_owned) };
    let response = answer::document(&headers, &list);
    Ok(answer::linked(response, &uri, next))
}

/// Finds a build that a request may see; one that it may not see is not there.
pub(crate) async fn find(service: &Service, caller: &Caller, id: &str) -> Result<Build, Problem> {
    caller.may_read()?;
    let build = match BuildId::parse(id) {
        Some(id) => service.database.build(&id).await?,
        None => None,
    };
    let seen = build.filter(|build| caller.sees(&build.request.repository));
    seen.ok_or_else(|| service.no_such_build(caller.address))
}

/// Query of one build.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WaitQuery {
    wait: Option<String>,
}

/// Shows one build with its steps; `304` if the client has it already, after a while if it wants to wait for a change.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    waiting: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let until = Instant::now() + wait(query(waiting)?.wait.as_deref())?;
    let mut build = find(&service, &caller, &id).await?;
    let (mut version, mut watch) = (None, None);
    loop {
        // The version covers all but the place of a queued build, which changes by itself.
        if version != Some(build.version) || build.state == BuildState::Queued {
            version = Some(build.version);
            let response =
                answer::document(&headers, &BuildDetails::read(&service.database, &service.settings, &build).await?);
            if response.status() != StatusCode::NOT_MODIFIED || build.state.has_ended() || Instant::now() >= until {
                return Ok(response);
            }
        } else if Instant::now() >= until {
            return Ok(answer::document(
                &headers,
                &BuildDetails::read(&service.database, &service.settings, &build).await?,
            ));
        }
        match &mut watch {
            // The watch begins before the build is read again, so that no change is missed.
            None => watch = Some(service.database.watch_build(&build.id)),
            Some(watch) => changed(watch, &build, until).await,
        }
        build = find(&service, &caller, &id).await?;
    }
}

/// Waits for a change of a build, at most until `until`.
async fn changed(watch: &mut BuildWatch, build: &Build, until: Instant) {
    let deadline = match build.state {
        BuildState::Queued => until.min(Instant::now() + QUEUE_POLL_INTERVAL),
        _ => until,
    };
    let _ = tokio::time::timeout_at(deadline.into(), watch.changed()).await;
}

/// Shows where the time of a build went, for Chrome's trace viewer.
pub(crate) async fn trace(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let build = find(&service, &caller, &id).await?;
    let missing = || {
        let detail = "no attempt at the build has ended yet";
        Problem::new(Code::NoTrace, detail)
    };
    let trace = service.database.trace(&build.id).await?.ok_or_else(missing)?.into_bytes();
    let etag = answer::etag(&trace);
    Ok(answer::tagged(&headers, trace, "application/json", &etag))
}

/// Shows the build of a repository that has this number.
pub(crate) async fn numbered(
    State(service): State<Service>,
    Path((namespace, name, number)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = super::named::find(&service, &caller, &format!("{namespace}/{name}")).await?;
    let repository = &entry.document.name;
    let build = match number.parse() {
        Ok(number) => service.database.build_number(repository, number).await?,
        Err(_) if number == "latest" => {
            let filter = BuildFilter { repository: Some(repository.clone()), limit: 1, ..BuildFilter::default() };
            service.database.builds(&filter).await?.pop()
        }
        Err(_) => None,
    };
    let Some(build) = build else {
        let is_removed = match number.parse() {
            Ok(number) => service.database.was_build_removed(repository, number).await?,
            Err(_) => false,
        };
        if !is_removed {
            return Err(service.no_such_build(caller.address));
        }
        let detail = Problem::removed(&format!("build {number} of `{repository}`"));
        return Err(Problem::new(Code::BuildRemoved, detail));
    };
    Ok(answer::document(&headers, &BuildDetails::read(&service.database, &service.settings, &build).await?))
}

/// Asks for the end of a build.
pub(crate) async fn cancel(
    State(service): State<Service>,
    Actable { build, .. }: Actable,
) -> Result<Response, Problem> {
    end(&service, &build).await?;
    let asked = CancelView { id: build.id.as_str().to_owned(), cancel_requested: true };
    Ok((StatusCode::ACCEPTED, axum::Json(asked)).into_response())
}

/// Asks for the end of a build that has not ended.
pub(crate) async fn end(service: &Service, build: &Build) -> Result<(), Problem> {
    match service.database.cancel(&build.id).await? {
        Cancel::Cancelled | Cancel::Requested => Ok(()),
        Cancel::AlreadyFinished(state) => {
            Err(Problem::new(Code::AlreadyFinished, format!("the build has ended: {}", state.as_str())))
        }
        Cancel::NotFound => Err(Problem::no_such_build()),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Retrying {
    from: From,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Start,
    #[default]
    FailedStep,
}

/// Queues a build that repeats one which has ended.
pub(crate) async fn retry(
    State(service): State<Service>,
    Actable { build, .. }: Actable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (retrying, _) = body::document::<Retrying>(&headers, body).await?;
    let from = match retrying.from {
        From::Start => RetryFrom::Start,
        From::FailedStep => RetryFrom::FailedStep,
    };
    let id = repeat(&service, &build, from).await?;
    let repeated = service.database.build(&id).await?.ok_or_else(Problem::no_such_build)?;
    let location = [(header::LOCATION, format!("/v1/builds/{}", id.as_str()))];
    Ok((StatusCode::ACCEPTED, location, axum::Json(BuildView::new(&repeated, &service.settings))).into_response())
}

/// Queues a build that repeats one which has ended, and returns its id.
pub(crate) async fn repeat(service: &Service, build: &Build, from: RetryFrom) -> Result<BuildId, Problem> {
    match service.database.retry(&build.id, from).await? {
        Retried::Queued(id) => Ok(id),
        Retried::NotFinished(state) => {
            let detail = format!("the build has not ended: {}", state.as_str());
            Err(Problem::new(Code::NotFinished, detail).hint("wait for its end, or cancel it first"))
        }
        Retried::NotFound => Err(Problem::no_such_build()),
    }
}
