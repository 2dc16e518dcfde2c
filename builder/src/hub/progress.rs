//! Shows the progress of a build to the hook that asked for it, and the phases of a build with hooks as its steps.

use super::socket::Caller;
use crate::event::{Event, Observer, StepSummary};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Prints what a build tells to the standard error of its caller, as `docker build` does.
pub(crate) struct Printed<'c> {
    caller: &'c Caller,
    is_quiet: bool,
    steps: Mutex<Vec<StepSummary>>,
}

impl<'c> Printed<'c> {
    /// Prints to `caller`; nothing but warnings if it wants quiet.
    pub(crate) fn new(caller: &'c Caller, is_quiet: bool) -> Self {
        Printed { caller, is_quiet, steps: Mutex::default() }
    }

    fn step(&self, number: usize, what: &str) {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = steps.iter().find(|step| step.number == number) {
            let what = if what.is_empty() { &step.instruction } else { what };
            self.caller.complain(format!("#{number} {} {what}\n", step.place()));
        }
    }
}

impl Observer for Printed<'_> {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Planned(steps) => {
                *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps.to_vec();
            }
            Event::Warning(text) | Event::StaleImage(text) => self.caller.complain(format!("WARNING: {text}\n")),
            Event::Output { bytes, .. } => self.caller.complain(bytes),
            _ if self.is_quiet => {}
            Event::Started { step } => self.step(step, ""),
            Event::Finished { step, cached: true, .. } => self.step(step, "CACHED"),
            _ => {}
        }
    }
}

/// The steps of a build with hooks: those before slipway's own build, its steps, and those after it.
pub(crate) struct Phases<'o> {
    observer: &'o dyn Observer,
    steps: Mutex<Steps>,
}

#[derive(Default)]
struct Steps {
    before: Vec<String>,
    inner: Vec<StepSummary>,
    after: Vec<String>,
}

impl Steps {
    fn all(&self) -> Vec<StepSummary> {
        let before = self.before.iter().enumerate().map(|(at, name)| step(at + 1, name));
        let inner = self.inner.iter().map(|inner| self.renumbered(inner));
        let first = self.before.len() + self.inner.len() + 1;
        let after = self.after.iter().enumerate().map(|(at, name)| step(first + at, name));
        before.chain(inner).chain(after).collect()
    }

    fn renumbered(&self, inner: &StepSummary) -> StepSummary {
        StepSummary { number: inner.number + self.before.len(), ..inner.clone() }
    }
}

fn step(number: usize, name: &str) -> StepSummary {
    let (stage, instruction) = ("hub".to_owned(), name.to_owned());
    StepSummary { number, stage, position: (0, 0), instruction, line: 0 }
}

impl<'o> Phases<'o> {
    /// Tells `observer` which steps there will be.
    pub(crate) fn new(observer: &'o dyn Observer, before: Vec<String>, after: Vec<String>) -> Self {
        let phases = Phases { observer, steps: Mutex::new(Steps { before, inner: Vec::new(), after }) };
        phases.plan();
        phases
    }

    /// Adds a line of the build's own to the log.
    pub(crate) fn say(&self, phase: crate::event::Phase, text: &str) {
        self.observer.observe(Event::Phase(phase, text));
    }

    /// Says that the step `name` begins; returns its number.
    pub(crate) fn begin(&self, name: &str) -> usize {
        let number = self
            .steps()
            .all()
            .iter()
            .find(|step| step.stage == "hub" && step.instruction == name)
            .map(|step| step.number);
        let number = number.unwrap_or(0);
        self.observer.observe(Event::Started { step: number });
        number
    }

    /// Passes on what a step printed.
    pub(crate) fn print(&self, step: usize, bytes: &[u8]) {
        self.observer.observe(Event::Output { step, bytes });
    }

    /// Says how a step ended: with an exit code, well if it is 0, or without one because the build ended.
    pub(crate) fn end(&self, step: usize, code: Option<i32>, duration: Duration) {
        self.observer.observe(match code {
            Some(0) => Event::Finished { step, cached: false, duration },
            None => Event::Cancelled { step, duration },
            exit_code => Event::Failed { step, exit_code, duration },
        });
    }

    fn plan(&self) {
        let all = self.steps().all();
        self.observer.observe(Event::Planned(&all));
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Phases<'_> {
    fn observe(&self, event: Event<'_>) {
        let before = self.steps().before.len();
        self.observer.observe(match event {
            Event::Planned(steps) => {
                self.steps().inner = steps.to_vec();
                return self.plan();
            }
            other => other.after(before),
        });
    }
}
