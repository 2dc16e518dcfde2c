//! Writes what a build tells to the database, in batches, beside the build.

use super::log_quota::Quota;
use crate::Services;
use crate::event::{Event, Observer, Phase, StepSummary};
use database::{BuildState, Claim, Step, StepState};
use runtime::CancellationToken;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long output waits for more before it is written.
const BATCH_TIME: Duration = Duration::from_millis(60);
/// Bytes of output that are written at once.
const BATCH_BYTES: usize = 64 * 1024;
/// Notes that may wait; a build that prints faster than the database takes it is slowed down.
const WAITING: usize = 256;
/// How long the database may take to write.
const DB_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before something is written again that the database did not take.
const PAUSE: Duration = Duration::from_millis(300);

/// Something to be written.
enum Note {
    Log(Option<i64>, Vec<u8>),
    State(BuildState),
    Commit(String, String),
    Steps(Vec<Step>),
    Warnings(Vec<String>),
}

/// Takes a build's events and writes them.
pub(crate) struct Recorder {
    notes: SyncSender<Note>,
    steps: Mutex<Vec<Step>>,
    /// Where each step is among those of its stage, as `slipway build` shows it.
    places: Mutex<Vec<String>>,
    quota: Mutex<Quota>,
    /// The warnings that stay with the build.
    warnings: Mutex<Vec<String>>,
    /// The state of the build in the database, once all notes are written.
    state: Mutex<BuildState>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Starts to write for the build of `claim`; `cancel` is used when the lease turns out to be lost.
    pub(crate) fn start(services: &Services, claim: Arc<Claim>, cancel: CancellationToken) -> Self {
        let (notes, waiting) = sync_channel(WAITING);
        let services = services.clone();
        let thread = std::thread::spawn(move || write_all(&services, &claim, &waiting, &cancel));
        let state = Mutex::new(BuildState::Preparing);
        Recorder {
            notes,
            steps: Mutex::default(),
            places: Mutex::default(),
            quota: Mutex::default(),
            warnings: Mutex::default(),
            state,
            thread,
        }
    }

    /// Adds a line of slipway's own to the log.
    pub(crate) fn say(&self, text: &str) {
        // It tells of other services' errors, which repeat URLs.
        self.note(Note::Log(None, database::redact(text).as_bytes().to_vec()));
    }

    /// Writes to the build, beside the log, what is odd about its commit or its base images; each once.
    pub(crate) fn warn(&self, warnings: Vec<String>) {
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        for text in warnings {
            let text = database::redact(&text).to_string();
            if !known.contains(&text) {
                self.say(&format!("WARNING: {text}\n"));
                known.push(text);
            }
        }
        if known.len() > before {
            self.note(Note::Warnings(known.clone()));
        }
    }

    /// Returns which steps ran when the build was ended, as a clause for its reason; nothing if none did.
    pub(crate) fn unfinished(&self) -> String {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let running = steps.iter().filter(|step| matches!(step.state, StepState::Running | StepState::Cancelled));
        let named: Vec<_> = running.map(|step| format!("step {} `{}`", step.number, step.instruction)).collect();
        match named.len() {
            0 => String::new(),
            1 => format!("; {} was running", named[0]),
            _ => format!("; {} were running", named.join(", ")),
        }
    }

    /// Writes what is left; steps that did not run are marked so.
    pub(crate) fn stop(self, succeeded: bool) {
        if !succeeded {
            self.change_steps(|steps| {
                for step in steps.iter_mut() {
                    step.state = match step.state {
                        StepState::Pending | StepState::Waiting => StepState::NotReached,
                        StepState::Running => StepState::Cancelled,
                        ended => ended,
                    };
                }
            });
        }
        drop(self.notes);
        let _ = self.thread.join();
    }

    fn note(&self, note: Note) {
        let _ = self.notes.send(note);
    }

