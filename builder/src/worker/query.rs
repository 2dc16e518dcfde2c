//! Answers what a request wants to know of a commit: the repository's own rules there, what a build of it would do, or why
//! one did what it did.
//!
//! A commit is fetched and base images are looked up, as for a build; nothing is executed, tagged or pushed.

use super::build_request::{Limits, RequestBuilder};
use super::context::{Deadline, TaskContext};
use super::settings::Settings;
use super::source::{Place, fetch};
use super::target::Linked;
use super::{bake, disk, explain, image, rights, rules_fetch};
use crate::event::{Event, Observer};
use crate::git::CommitTree;
use crate::trace::Trace;
use crate::{Error, Platforms, Services, Unordered};
use database::{
    Answer, BakeFile, BuildId, BuildRequest, DryRun, DryRunStep, Explained, FoundRules, ImageContents, ImageDifference,
    NewRulesFetch, Reason, RulesFetchResult, WorkerQuery, WorkerQueryClaim,
};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers the worker query of `claim`, as long as somebody waits for it.
pub(crate) fn answer(services: &Services, settings: &Settings, claim: &WorkerQueryClaim) {
    let began = Instant::now();
    let answer = match &claim.query {
        WorkerQuery::Rules(rules_fetch) => {
            Answer::Rules(rules(TaskContext { services, settings }, rules_fetch, claim.patience))
        }
        WorkerQuery::Steps(request) => Answer::Steps(dry_run(services, settings, request, claim)),
        WorkerQuery::Explain { build, against } => {
            Answer::Explained(explained(TaskContext { services, settings }, build, against, claim))
        }
        WorkerQuery::Image(part) => {
            let expired = Expiry::after(services, claim.patience);
            let found = image::contents(TaskContext { services, settings }, part, &expired.cancel);
            let failed = |error| ImageContents { failure: Some(reason(&error)), ..ImageContents::default() };
            Answer::Image(Box::new(found.unwrap_or_else(failed)))
        }
        WorkerQuery::Compare(pair) => {
            let expired = Expiry::after(services, claim.patience);
            let found = image::compared(TaskContext { services, settings }, pair, &expired.cancel);
            let failed = |error| ImageDifference { failure: Some(reason(&error)), ..ImageDifference::default() };
            Answer::Compared(Box::new(found.unwrap_or_else(failed)))
        }
        WorkerQuery::Shadow(pair) => {
            let expired = Expiry::after(services, claim.patience);
            let found = image::shadow(TaskContext { services, settings }, pair, &expired.cancel);
            let failed = |error| ImageDifference { failure: Some(reason(&error)), ..ImageDifference::default() };
            Answer::Compared(Box::new(found.unwrap_or_else(failed)))
        }
        WorkerQuery::Disk { clean } => Answer::Disk(disk::measure(TaskContext { services, settings }, *clean)),
    };
    let duration_ms = began.elapsed().as_millis();
    match services.tokio.block_on(services.database.answer_worker_query(claim, &answer)) {
        Ok(()) => tracing::info!(query = claim.id, duration_ms, "a worker query was answered"),
        Err(error) => {
            tracing::warn!(query = claim.id, error = &error as &dyn std::error::Error, "an answer cannot be written")
        }
    }
}

fn rules(context: TaskContext<'_>, rules_fetch: &NewRulesFetch, patience: Duration) -> FoundRules {
    rules_fetch::find(context, rules_fetch, patience).unwrap_or_else(|error| {
        let error = Error::source(error);
        FoundRules { commit: None, result: RulesFetchResult::Failed(reason(&error)) }
    })
}

fn explained(context: TaskContext<'_>, build: &BuildId, against: &BuildId, claim: &WorkerQueryClaim) -> Explained {
    let TaskContext { services, settings } = context;
    let expired = Expiry::after(services, claim.patience);
    let name = format!("query-{}", claim.id);
    let asked = explain::Asked { cancel: &expired.cancel, patience: claim.patience, name: &name };
    explain::explain(services, settings, build, against, &asked).unwrap_or_else(|error| {
        let failure = Some(reason(&error));
        Explained { failure, ..Explained::default() }
    })
}

