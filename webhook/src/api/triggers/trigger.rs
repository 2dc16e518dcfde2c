//! `POST /v1/repos/{namespace}/{name}/builds`: a build without a push.

use super::request::{Only, TriggerRequest};
use super::{own, plan};
use crate::api::query::{query, wait};
use crate::configuration::document::did_you_mean;
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::{BuildTrigger, Requested, Rules};
use crate::intake::catalog::Entry;
use crate::view::build::BuildView;
use crate::view::code::Code;
use crate::view::trigger::TriggeredView;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Accepted, BuildId, BuildRequest, IdempotencyKey, NewRulesFetch, Trigger};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Longest key.
const MAX_KEY: usize = 255;

/// Query of a trigger.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TriggerQuery {
    wait: Option<String>,
    dedupe: Option<String>,
}

impl TriggerQuery {
    /// Tells whether builds that wait or run already are good enough.
    fn takes_open_ones(&self) -> Result<bool, Problem> {
        match self.dedupe.as_deref() {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(Problem::new(Code::InvalidQuery, format!("dedupe `{other}`: 0 or 1 is expected"))),
        }
    }
}

/// Queues builds for a ref or commit.
pub(crate) async fn trigger(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    waiting: Result<Query<TriggerQuery>, QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let (by, entry) = triggerable(&service, &caller, &format!("{namespace}/{name}")).await?;
    let name = &entry.repository.name;
    let (request, bytes) = body::document::<TriggerRequest>(&headers, body).await?;
    check_secrets(&service, name, request.secrets.as_deref()).await?;
    let waiting = query(waiting)?;
    let (until, takes_open_ones) = (Instant::now() + wait(waiting.wait.as_deref())?, waiting.takes_open_ones()?);
    let key = idempotency_key(&headers, name, &bytes)?;
    // A known idempotency key is answered without fetching rules.
    if let Some(key) = key.as_ref().filter(|_| entry.repository.own_rules.is_some())
        && let Some(known) = service.database.triggered(key).await?
    {
        return respond(&service, Once::Key(key), known, until).await;
    }
    let once = match &key {
        Some(key) => Once::Key(key),
        None if takes_open_ones => Once::Open,
        None => Once::No,
    };
    match apply(&service, &entry, &request, &by, once).await? {
        Applied::Builds(requested) if request.dry_run() => Ok(plan::plan(&service, &requested).await?.into_response()),
        Applied::Builds(requested) => store(&service, once, &requested.builds, until).await,
        Applied::Pending(id) => {
            let pending =
                TriggeredView { pending: Some("rules".to_owned()), rules_fetch: Some(id), ..TriggeredView::default() };
            Ok((StatusCode::ACCEPTED, axum::Json(pending)).into_response())
        }
    }
}

/// Returns the name of the caller's token and the repository, if it may be triggered.
async fn triggerable(service: &Service, caller: &Caller, name: &str) -> Result<(String, Arc<Entry>), Problem> {
    let by = caller.require(Scope::Trigger, name)?.name.clone();
    let entry = service.catalog.get(&service.database, name).await?.ok_or_else(|| Problem::no_such_repository(name))?;
    Ok((by, entry))
}

/// Queues builds of a repository for a ref and maybe a rule, and returns their ids; none while a worker reads the repository's own rules.
pub(crate) async fn queue(
    service: &Service,
    caller: &Caller,
    name: &str,
    request: &TriggerRequest,
) -> Result<Vec<BuildId>, Problem> {
    let (by, entry) = triggerable(service, caller, name).await?;
    match apply(service, &entry, request, &by, Once::No).await? {
        Applied::Builds(requested) => {
            let stored = service.database.trigger(None, &requested.builds).await?;
            service.counters.triggers.fetch_add(1, Ordering::Relaxed);
            Ok(known(stored)?.0)
        }
        Applied::Pending(_) => Ok(Vec::new()),
    }
}

/// The outcome of applying the rules to what was asked for.
enum Applied {
    /// Builds, at least one.
    Builds(Requested),
    /// Id of a rules fetch: no worker is there yet to read the repository's own rules.
    Pending(i64),
}

