//! Runs an execution: all stages side by side, each in a thread of its own.

use super::cache::Cache;
use super::definition_keys::Definitions;
use super::once_value::OnceValue;
use super::options::Options;
use super::resources::BuildResources;
use super::sources::Sources;
use super::state::{Execution, OnLayer, StageLayers};
use super::{check_sources, stage};
use crate::Error;
use crate::event::Observer;
use crate::secrets::Masks;
use crate::semaphore::Semaphore;
use crate::trace::Work;
use dockerfile::plan::{Action, Plan, Run};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Steps that are executed at once, for each core: many wait for a network or a lock most of their time.
const STEPS_PER_CORE: usize = 4;

impl<'a> Execution<'a> {
    /// Prepares an execution.
    pub fn new(
        plan: &'a Plan,
        sources: &'a Sources<'a>,
        resources: &'a BuildResources,
        cache: &'a Cache<'a>,
        options: &'a Options,
        observer: &'a dyn Observer,
        on_layer: &'a OnLayer<'a>,
    ) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let looking = resources.trace.span(Work::Key, "the definitions of all steps");
        let mut definitions = Definitions::look_up(plan, sources, cache, options, &resources.store)?;
        let needed = definitions.needed(plan, |layer| cache.available(layer, resources));
        drop(looking);
        Ok(Execution {
            definitions,
            needed,
            plan,
            sources,
            resources,
            cache,
            observer,
            options,
            on_layer,
            masks: Masks::new(options.secrets.values().map(Vec::as_slice)),
            steps: Semaphore::new(cores * STEPS_PER_CORE),
            packs: Semaphore::new(cores),
            large: Arc::new(Semaphore::new(1)),
            settling: Mutex::default(),
            results: plan.stages.iter().map(|_| OnceValue::new()).collect(),
            in_flight: Mutex::default(),
            making: Mutex::default(),
            first_error: Mutex::default(),
            begun: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
        })
    }

    /// Executes all stages and returns the layers of the target; every layer is settled then.
    pub fn run(&self) -> Result<Arc<StageLayers>, Error> {
        check_sources::check(self)?;
        let (sender, arriving) = channel();
        *self.settling.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        std::thread::scope(|beside| {
            beside.spawn(move || {
                if let Err(error) = self.cache.settle(&arriving, self.resources, &|settled| self.are_settled(settled)) {
                    self.fail(&error);
                }
            });
            let unknown = self.unknown_runs();
            if !unknown.is_empty() {
                beside.spawn(move || self.resources.expect_steps(unknown.iter().any(|run| run.network)));
            }
            self.run_stages();
            self.settling.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        self.making.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(error) = self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        self.results[self.plan.target].get().unwrap_or_else(|| Err(Error::cancelled()))
    }

    /// Returns the commands that will have to run, as far as definitions tell.
    fn unknown_runs(&self) -> Vec<&'a Run> {
        let mut unknown = Vec::new();
        for (index, stage) in self.plan.stages.iter().enumerate().filter(|(index, _)| self.needed[*index]) {
            for (position, step) in stage.steps.iter().enumerate() {
                if let Action::Run(run) = &step.action
                    && self.definitions.known(index, position).is_none()
                {
                    unknown.push(&**run);
                }
            }
        }
        unknown
    }

    fn run_stages(&self) {
        std::thread::scope(|scope| {
            for index in 0..self.plan.stages.len() {
                scope.spawn(move || {
                    let result = stage::execute(self, index, scope);
                    if let Err(error) = &result {
                        self.fail(error);
                    }
                    self.results[index].set(result.map(Arc::new));
                });
            }
        });
    }
}
