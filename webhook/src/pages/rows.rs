//! Builds as rows of a list: one line each, a second one only where there is something to know.

use super::mark::Mark;
use super::moment::{day, time};
use super::words::{author, awaited, headline, now_ms, seconds, short, split_ref, took};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use database::{Build, BuildState, QueuePlace, Step, StepState};
use maud::{Markup, html};
use std::collections::HashMap;

/// Running builds whose steps are read for one list.
const MAX_FOLLOWED: usize = 20;
/// Places of the queue that are read for one list.
const MAX_QUEUED: u32 = 100;

/// Builds with what is shown beside them.
pub(crate) struct Rows {
    builds: Vec<Build>,
    steps: HashMap<String, Vec<Step>>,
    places: HashMap<String, QueuePlace>,
}

impl Rows {
    /// Reads what is shown beside builds.
    pub(crate) async fn read(service: &Service, builds: Vec<Build>) -> Result<Rows, Problem> {
        let (mut steps, mut places) = (HashMap::new(), HashMap::new());
        let running = builds.iter().filter(|build| Mark::of_build(build).is_running());
        for build in running.take(MAX_FOLLOWED) {
            steps.insert(build.id.as_str().to_owned(), service.database.steps(&build.id).await?);
        }
        if builds.iter().any(|build| build.state == BuildState::Queued) {
            let queued = service.database.queue(MAX_QUEUED).await?;
            places.extend(queued.into_iter().map(|queued| (queued.id.as_str().to_owned(), queued.place)));
        }
        Ok(Rows { builds, steps, places })
    }

    /// Tells whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.builds.is_empty()
    }

    /// Returns a text that changes when a row does.
    pub(crate) fn version(&self) -> String {
        let of = |build: &Build| {
            let place = self.places.get(build.id.as_str()).and_then(|place| place.position);
            let done = self.steps.get(build.id.as_str()).map(|steps| progress(steps));
            format!("{} {} {} {place:?} {done:?};", build.id.as_str(), build.state.as_str(), build.awaits_approval)
        };
        self.builds.iter().map(of).collect()
    }

    /// Returns the rows: those that have not ended first, the others by day.
    pub(crate) fn shown(&self) -> Markup {
        let (ended, open): (Vec<&Build>, Vec<&Build>) = self.builds.iter().partition(|build| build.state.has_ended());
        let now = now_ms();
        let days = ended.chunk_by(|one, other| day(one.created_ms, now) == day(other.created_ms, now));
        html! {
            @if !open.is_empty() { (self.group("Now", &open)) }
            @for builds in days { (self.group(&day(builds[0].created_ms, now), builds)) }
        }
    }

    fn group(&self, name: &str, builds: &[&Build]) -> Markup {
        html! {
            h2.day { (name) }
            ol.rows { @for build in builds { (self.row(build)) } }
        }
    }

    fn row(&self, build: &Build) -> Markup {
        let id = build.id.as_str();
        let mark = Mark::of_build(build);
        let (kind, name) = split_ref(&build.request.spec.git_ref);
        let message = match build.request.commit_message.as_str() {
            "" if build.commit.is_none() => format!("The newest commit of {name}"),
            "" => format!("Commit {}", short(build.commit.as_deref())),
            message => plain(message.as_bytes()),
        };
        html! {
            li.row.(mark.colour()) id=(format!("row-{id}")) {
                (mark.icon())
                a.go href=(format!("/builds/{id}")) { (plain(build.request.repository.as_bytes())) " " b { "#" (build.number) } }
                span.msg {
                    span.cut title=(message) { (message) }
                    @if let Some(news) = self.news(build) { small.cut { (news) } }
                }
                span.ref.cut title=(format!("{kind} {name}")) { (name) }
                span.by.cut { (author(build)) }
                span.tag.cut { (self.last(build)) }
                span.num.took { @if let Some(took) = took(build) { (took) } }
                span.num.ago { (time(build.created_ms)) }
            }
        }
    }

    /// Returns what the second line says.
    fn news(&self, build: &Build) -> Option<String> {
        if let Some(place) = self.places.get(build.id.as_str()).filter(|_| build.state == BuildState::Queued) {
            let position = place.position.map_or("It ".to_owned(), |at| format!("Number {at} in the queue, "));
            let eta = place.eta_ms.map(|eta| format!(", done in about {}", seconds(eta))).unwrap_or_default();
            return Some(format!("{position}waits for {}{eta}", awaited(place.waiting_for)));
        }
        if let Some(steps) = self.steps.get(build.id.as_str()) {
            let running: Vec<&Step> = steps.iter().filter(|step| step.state == StepState::Running).collect();
            let more = if running.len() > 1 { format!(" and {} more", running.len() - 1) } else { String::new() };
            return running.first().map(|step| format!("{}{more}", plain(step.instruction.as_bytes())));
        }
        let is_to_know = matches!(build.state, BuildState::Failed | BuildState::Errored | BuildState::TimedOut);
        let reason = build.reason.as_ref().filter(|_| is_to_know)?;
        Some(headline(&plain(reason.message.as_bytes())).to_owned())
    }

    /// Returns the image's tag, or how far the build is.
    fn last(&self, build: &Build) -> Markup {
        if let Some(steps) = self.steps.get(build.id.as_str()).filter(|steps| !steps.is_empty()) {
            let (done, all) = progress(steps);
            return html! { progress max=(all) value=(done) aria-label=(format!("{done} of {all} steps done")) {} };
        }
        let tags = build.image.as_ref().map(|image| image.tags.as_slice()).unwrap_or_default();
        let Some(first) = tags.first() else { return html! {} };
        let name = first.rsplit_once(':').map_or(first.as_str(), |(_, name)| name);
        html! {
            code title=(plain(tags.join("\n").as_bytes())) { (plain(name.as_bytes())) }
            @if tags.len() > 1 { " +" (tags.len() - 1) }
        }
    }
}

/// Returns how many steps are done, and how many there are.
fn progress(steps: &[Step]) -> (usize, usize) {
    (steps.iter().filter(|step| step.state == StepState::Succeeded).count(), steps.len())
}