async fn apply(
    service: &Service,
    entry: &Entry,
    request: &TriggerRequest,
    by: &str,
    once: Once<'_>,
) -> Result<Applied, Problem> {
    let requested = match &entry.repository.own_rules {
        None => ask(&entry.repository, request, by)?,
        Some(_) => match own::read(service, &entry.repository, request).await? {
            Some(read) => ask(&read.repository, &request.at(&read), by)?,
            // A request that needs nothing but the rules can be built when a worker comes.
            None if matches!(once, Once::No)
                && !request.has_overrides()
                && request.names_no_rule()
                && !request.dry_run() =>
            {
                return look_up(service, entry, request, by).await.map(Applied::Pending);
            }
            None => return Err(own::no_worker(&entry.repository)),
        },
    };
    if requested.builds.is_empty() {
        let problem = Problem::new(Code::NoRuleMatched, "no rule of the repository builds this ref");
        return Err(problem
            .explained(requested.explain)
            .hint("name the `rule` that is to build it; `slipway rules test` and POST /v1/repos/{ns}/{name}/rules:test show what matches"));
    }
    Ok(Applied::Builds(requested))
}

/// How builds that were asked for before are treated.
#[derive(Clone, Copy)]
pub(crate) enum Once<'k> {
    /// They are queued again.
    No,
    /// Those of this key are returned.
    Key(&'k IdempotencyKey),
    /// Those that are queued or run are returned.
    Open,
}

/// Stores builds and answers.
pub(crate) async fn store(
    service: &Service,
    once: Once<'_>,
    builds: &[BuildRequest],
    until: Instant,
) -> Result<Response, Problem> {
    let stored = match once {
        Once::No => service.database.trigger(None, builds).await?,
        Once::Key(key) => service.database.trigger(Some(key), builds).await?,
        Once::Open => service.database.trigger_once(builds).await?,
    };
    respond(service, once, stored, until).await
}