    fn enter(&self, state: BuildState) {
        let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *known, state) != state {
            self.note(Note::State(state));
        }
    }

    fn change_steps(&self, change: impl FnOnce(&mut Vec<Step>)) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let before = steps.clone();
        change(&mut steps);
        let changed: Vec<_> = steps.iter().filter(|step| !before.contains(step)).cloned().collect();
        drop(steps);
        if !changed.is_empty() {
            self.note(Note::Steps(changed));
        }
    }

    fn change_step(&self, number: usize, change: impl FnOnce(&mut Step)) {
        self.change_steps(|steps| {
            if let Some(step) = number.checked_sub(1).and_then(|index| steps.get_mut(index)) {
                change(step);
            }
        });
    }
}

impl Observer for Recorder {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Phase(phase, text) => {
                self.say(&format!("{text}\n"));
                self.enter(match phase {
                    Phase::Preparing => BuildState::Preparing,
                    Phase::Building => BuildState::Building,
                    Phase::Pushing => BuildState::Pushing,
                });
            }
            Event::Commit { id, message } => self.note(Note::Commit(id.to_owned(), message.to_owned())),
            Event::Warning(text) => self.say(&format!("WARNING: {text}\n")),
            Event::StaleImage(text) => self.warn(vec![text.to_owned()]),
            // The steps of a further platform come after those that are known.
            Event::Planned(summaries) => {
                *self.places.lock().unwrap_or_else(PoisonError::into_inner) =
                    summaries.iter().map(StepSummary::place).collect();
                self.change_steps(|steps| {
                    let planned = summaries.iter().map(pending).enumerate();
                    *steps = planned.map(|(index, step)| known(steps.get(index), step)).collect();
                });
            }
            Event::Waiting { step } => self.change_step(step, |step| step.state = StepState::Waiting),
            Event::Started { step } => {
                self.change_step(step, |step| {
                    step.state = StepState::Running;
                    step.started_ms = Some(now_ms());
                });
                self.say_step(step, None);
            }
            Event::Output { step, bytes } => self.output(step, bytes),
            Event::Finished { step, cached, duration } => {
                self.change_step(step, |step| {
                    step.state = StepState::Succeeded;
                    step.cached = cached;
                    step.duration_ms = Some(duration.as_millis() as i64);
                });
                if cached {
                    self.say_step(step, Some("CACHED"));
                }
            }
            Event::Layer { step, digest, size } => self.change_step(step, |step| {
                step.layer_digest = Some(digest.to_string());
                step.layer_size = Some(size);
            }),
            Event::Cancelled { step, duration } => self.change_step(step, |step| {
                step.state = StepState::Cancelled;
                step.duration_ms = Some(duration.as_millis() as i64);
            }),
            Event::Failed { step, exit_code, duration } => self.change_step(step, |step| {
                step.state = StepState::Failed;
                step.exit_code = exit_code.map(i64::from);
                step.duration_ms = Some(duration.as_millis() as i64);
            }),
        }
    }
}

impl Recorder {
    /// Passes on what a step printed, as far as it is kept.
    fn output(&self, step: usize, bytes: &[u8]) {
        let kept = self.quota.lock().unwrap_or_else(PoisonError::into_inner).take(step, bytes);
        let number = i64::try_from(step).ok();
        if !kept.bytes.is_empty() {
            self.note(Note::Log(number, kept.bytes.to_vec()));
        }
        if let Some(mark) = kept.mark {
            self.note(Note::Log(number, mark.into_bytes()));
        }
    }

    fn say_step(&self, number: usize, what: Option<&str>) {
        let Some(index) = number.checked_sub(1) else { return };
        let place = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned();
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(step), Some(place)) = (steps.get(index), place) else { return };
        let line = format!("{place} {}\n", what.unwrap_or(&step.instruction));
        drop(steps);
        self.say(&line);
    }
}

