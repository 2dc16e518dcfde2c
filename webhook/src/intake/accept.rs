//! Stores a verified delivery, once for each repository that it is for, and answers it.

use crate::forges::{Event, Forge, Pull, Push};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::first_line;
use crate::intake::catalog::Entry;
use crate::intake::decision::{self, Decision, pushed_ref};
use crate::intake::pull_requests;
use crate::view::code::Code;
use crate::view::delivery::{DeliveryAnswer, DuplicateView, IgnoredView, PongView, ReceivedView, StoredBuild};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::{Accepted, BuildId, BuildRequest, NewDelivery, RefMove, Trigger};
use std::sync::atomic::Ordering;

/// A verified delivery, about to be stored.
pub(crate) struct Accepting<'a> {
    pub service: &'a Service,
    pub forge: Forge,
    pub id: &'a str,
    /// Whether the forge gave it that id.
    pub has_own_id: bool,
    pub event: &'a str,
    pub body: &'a Bytes,
    pub is_replay: bool,
}

/// The outcome of a delivery for one repository.
pub(super) struct Outcome {
    repository: String,
    pub(super) accepted: Accepted,
    builds: Vec<BuildRequest>,
    is_pending: bool,
    ignored: Option<&'static str>,
    explain: Vec<String>,
}

impl Accepting<'_> {
    /// Stores the delivery for each of `entries`, together, and says what became of it.
    pub(crate) async fn accept(&self, entries: &[&Entry], event: &Event) -> Result<Response, Problem> {
        let storing = entries.iter().map(|entry| self.store(entry, event));
        let mut outcomes = futures::future::try_join_all(storing).await?;
        self.service.counters.deliveries.fetch_add(1, Ordering::Relaxed);
        if outcomes.iter().any(|outcome| outcome.accepted == Accepted::KeyReused) {
            tracing::warn!(
                delivery = self.id,
                forge = self.forge.as_str(),
                "a delivery's id came again with another body"
            );
            let detail = "this delivery id came before with another body, signed by the same key";
            return Err(Problem::new(Code::DeliveryReused, detail)
                .hint("a forge never does this: send the new body under an id of its own"));
        }
        let is_new = |outcome: &Outcome| matches!(outcome.accepted, Accepted::New(_));
        let Some(first) = outcomes.iter().find(|outcome| is_new(outcome)) else { return self.known(&outcomes).await };
        if first.ignored == Some("ping") {
            let pong = PongView { pong: true, repository: first.repository.clone() };
            return Ok(axum::Json(DeliveryAnswer::Pong(pong)).into_response());
        }
        let several = outcomes.len() > 1;
        let explain: Vec<String> = outcomes.iter_mut().flat_map(|outcome| outcome.explained(several)).collect();
        let reason = outcomes.iter().map(|outcome| outcome.ignored).reduce(|one, other| one.and(other)).flatten();
        let delivery = self.id.to_owned();
        if let Some(reason) = reason {
            let ignored = IgnoredView { delivery, ignored: true, reason: reason.to_owned(), explain };
            return Ok(axum::Json(DeliveryAnswer::Ignored(ignored)).into_response());
        }
        let is_pending = outcomes.iter().any(|outcome| outcome.is_pending);
        let pending = is_pending.then(|| "rules".to_owned());
        let builds = self.listed(&outcomes);
        let received = ReceivedView { delivery, received: true, builds, explain, pending };
        Ok((StatusCode::ACCEPTED, axum::Json(DeliveryAnswer::Received(received))).into_response())
    }

    /// Answers a delivery that is known for all of its repositories.
    async fn known(&self, outcomes: &[Outcome]) -> Result<Response, Problem> {
        let first = outcomes.iter().find_map(|outcome| outcome.ids().first());
        let replay = self.is_of_another_delivery(first).await?;
        let (delivery, builds) = (self.id.to_owned(), self.listed(outcomes));
        let answer = DeliveryAnswer::Duplicate(DuplicateView { delivery, duplicate: true, replay, builds });
        Ok(axum::Json(answer).into_response())
    }

    fn listed(&self, outcomes: &[Outcome]) -> Vec<StoredBuild> {
        let public_url = &self.service.settings.public_url;
        outcomes.iter().flat_map(|outcome| outcome.listed(public_url)).collect()
    }

    async fn store(&self, entry: &Entry, event: &Event) -> Result<Outcome, Problem> {
        let repository = entry.document.name.clone();
        let unchanged = self.unchanged(&repository, event).await?;
        let decided = unchanged.unwrap_or_else(|| self.decide(entry, event));
        self.store_decided(entry, event, decided).await
    }

    /// Stores the delivery for a repository with what was decided about it.
    pub(super) async fn store_decided(
        &self,
        entry: &Entry,
        event: &Event,
        decided: Decision,
    ) -> Result<Outcome, Problem> {
        let repository = entry.document.name.clone();
        let Decision { builds, rules_fetch, push, closed, ignored, explain } = decided;
        let delivery = NewDelivery {
            forge: self.forge.as_str().to_owned(),
            delivery: self.id.to_owned(),
            event: self.event.to_owned(),
            repository: repository.clone(),
            body: self.body.to_vec(),
            ignored: ignored.map(str::to_owned),
            explain: explain.clone(),
            push,
            closed,
            is_replay: self.is_replay,
            has_own_id: self.has_own_id,
            moves: moves(event),
            default_branch: default_branch(event).map(str::to_owned),
        };
        let accepted = self.service.database.accept(&delivery, &builds, rules_fetch.as_ref()).await?;
        let (repo, id) = (repository.as_str(), self.id);
        match (&accepted, ignored) {
            (Accepted::New(_), Some(reason)) => {
                tracing::info!(repo, delivery = id, reason, "a delivery builds nothing")
            }
            (Accepted::New(ids), None) => {
                tracing::info!(repo, delivery = id, builds = ids.len(), "a delivery was accepted")
            }
            _ => {}
        }
        Ok(Outcome { repository, accepted, builds, is_pending: rules_fetch.is_some(), ignored, explain })
    }

    /// Returns that nothing follows from a change of a pull request which brought no commit.
    async fn unchanged(&self, repository: &str, event: &Event) -> Result<Option<Decision>, Problem> {
        let Event::Pull(pull) = event else { return Ok(None) };
        if !pull.may_be_unchanged || !pull.is_open || self.is_replay {
            return Ok(None);
        }
        let head = self.service.database.told_head(repository, &pull.pull.git_ref).await?;
        let is_same = head.is_some_and(|head| head == pull.pull.commit);
        let why = format!("pull request {} has no new commit", pull.pull.number);
        Ok(is_same.then(|| Decision::ignored("no_change", why)))
    }

    fn decide(&self, entry: &Entry, event: &Event) -> Decision {
        match event {
            Event::Ping => Decision { ignored: Some("ping"), ..Decision::default() },
            Event::Check(_) => {
                Decision::ignored("check_request", "a request at a check run is not repeated".to_owned())
            }
            Event::Other => Decision {
                ignored: Some("unknown_event"),
                explain: vec![format!("nothing is built for the event `{}`", self.event)],
                ..Decision::default()
            },
            Event::Pushes(pushes) => self.decide_pushes(entry, pushes),
            Event::Pull(pull) => {
                let (delivery, by) = (self.id.to_owned(), first_line(&pull.by));
                let trigger = Trigger::PullRequest { delivery, by, pull: Box::new(pull.pull.clone()) };
                pull_requests::of(&entry.repository, pull, trigger)
            }
        }
    }

    /// Applies the rules to each push; only if none of them builds anything the delivery counts as ignored.
    fn decide_pushes(&self, entry: &Entry, pushes: &[Push]) -> Decision {
        let mut all = Decision::default();
        for push in pushes {
            let mut one = self.decide_push(entry, push);
            all.builds.append(&mut one.builds);
            all.explain.append(&mut one.explain);
            all.rules_fetch = all.rules_fetch.or(one.rules_fetch);
            all.ignored = all.ignored.or(one.ignored);
        }
        if let [push] = pushes {
            all.push = pushed_ref(push);
        }
        if pushes.is_empty() {
            all.ignored = Some("no_change");
        } else if !all.builds.is_empty() || all.rules_fetch.is_some() {
            all.ignored = None;
        }
        all
    }

    fn decide_push(&self, entry: &Entry, push: &Push) -> Decision {
        if let Some(marked) = decision::marked(push).filter(|_| !self.is_replay) {
            return marked;
        }
        let trigger = Trigger::Push { delivery: self.id.to_owned(), by: first_line(&push.by) };
        decision::of(&entry.repository, push, trigger)
    }

    /// Tells whether a build came from a delivery with another id: then the same body was sent again under a new one.
    async fn is_of_another_delivery(&self, build: Option<&BuildId>) -> Result<bool, Problem> {
        let Some(id) = build else { return Ok(false) };
        let build = self.service.database.build(id).await?;
        let trigger = build.map(|build| build.request.trigger);
        Ok(
            matches!(trigger, Some(Trigger::Push { delivery, .. } | Trigger::PullRequest { delivery, .. }) if delivery != self.id),
        )
    }
}