fn dry_run(services: &Services, settings: &Settings, request: &BuildRequest, claim: &WorkerQueryClaim) -> DryRun {
    let warnings = Warnings::default();
    let mut foreseen = DryRun::default();
    if let Err(error) = look(services, settings, request, claim, &warnings, &mut foreseen) {
        foreseen.failure = Some(reason(&error));
    }
    foreseen.warnings = warnings.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    foreseen
}

fn look(
    services: &Services,
    settings: &Settings,
    request: &BuildRequest,
    claim: &WorkerQueryClaim,
    warnings: &Warnings,
    foreseen: &mut DryRun,
) -> Result<(), Error> {
    let services = &rights::services(services, settings, request);
    let expired = Expiry::after(services, claim.patience);
    let cancel = &expired.cancel;
    let place = Place::of(request);
    let (_mirror, tree) = fetch(TaskContext { services, settings }, &place, Deadline { cancel, limit: claim.patience })
        .map_err(Error::source)?;
    foreseen.commit = Some(tree.id().to_owned());
    super::source::warn(&tree, request, warnings);
    let request = BuildRequest { spec: request.spec.with_commit(tree.id()), ..request.clone() };
    let looking = Looking { services, settings, request: &request, claim, tree: &tree, cancel };
    foreseen.steps = match &request.spec.options.bake {
        Some(file) => steps_of_targets(&looking, file, warnings)?,
        None => looking.steps(warnings)?,
    };
    Ok(())
}

/// Returns the steps of all targets of a group, with the target before the stage.
fn steps_of_targets(looking: &Looking<'_>, file: &BakeFile, warnings: &Warnings) -> Result<Vec<DryRunStep>, Error> {
    let mut steps = Vec::new();
    for target in bake::find(looking.tree, looking.request, file)?.targets {
        let request = BuildRequest { spec: target.spec, ..looking.request.clone() };
        for step in (Looking { request: &request, ..*looking }).steps(warnings)? {
            let (stage, number) = (format!("{}: {}", target.name, step.stage), steps.len() as i64 + 1);
            steps.push(DryRunStep { stage, number, ..step });
        }
    }
    Ok(steps)
}

/// A commit whose build is looked at.
struct Looking<'a> {
    services: &'a Services,
    settings: &'a Settings,
    request: &'a BuildRequest,
    claim: &'a WorkerQueryClaim,
    tree: &'a CommitTree,
    cancel: &'a CancellationToken,
}

impl Looking<'_> {
    fn steps(&self, warnings: &Warnings) -> Result<Vec<DryRunStep>, Error> {
        let Looking { services, settings, request, claim, tree, cancel } = *self;
        let trace = Trace::default();
        let limits = Limits::of(settings, &request.spec);
        let attempt = format!("query-{}", claim.id);
        let (trace, linked) = (&trace, &Linked::default());
        let builder = RequestBuilder { services, settings, request, limits, cancel, attempt: &attempt, trace, linked };
        let request = builder.request(tree, None, &BTreeMap::new(), Box::new(Unordered))?;
        let steps = Platforms::new(&request, services, warnings)?.dry_run(services)?;
        let step = |(step, fate): (crate::event::StepSummary, _)| DryRunStep {
            number: step.number as i64,
            stage: step.stage,
            instruction: step.instruction,
            line: step.line as i64,
            fate,
        };
        Ok(steps.into_iter().map(step).collect())
    }
}

/// Cancels the work on a query when its deadline has passed.
struct Expiry {
    cancel: CancellationToken,
    waiting: tokio::task::JoinHandle<()>,
}

impl Expiry {
    fn after(services: &Services, patience: Duration) -> Expiry {
        let cancel = CancellationToken::new();
        let ends = cancel.clone();
        let waiting = services.tokio.spawn(async move {
            tokio::time::sleep(patience).await;
            ends.cancel();
        });
        Expiry { cancel, waiting }
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

fn reason(error: &Error) -> Reason {
    Reason { code: error.code().to_string(), message: error.report() }
}

/// Keeps the warnings of a build that is not begun.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn observe(&self, event: Event<'_>) {
        if let Event::Warning(text) | Event::StaleImage(text) = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
    }
}
