//! The state of an execution: what its threads share.

use super::cache::{Cache, Settled};
use super::definition_keys::Definitions;
use super::layer::{Committed, Layer};
use super::making::Making;
use super::once_value::OnceValue;
use super::options::Options;
use super::resources::BuildResources;
use super::sources::Sources;
use crate::Error;
use crate::event::Observer;
use crate::secrets::Masks;
use crate::semaphore::{Permit, Semaphore};
use crate::trace::Work;
use dockerfile::plan::Plan;
use runtime::CancellationToken;
use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// The layers that a stage ends with, base layers first.
#[derive(Debug, Clone)]
pub struct StageLayers {
    /// The layers.
    pub layers: Vec<Arc<Layer>>,
    /// For each step of the stage that makes a layer, and each base layer before it, nothing; the key of the whole.
    pub key: String,
}

/// Whether a layer was known before the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// It comes from a base image or from the cache: a registry may have it already.
    Hit,
    /// It is made by this build.
    Miss,
}

/// Somebody who is told of the layers of the result.
pub type OnLayer<'a> = dyn Fn(Arc<Layer>, CacheStatus) + Sync + 'a;

/// An execution in progress.
pub struct Execution<'a> {
    /// The plan that is executed.
    pub plan: &'a Plan,
    /// Where files come from.
    pub sources: &'a Sources<'a>,
    /// Blobs, indexes, snapshots.
    pub resources: &'a BuildResources,
    /// Known results.
    pub cache: &'a Cache<'a>,
    /// Told of every event.
    pub observer: &'a dyn Observer,
    /// How steps are executed.
    pub options: &'a Options,
    /// Called with each layer of the result as soon as it is known, before it is packed.
    pub on_layer: &'a OnLayer<'a>,
    pub(super) definitions: Definitions,
    pub(super) needed: Vec<bool>,
    pub(super) steps: Semaphore,
    pub(super) packs: Semaphore,
    /// Instructions that take very many paths: one at a time.
    pub(super) large: Arc<Semaphore>,
    pub(super) settling: Mutex<Option<Sender<Settled>>>,
    /// Hides the build's secrets in what its steps print.
    pub masks: Masks,
    pub(super) results: Vec<OnceValue<Result<Arc<StageLayers>, Error>>>,
    pub(super) in_flight: Mutex<HashMap<String, Arc<Layer>>>,
    /// The layers that only this build makes now, by their keys.
    pub(super) making: Mutex<HashMap<String, Making>>,
    pub(super) first_error: Mutex<Option<Error>>,
    /// When it began, in nanoseconds since 1970: tells what belongs to this build.
    pub(super) begun: u128,
}

impl Execution<'_> {
    /// Commits a layer to the cache; only the end of the build waits for that.
    pub(super) fn settle(&self, layer: &Layer, committed: &Committed, placed: Option<String>) {
        if let Some(sender) = self.settling.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let (key, definition) = (layer.key.clone(), layer.definition.clone());
            let _ = sender.send(Settled { key, definition, placed, layer: committed.clone() });
        }
    }

    /// Waits until no other build of the push or command makes the layer of `key`: it is in the cache then, or this one makes
    /// it.
    pub(super) fn begin_making(&self, key: &str) -> Result<(), Error> {
        if !self.options.is_one_of_several {
            return Ok(());
        }
        let _span = self.resources.trace.span(Work::Wait, "a layer that another build makes");
        let making =
            Making::begin(&self.resources.store, self.cache.name(key), self.cancel()).ok_or_else(Error::cancelled)?;
        self.making.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), making);
        Ok(())
    }

    /// Lets other builds have the layer of `key`, or make it.
    pub(super) fn end_making(&self, key: &str) {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Lets other builds have layers that are in the cache.
    pub(super) fn are_settled(&self, settled: &[Settled]) {
        settled.iter().for_each(|settled| self.end_making(&settled.key));
    }

    /// Waits until a step may run: as many run at once as the machine can take.
    pub(super) fn step_permit(&self) -> Result<Permit<'_>, Error> {
        self.permit_of(&self.steps, "a permit to run a step")
    }

    /// Waits until a layer may be packed: each one uses all cores.
    pub(super) fn pack_permit(&self) -> Result<Permit<'_>, Error> {
        self.permit_of(&self.packs, "a permit to pack a layer")
    }

    fn permit_of<'s>(&self, semaphore: &'s Semaphore, name: &str) -> Result<Permit<'s>, Error> {
        let _span = self.resources.trace.span(Work::Wait, name);
        semaphore.acquire(self.cancel()).ok_or_else(Error::cancelled)
    }

    /// Waits for the layers of a stage.
    pub(super) fn stage(&self, index: usize) -> Result<Arc<StageLayers>, Error> {
        let _span = self.resources.trace.span(Work::Wait, format!("stage {}", self.plan.stages[index].name));
        self.results[index].wait(self.cancel()).unwrap_or_else(|| Err(Error::cancelled()))
    }

    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.resources.cancel
    }

    /// Remembers the first error and ends everything else: what fails after it fails because of it.
    pub(super) fn fail(&self, error: &Error) {
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error.clone());
        }
        self.cancel().cancel();
    }

    /// Returns the layer that somebody in this build makes or made for `key`, or registers a new one to be made here.
    pub(super) fn claim_layer(&self, key: &str) -> InFlight {
        self.claim_defined(key, None)
    }

    /// Does the same for the layer of a step, which is also known by its definition.
    pub(super) fn claim_defined(&self, key: &str, definition: Option<&str>) -> InFlight {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = in_flight.get(key) {
            return InFlight::Existing(layer.clone());
        }
        let layer = Layer::pending(key.to_owned(), definition.map(str::to_owned));
        in_flight.insert(key.to_owned(), layer.clone());
        InFlight::New(layer)
    }
}

/// A layer that is made once, by the first stage that needs it (single flight).
pub(crate) enum InFlight {
    /// Another stage of this build makes it.
    Existing(Arc<Layer>),
    /// The caller makes it.
    New(Arc<Layer>),
}