impl Outcome {
    fn ids(&self) -> &[BuildId] {
        match &self.accepted {
            Accepted::New(ids) | Accepted::Duplicate(ids) => ids,
            Accepted::KeyReused => &[],
        }
    }

    /// Returns the stored builds as an answer lists them, with rules and tags if they are new.
    fn listed(&self, public_url: &str) -> Vec<StoredBuild> {
        let is_new = matches!(self.accepted, Accepted::New(_));
        let stored = |(number, id): (usize, &BuildId)| {
            let build = self.builds.get(number).filter(|_| is_new);
            StoredBuild {
                id: id.as_str().to_owned(),
                rule: build.map(|build| build.rule.clone()),
                status_url: format!("{public_url}/v1/builds/{}", id.as_str()),
                warnings: build.map(|build| build.spec.options.warnings.clone()),
                tags: build.map(|build| build.spec.shown_tags()),
                repo: self.repository.clone(),
            }
        };
        self.ids().iter().enumerate().map(stored).collect()
    }

    /// Takes the lines out that say why nothing is built; of several repositories each says whose it is.
    fn explained(&mut self, several: bool) -> Vec<String> {
        let lines = std::mem::take(&mut self.explain);
        if !several {
            return lines;
        }
        lines.into_iter().map(|line| format!("{}: {line}", self.repository)).collect()
    }
}

/// Returns what an event tells of refs.
fn moves(event: &Event) -> Vec<RefMove> {
    let of_push =
        |push: &Push| RefMove { git_ref: push.git_ref.clone(), before: push.before.clone(), after: push.after.clone() };
    let of_pull = |pull: &Pull| RefMove {
        git_ref: pull.pull.git_ref.clone(),
        before: pull.before.clone(),
        after: pull.is_open.then(|| pull.pull.commit.clone()),
    };
    match event {
        Event::Pushes(pushes) => pushes.iter().map(of_push).collect(),
        Event::Pull(pull) => vec![of_pull(pull)],
        Event::Ping | Event::Check(_) | Event::Other => Vec::new(),
    }
}

fn default_branch(event: &Event) -> Option<&str> {
    let named = match event {
        Event::Pushes(pushes) => pushes.first()?.default_branch.as_deref(),
        Event::Pull(pull) => pull.default_branch.as_deref(),
        Event::Ping | Event::Check(_) | Event::Other => None,
    };
    named.filter(|name| crate::rules::is_ref(&format!("refs/heads/{name}")))
}
