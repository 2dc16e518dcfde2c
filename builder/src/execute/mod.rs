//! Executes a plan: stages side by side, each step from the cache or anew, each layer packed beside the next step.

mod blocking;
mod copy;
mod key;
mod layer;
mod materials;
mod mount;
mod pack;
mod promise;
mod run;
mod stage;

pub use key::image as image_key;
pub use layer::{Committed, Layer};
pub use materials::{Materials, store_error};

use crate::Error;
use crate::cache::Cache;
use crate::context::Sources;
use crate::event::Observer;
use crate::mask::Masks;
use crate::plan::Plan;
use promise::Promise;
use runtime::Cancel;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the steps are executed.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether cached layers are used; results are stored either way.
    pub use_cache: bool,
    /// The time that made files and history entries carry, in seconds since 1970.
    pub now: i64,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of ssh agents by id.
    pub ssh: BTreeMap<String, std::path::PathBuf>,
}

/// The layers that a stage ends with, base layers first.
#[derive(Debug, Clone)]
pub struct StageLayers {
    /// The layers.
    pub layers: Vec<Arc<Layer>>,
    /// For each step of the stage that makes a layer, and each base layer before it, nothing; the key of the whole.
    pub key: String,
}

/// An execution in progress.
pub struct Execution<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// Where files come from.
    pub sources: &'a Sources<'a>,
    /// Blobs, indexes, snapshots.
    pub materials: &'a Materials,
    /// Known results.
    pub cache: &'a Cache<'a>,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// How.
    pub options: &'a Options,
    /// Called with each layer of the result as soon as it is known, before it is packed.
    pub on_layer: &'a (dyn Fn(Arc<Layer>) + Sync),
    /// Hides the build's secrets in what its steps print.
    pub masks: Masks,
    results: Vec<Promise<Result<Arc<StageLayers>, Error>>>,
    in_flight: Mutex<HashMap<String, Arc<Layer>>>,
    first_error: Mutex<Option<Error>>,
}

impl<'a> Execution<'a> {
    /// Prepares an execution.
    pub fn new(
        plan: &'a Plan,
        sources: &'a Sources<'a>,
        materials: &'a Materials,
        (cache, options): (&'a Cache<'a>, &'a Options),
        (observer, on_layer): (&'a dyn Observer, &'a (dyn Fn(Arc<Layer>) + Sync)),
    ) -> Self {
        let results = plan.stages.iter().map(|_| Promise::new()).collect();
        let masks = Masks::new(options.secrets.values().map(Vec::as_slice));
        let (in_flight, first_error) = Default::default();
        Execution {
            plan,
            sources,
            materials,
            cache,
            observer,
            options,
            on_layer,
            masks,
            results,
            in_flight,
            first_error,
        }
    }

    /// Executes all stages and returns the layers of the target; every layer is settled then.
    pub fn run(&self) -> Result<Arc<StageLayers>, Error> {
        std::thread::scope(|scope| {
            for index in 0..self.plan.stages.len() {
                scope.spawn(move || {
                    let result = stage::execute(self, index, scope);
                    if let Err(error) = &result {
                        self.fail(error);
                    }
                    self.results[index].keep(result.map(Arc::new));
                });
            }
        });
        if let Some(error) = self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        self.results[self.plan.target].peek().unwrap_or_else(|| Err(Error::cancelled()))
    }

    /// Waits for the layers of a stage.
    fn stage(&self, index: usize) -> Result<Arc<StageLayers>, Error> {
        self.results[index].wait(self.cancel()).unwrap_or_else(|| Err(Error::cancelled()))
    }

    fn cancel(&self) -> &Cancel {
        &self.materials.cancel
    }

    /// Remembers the first error and ends everything else: what fails after it fails because of it.
    fn fail(&self, error: &Error) {
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error.clone());
        }
        self.cancel().cancel();
    }

    /// Returns the layer that somebody in this build makes or made for `key`, or registers a new one to be made here.
    fn claim_layer(&self, key: &str) -> Claimed {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = in_flight.get(key) {
            return Claimed::Theirs(layer.clone());
        }
        let layer = Layer::pending(key.to_owned());
        in_flight.insert(key.to_owned(), layer.clone());
        Claimed::Ours(layer)
    }
}

/// Who makes a layer.
enum Claimed {
    /// Another stage of this build.
    Theirs(Arc<Layer>),
    /// The caller.
    Ours(Arc<Layer>),
}

/// Turns an error of the sandbox into one that says who is to blame.
pub fn sandbox_error(doing: String, error: runtime::Error) -> Error {
    if error.is_users_fault() {
        Error::user("step_failed", doing).with_cause(error)
    } else {
        Error::service("sandbox", doing).with_cause(error)
    }
}