/// Answers a trigger, after the end of its builds if the client waits for it.
async fn respond(service: &Service, once: Once<'_>, stored: Accepted, until: Instant) -> Result<Response, Problem> {
    let (ids, known) = known(stored)?;
    service.counters.triggers.fetch_add(1, Ordering::Relaxed);
    let ended = ended(service, &ids, until).await?;
    let mut shown = TriggeredView { builds: shown(service, &ids).await?, ..TriggeredView::default() };
    if known && matches!(once, Once::Open) {
        shown.deduplicated = Some(true);
    }
    let status = if known || ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = ids.first().map(|id| format!("/v1/builds/{}", id.as_str())).unwrap_or_default();
    let mut response = (status, [(header::LOCATION, location)], axum::Json(shown)).into_response();
    if known && matches!(once, Once::Key(_)) {
        response.headers_mut().insert(HeaderName::from_static("idempotent-replay"), HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Returns the ids of stored builds, and whether they were there before.
fn known(stored: Accepted) -> Result<(Vec<BuildId>, bool), Problem> {
    match stored {
        Accepted::New(ids) => Ok((ids, false)),
        Accepted::Duplicate(ids) => Ok((ids, true)),
        Accepted::KeyReused => {
            let detail = "this Idempotency-Key came before with another body";
            Err(Problem::new(Code::IdempotencyKeyReused, detail))
        }
    }
}

/// Waits for the end of builds; tells whether all have ended.
async fn ended(service: &Service, ids: &[BuildId], until: Instant) -> Result<bool, Problem> {
    if Instant::now() >= until {
        return Ok(false);
    }
    for id in ids {
        let mut watch = service.database.watch_build(id);
        while service.database.build(id).await?.is_some_and(|build| !build.state.has_ended()) {
            if tokio::time::timeout_at(until.into(), watch.changed()).await.is_err() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Lets a worker read the repository's own rules at what is asked for.
async fn look_up(service: &Service, entry: &Entry, request: &TriggerRequest, by: &str) -> Result<i64, Problem> {
    let repository = &entry.repository;
    let git_ref = request.refs(repository)?.into_iter().next().unwrap_or_default();
    let rules_fetch = NewRulesFetch {
        repository: repository.name.clone(),
        clone_url: repository.clone_url.clone(),
        git_ref,
        commit: request.commit()?.map(str::to_owned),
        commit_message: String::new(),
        trigger: Trigger::Manual { by: by.to_owned() },
        path: repository.own_rules.as_ref().map(|own| own.path.clone()).unwrap_or_default(),
        rule: None,
    };
    Ok(service.database.add_rules_fetch(&rules_fetch).await?)
}

/// Applies the rules to what was asked for; a short name is a branch first and a tag second.
pub(crate) fn ask(repository: &Repository, request: &TriggerRequest, by: &str) -> Result<Requested, Problem> {
    let commit = request.commit()?;
    let only = request.only(repository)?;
    let trigger = Trigger::Manual { by: by.to_owned() };
    let mut explain = Vec::new();
    if matches!(only, Only::Everything) && request.names_no_ref() {
        return every_rule(repository, request, &trigger);
    }
    for git_ref in request.refs(repository)? {
        let asked =
            BuildTrigger { git_ref: &git_ref, commit, message: "", default_branch: None, trigger: trigger.clone() };
        let mut requested = Rules::of(repository).requests(&asked);
        requested.builds.retain(|build| only.takes(&build.rule));
        if !requested.builds.is_empty() {
            requested.builds.iter_mut().try_for_each(|build| request.change(repository, build))?;
            return Ok(requested);
        }
        explain.extend(requested.explain);
    }
    Ok(Requested { builds: Vec::new(), explain })
}

/// Asks each rule that is for one ref for that ref, as Docker Hub's `build=true` does.
pub(crate) fn every_rule(
    repository: &Repository,
    request: &TriggerRequest,
    trigger: &Trigger,
) -> Result<Requested, Problem> {
    let mut all = Requested { builds: Vec::new(), explain: Vec::new() };
    for rule in &repository.rules {
        let Some(git_ref) = rule.only_ref() else {
            all.explain.push(format!("rule `{}` is an expression: say which ref to build", rule.name));
            continue;
        };
        let asked = BuildTrigger {
            git_ref: &git_ref,
            commit: None,
            message: "",
            default_branch: None,
            trigger: trigger.clone(),
        };
        let mut requested = Rules::of(repository).requests(&asked);
        requested.builds.retain(|build| build.rule == rule.name);
        requested.builds.iter_mut().try_for_each(|build| request.change(repository, build))?;
        all.builds.append(&mut requested.builds);
    }
    Ok(all)
}

/// Refuses secrets that the repository does not have: the build would fail for want of them.
async fn check_secrets(service: &Service, repository: &str, names: Option<&[String]>) -> Result<(), Problem> {
    let Some(names) = names.filter(|names| !names.is_empty()) else { return Ok(()) };
    let known = service.database.secret_names(repository).await?;
    let known: Vec<&str> = known.iter().map(String::as_str).filter(|name| !name.starts_with('@')).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let detail = format!("secrets: `{repository}` has no secret `{name}`{}", did_you_mean(name, known));
            Err(Problem::new(Code::InvalidSecrets, detail)
                .hint("`slipway secret set` and PUT …/secrets/{secret} write one"))
        }
    }
}

fn idempotency_key(headers: &HeaderMap, repository: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
    let key = key.ok_or_else(|| Problem::new(Code::InvalidIdempotencyKey, "a key has 1 to 255 visible characters"))?;
    Ok(Some(IdempotencyKey { repository: repository.to_owned(), key: key.to_owned(), body: body.to_vec() }))
}

async fn shown(service: &Service, ids: &[BuildId]) -> Result<Vec<BuildView>, Problem> {
    let mut shown = Vec::new();
    for id in ids {
        if let Some(build) = service.database.build(id).await? {
            shown.push(BuildView::new(&build, &service.settings));
        }
    }
    Ok(shown)
}
