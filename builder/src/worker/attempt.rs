//! One attempt at a build, from its claim to its end.

use super::bake;
use super::build_request::{Limits, RequestBuilder};
use super::context::{Deadline, TaskContext};
use super::filter::Filter;
use super::garbage::{self, Retention};
use super::hub::HubBuild;
use super::lease::LeaseClock;
use super::outcome::{AttemptResult, Inputs, outcome};
use super::recorder::Recorder;
use super::rollback::Rollback;
use super::settings::Settings;
use super::source::{Place, fetch, fetch_settings};
use super::stop::Stop;
use super::target::Linked;
use super::watch::{Watch, WatchLimits};
use super::{janitor, linked, profile, rights, secrets, tag_order};
use crate::error::Code;
use crate::event::{Event, Observer, Phase};
use crate::git::CommitTree;
use crate::secrets::Masks;
use crate::trace::{Trace, Work};
use crate::{Error, Platforms, Services};
use database::{BakeFile, BuildRequest, Claim, Outcome};
use registry_client::Reference;
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait before the end of an attempt is written again that the database did not take.
const PAUSE: Duration = Duration::from_millis(500);

/// Builds what `claim` names and writes how it ended.
pub(crate) fn run(services: &Services, settings: &Settings, claim: Claim, renewed: LeaseClock, stop: &Stop) {
    let began = Instant::now();
    let id = claim.build.id.clone();
    let own_services = services;
    let services = &rights::services(services, settings, &claim.build.request);
    tracing::info!(build.id = %id, repo = claim.build.request.repository, attempt = claim.attempt, "a build begins");
    let (cancel, claim) = (CancellationToken::new(), Arc::new(claim));
    let limits = Limits::of(settings, &claim.build.request.spec);
    let recorder = Recorder::start(services, claim.clone(), cancel.clone());
    if claim.attempt > 1 {
        // The log of the attempts before stands above; who follows it should not take its end for the build's.
        recorder.say(&format!("attempt {}: the build begins once more\n", claim.attempt));
    }
    let terms =
        WatchLimits { cancel: cancel.clone(), limit: limits.build, renewed: renewed.clone(), stop: stop.clone() };
    let watch = Watch::start(services, claim.clone(), terms);
    let secrets = secrets::open(services, &claim.build.request);
    let masks = Masks::new(secrets.iter().flatten().map(|(_, value)| value.as_slice()));
    let renewed_at = renewed.clone();
    let trace = Trace::default();
    let result = secrets.and_then(|secrets| {
        secrets::warn_of_short_ones(&secrets, &recorder);
        let trace = trace.clone();
        let attempt = Attempt {
            own_services,
            masks: &masks,
            services,
            settings,
            claim: &claim,
            recorder: &recorder,
            cancel,
            limits,
            renewed,
            trace,
        };
        // A mistake in slipway ends one build, not those that run beside it.
        catch_unwind(AssertUnwindSafe(|| attempt.run(secrets)))
            .unwrap_or_else(|_| Err(Error::new(Code::Panicked, "slipway made a mistake; its log says more")))
    });
    say_end(&result, &recorder, &masks);
    let why = watch.end();
    let unfinished = recorder.unfinished();
    recorder.stop(result.is_ok());
    profile::store(services, &claim, &trace, &masks);
    let Some(mut outcome) = outcome(result, why, &masks) else {
        tracing::warn!(build.id = %id, "the lease on a build was lost; this attempt is over");
        return;
    };
    if let Outcome::TimedOut(reason) = &mut outcome
        && reason.code == Code::BuildTimeout.text()
    {
        reason.message.push_str(&masks.text(&unfinished));
    }
    finish(services, &claim, &renewed_at, &outcome, began);
    // After the end was written: nobody renews the lease any more, and removing much takes longer than it lasts.
    if let Outcome::Retry(reason) = &outcome {
        // A sandbox that died could not clean up.
        janitor::sweep_files(services);
        if reason.code == Code::DiskFull.text() {
            garbage::collect(services, settings, Retention::pressed(settings));
        }
    }
}