fn pending(summary: &StepSummary) -> Step {
    Step {
        number: summary.number as i64,
        instruction: summary.instruction.clone(),
        stage: summary.stage.clone(),
        line: summary.line as i64,
        state: StepState::Pending,
        cached: false,
        exit_code: None,
        layer_digest: None,
        layer_size: None,
        started_ms: None,
        duration_ms: None,
    }
}

/// Returns the step as it stands, or as it is planned if it is another.
fn known(known: Option<&Step>, planned: Step) -> Step {
    let same = |step: &&Step| step.stage == planned.stage && step.instruction == planned.instruction;
    known.filter(same).cloned().unwrap_or(planned)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Writes notes until the recorder is stopped: at once after a pause, otherwise in batches.
fn write_all(services: &Services, claim: &Claim, waiting: &Receiver<Note>, cancel: &CancellationToken) {
    let mut written = None::<Instant>;
    let (mut open, mut lost, mut heard) = (true, false, BTreeSet::new());
    while open {
        let Ok(first) = waiting.recv() else { return };
        let deadline = written.map_or_else(Instant::now, |written| written + BATCH_TIME);
        let batch = gather(first, waiting, deadline, &mut heard, &mut open);
        // Another attempt will write its own; a step that still prints must not be held up.
        lost = lost || !write_patiently(services, claim, merge(batch), cancel);
        if lost {
            cancel.cancel();
        }
        written = Some(Instant::now());
    }
}

/// Collects notes until `deadline`, until there are enough, or until a step that was not `heard` says its first: people
/// wait for that.
fn gather(
    first: Note,
    waiting: &Receiver<Note>,
    deadline: Instant,
    heard: &mut BTreeSet<i64>,
    open: &mut bool,
) -> Vec<Note> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(note) = next.take() {
        let mut is_first = false;
        if let Note::Log(step, text) = &note {
            bytes += text.len();
            is_first = step.is_some_and(|step| heard.insert(step));
        }
        batch.push(note);
        if is_first || bytes >= BATCH_BYTES {
            break;
        }
        match waiting.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(note) => next = Some(note),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => *open = false,
        }
    }
    batch
}

/// Writes notes, again and again while the database is away; false if the build is another attempt's.
fn write_patiently(services: &Services, claim: &Claim, notes: Vec<Note>, cancel: &CancellationToken) -> bool {
    for note in notes {
        loop {
            let writing = async { tokio::time::timeout(DB_TIMEOUT, write(services, claim, &note)).await };
            match services.tokio.block_on(writing) {
                Ok(Ok(())) => break,
                Ok(Err(database::Error::LeaseLost)) => return false,
                _ if cancel.is_cancelled() => break,
                _ => {
                    cancel.wait_timeout(PAUSE);
                }
            }
        }
    }
    true
}

/// Joins what belongs together: output of one step, states of one step.
fn merge(batch: Vec<Note>) -> Vec<Note> {
    let mut merged: Vec<Note> = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for note in batch {
        match (merged.last_mut(), note) {
            (Some(Note::Log(step, text)), Note::Log(same, more)) if *step == same => text.extend_from_slice(&more),
            (_, Note::Steps(changed)) => {
                for step in changed {
                    steps.retain(|known| known.number != step.number);
                    steps.push(step);
                }
            }
            (_, note) => merged.push(note),
        }
    }
    if !steps.is_empty() {
        merged.push(Note::Steps(steps));
    }
    merged
}

async fn write(services: &Services, claim: &Claim, note: &Note) -> Result<(), database::Error> {
    let database = &services.database;
    match note {
        Note::Log(step, text) => database.append_log(claim, *step, text).await,
        Note::State(state) => database.set_state(claim, *state).await,
        Note::Commit(id, message) => database.set_commit(claim, id, message).await,
        Note::Steps(steps) => database.put_steps(claim, steps).await,
        Note::Warnings(warnings) => database.set_warnings(claim, warnings).await,
    }
}
