//! Builds targets side by side: each when those are there that it needs. A layer that several need is made by one of them.

use super::targets::Planned;
use crate::command::build::session::{Session, Stopped, Work};
use crate::progress::{Displays, Style};
use crate::state::Registries;
use builder::Built;
use registry_client::{Descriptor, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Targets that are built at once.
const SIDE_BY_SIDE: usize = 4;

/// The images of targets, with their names; or how the command ends without them.
pub(crate) type Outcome = Result<Vec<(String, Built, Vec<Reference>)>, ExitCode>;

/// Builds the targets of one command.
pub(crate) struct Bakery {
    session: Session,
    displays: Displays,
}

/// The state of all targets.
#[derive(Default)]
struct State {
    begun: BTreeSet<String>,
    images: BTreeMap<String, Descriptor>,
    built: Vec<(String, Built, Vec<Reference>)>,
    failure: Option<Failure>,
}

/// How the command ends that could not build a target.
struct Failure {
    code: ExitCode,
    text: Option<String>,
}

impl Bakery {
    /// Opens what builds need.
    pub(crate) fn open(data_dir: Option<PathBuf>, registries: Registries, style: Style) -> Result<Bakery, String> {
        Ok(Bakery { session: Session::open(data_dir, registries)?, displays: Displays::new(style) })
    }

    /// Builds the targets; the first that fails ends the others.
    pub(crate) fn build(&self, planned: &[Planned]) -> Result<Outcome, String> {
        // The store collects nothing as garbage that others may start from.
        let lease = self.session.services.store.leased();
        let _lease = lease.map_err(|error| registry_client::report(&error))?;
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        std::thread::scope(|scope| {
            for _ in 0..planned.len().min(SIDE_BY_SIDE) {
                scope.spawn(|| self.work(planned, &state, &changed));
            }
        });
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(Failure { text: Some(text), .. }) => Err(text),
            Some(Failure { code, .. }) => Ok(Err(code)),
            None => Ok(Ok(state.built)),
        }
    }

    /// Builds one target after the other until there are none left.
    fn work(&self, planned: &[Planned], state: &Mutex<State>, changed: &Condvar) {
        let mut locked = state.lock().unwrap_or_else(PoisonError::into_inner);
        while locked.failure.is_none() && locked.begun.len() < planned.len() {
            let Some(next) = planned.iter().find(|planned| locked.is_ready(planned)) else {
                locked = changed.wait(locked).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            locked.begun.insert(next.name.clone());
            let needed =
                next.needs.iter().filter_map(|(name, needed)| Some((name.clone(), locked.images.get(needed)?.clone())));
            let linked = needed.collect();
            drop(locked);
            let is_needed = planned.iter().any(|other| other.needs.iter().any(|(_, needed)| *needed == next.name));
            let result = self.one(next, linked, is_needed);
            locked = state.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok((built, names, image)) => {
                    locked.images.extend(image.map(|image| (next.name.clone(), image)));
                    locked.built.push((next.name.clone(), built, names));
                }
                Err(failure) => {
                    self.session.cancel.cancel();
                    locked.failure.get_or_insert(failure);
                }
            }
            changed.notify_all();
        }
    }

    fn one(
        &self,
        planned: &Planned,
        linked: BTreeMap<String, Descriptor>,
        is_needed: bool,
    ) -> Result<(Built, Vec<Reference>, Option<Descriptor>), Failure> {
        let (observer, began) = (self.displays.of(&planned.name), Instant::now());
        let work = Work { name: planned.name.clone(), linked, ..Work::default() };
        let finished = self.session.build(&planned.arguments, &work, observer.as_ref()).and_then(|(built, names)| {
            let held = is_needed.then(|| builder::hold(&self.session.services, &built.image, &self.session.cancel));
            Ok((built, names, held.transpose().map_err(Stopped::Failed)?))
        });
        let interrupt = &self.session.interrupt;
        match finished {
            Ok(finished) => {
                observer.done(&finished.0, began.elapsed());
                Ok(finished)
            }
            Err(Stopped::Unasked(text)) => Err(match interrupt.code() {
                Some(code) => Failure { code, text: None },
                None => Failure { code: ExitCode::FAILURE, text: Some(format!("target `{}`: {text}", planned.name)) },
            }),
            Err(Stopped::Failed(error)) => {
                let code = interrupt.behind(&error);
                match code {
                    Some(_) => observer.failed(&builder::Error::cancelled()),
                    None => observer.failed(&error),
                }
                Err(Failure { code: code.unwrap_or(ExitCode::FAILURE), text: None })
            }
        }
    }
}

impl State {
    /// Tells whether a target can be built now.
    fn is_ready(&self, planned: &Planned) -> bool {
        let is_open = !self.begun.contains(&planned.name);
        is_open && planned.needs.iter().all(|(_, needed)| self.images.contains_key(needed))
    }
}