/// Adds how an attempt ended to the log, if it is not with an image.
fn say_end(result: &Result<AttemptResult, Error>, recorder: &Recorder, masks: &Masks) {
    if let Err(error) = result
        && error.code() != Code::Cancelled
    {
        // The last output of the step stands right above.
        recorder.say(&masks.text(&format!("ERROR: {}\n", error.report_without_output())));
    }
    if let Ok(AttemptResult::Skipped(reason)) = result {
        recorder.say(&format!("skipped: {}\n", reason.message));
    }
}

/// Writes the end of an attempt; again and again while the database is away and the lease holds.
fn finish(services: &Services, claim: &Claim, renewed: &LeaseClock, outcome: &Outcome, began: Instant) {
    let id = &claim.build.id;
    loop {
        let same = Claim { build: claim.build.clone(), attempt: claim.attempt };
        match services.tokio.block_on(services.database.finish(same, outcome.clone())) {
            Ok(state) => {
                let duration_ms = began.elapsed().as_millis();
                tracing::info!(build.id = %id, ?state, duration_ms, "a build ended");
                return;
            }
            Err(database::Error::LeaseLost) => {
                tracing::warn!(build.id = %id, "the end of a build was not accepted: another attempt has it");
                return;
            }
            Err(error) if renewed.remaining().is_zero() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(build.id = %id, error, "the end of a build cannot be written; it will run again");
                return;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(build.id = %id, error, "the end of a build cannot be written; trying again");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// One attempt in progress.
struct Attempt<'a> {
    /// The services with the rights of the worker itself.
    own_services: &'a Services,
    masks: &'a Masks,
    services: &'a Services,
    settings: &'a Settings,
    claim: &'a Arc<Claim>,
    recorder: &'a Recorder,
    cancel: CancellationToken,
    limits: Limits,
    renewed: LeaseClock,
    trace: Trace,
}

impl Attempt<'_> {
    fn run(&self, secrets: BTreeMap<String, Vec<u8>>) -> Result<AttemptResult, Error> {
        let (services, request) = (self.services, &self.claim.build.request);
        if request.spec.is_sealed() {
            let why =
                "a build argument was sealed with another key than this worker's: is `secret.key` the one of then?";
            return Err(Error::new(Code::SecretNotAvailable, why));
        }
        if let Some(image) = &request.spec.options.image {
            let rollback = Rollback { services, request, recorder: self.recorder, cancel: &self.cancel };
            return rollback.run(image, &self.order());
        }
        self.recorder.observe(Event::Phase(Phase::Preparing, "fetching the commit"));
        let (began, id) = (Instant::now(), &self.claim.build.id);
        let context = TaskContext { services, settings: self.settings };
        let (place, limit) = (Place::of(request), self.limits.build);
        if request.spec.push {
            let tags = request.spec.tags.iter().filter_map(|tag| Reference::parse(tag).ok());
            services.prepare_push(&tags.collect::<Vec<_>>());
        }
        let span = self.trace.span(Work::Fetch, "the commit");
        let (mirror, tree) = fetch(context, &place, Deadline { cancel: &self.cancel, limit }).map_err(Error::source)?;
        drop(span);
        tracing::debug!(build.id = %id, duration_ms = began.elapsed().as_millis(), "the commit is here");
        self.recorder.observe(Event::Commit { id: tree.id(), message: tree.message() });
        super::source::warn(&tree, request, self.recorder);
        // Templates of a rule that need the commit could not be filled in before it was known.
        let filled = BuildRequest { spec: request.spec.with_commit(tree.id()), ..request.clone() };
        let fetch = fetch_settings(context, &place, Deadline { cancel: &self.cancel, limit }).map_err(Error::source)?;
        let filter = Filter { services, request: &filled, mirror: &mirror, fetch: &fetch };
        if let Some(reason) = filter.by_paths(&tree)? {
            return Ok(AttemptResult::Skipped(reason));
        }
        if let Some(file) = &filled.spec.options.bake {
            return self.expand(&tree, &filled, file);
        }
        let found = super::hub::found(&tree, request, self.recorder);
        let request = &filled;
        let name = format!("{id}-{}", self.claim.attempt);
        let (limits, cancel) = (self.limits, &self.cancel);
        let linked = &self.linked(request, &tree, &name, &secrets)?;
        let (settings, trace, attempt) = (self.settings, &self.trace, name.as_str());
        let builder = RequestBuilder { services, settings, request, limits, cancel, attempt, trace, linked };
        let order = self.order();
        if let Some(found) = &found {
            let build = HubBuild {
                found,
                tree: &tree,
                mirror: &mirror,
                builder: &builder,
                image_services: self.own_services,
                secrets: &secrets,
                masks: self.masks,
                order: Arc::new(order),
                id: id.as_str(),
            };
            return build.attempt(self.recorder);
        }
        self.dockerfile_alone(&builder, &filter, &tree, &secrets, order)
    }

    /// Returns what decides which tags may move.
    fn order(&self) -> tag_order::InDatabase {
        tag_order::InDatabase::new(self.services, self.claim.clone(), self.renewed.clone(), self.cancel.clone())
    }

    /// Finds the targets of a group, which are built next.
    fn expand(&self, tree: &CommitTree, request: &BuildRequest, file: &BakeFile) -> Result<AttemptResult, Error> {
        let found = bake::find(tree, request, file)?;
        self.recorder.say(&found.lines);
        Ok(AttemptResult::Expanded(found.targets))
    }

    /// Builds the targets that this one has as contexts.
    fn linked(
        &self,
        request: &BuildRequest,
        tree: &CommitTree,
        name: &str,
        secrets: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Linked, Error> {
        let (limits, cancel) = (self.limits, &self.cancel);
        let (services, settings, trace, none) = (self.services, self.settings, &self.trace, &Linked::default());
        let builder =
            RequestBuilder { services, settings, request, limits, cancel, attempt: name, trace, linked: none };
        linked::linked(&builder, tree, secrets, self.recorder)
    }

    /// Builds the Dockerfile of a commit that has no hooks.
    fn dockerfile_alone(
        &self,
        builder: &RequestBuilder<'_>,
        filter: &Filter<'_>,
        tree: &CommitTree,
        secrets: &BTreeMap<String, Vec<u8>>,
        order: tag_order::InDatabase,
    ) -> Result<AttemptResult, Error> {
        let (services, began, id) = (self.services, Instant::now(), &self.claim.build.id);
        let mut request = builder.request(tree, None, secrets, Box::new(order))?;
        request.previous = filter.previous(&request, tree)?;
        let prepared = Platforms::new(&request, services, self.recorder)?;
        tracing::debug!(build.id = %id, duration_ms = began.elapsed().as_millis(), "the steps are planned");
        let inputs_key = prepared.inputs_key()?;
        let looked = Instant::now();
        if let Some(reason) = filter.by_inputs(&prepared, &inputs_key, tree)? {
            self.recorder
                .say(&format!("compared with the last image in {:.1} ms\n", looked.elapsed().as_secs_f64() * 1e3));
            return Ok(AttemptResult::Skipped(reason));
        }
        let merged =
            request.previous.iter().filter_map(|earlier| Some((earlier.image.clone(), earlier.merged.clone()?)));
        let inputs = Inputs {
            key: inputs_key,
            base_images: prepared.base_images()?,
            tree: Some(tree.tree()),
            merged: merged.collect(),
        };
        let built = prepared.build(services, self.recorder, &self.cancel)?;
        Ok(AttemptResult::Built(Box::new(built), inputs))
    }
}
