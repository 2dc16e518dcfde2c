//! Executes a plan: stages side by side, each step from the cache or anew, each layer packed beside the next step.

mod blocking;
mod cancellable;
mod copy;
mod definition;
mod emulation;
mod foresee;
mod key;
mod layer;
mod materials;
mod missing;
mod mount;
mod pack;
mod places;
mod promise;
mod run;
pub(crate) mod selections;
mod slots;
mod snapshot;
mod stage;
mod unfetched;
mod vouch;
mod web;

pub(crate) use copy::{escaped, mount_request, request as copy_request};
pub(crate) use definition::stages_of;

pub use cancellable::{Cancellable, until_cancelled};
pub use definition::Known;
pub use key::image as image_key;
pub use layer::{Committed, Layer};
pub use materials::{BLOB_DAMAGED, Materials, Unanswered, ask, store_error};
pub use selections::SELECTIONS;
use slots::Slot;
pub(crate) use slots::{OwnedSlot, Slots};
pub use web::fetch as download;

use crate::Error;
use crate::cache::{Cache, Settled};
use crate::context::Sources;
use crate::event::Observer;
use crate::layer::Compression;
use crate::secrets::Leak;
use crate::secrets::Masks;
use crate::trace::Work;
use definition::Definitions;
use dockerfile::plan::{Action, Plan, Run};
use promise::Promise;
use runtime::CancellationToken;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Steps that are executed at once, for each core: many wait for a network or a lock most of their time.
const STEPS_PER_CORE: usize = 4;

/// How the steps are executed.
#[derive(Clone)]
pub struct Options {
    /// Whether cached layers are used; results are stored either way.
    pub use_cache: bool,
    /// The time that made files carry, in seconds since 1970.
    pub now: i64,
    /// The time that the image and its history carry; without it, that of its newest layer.
    pub created: Option<i64>,
    /// Times after this one that files of layers get become it, so that a build tells nothing of when it ran.
    pub latest: Option<i64>,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of ssh agents by id.
    pub ssh: BTreeMap<String, std::path::PathBuf>,
    /// How repositories and files are fetched that the Dockerfile names by URL.
    pub fetching: crate::source::Fetching,
    /// Stages whose steps are executed whatever is known, by name.
    pub no_cache_stages: Vec<String>,
    /// Whether steps may have a network.
    pub network: bool,
    /// Lines of the steps' `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    /// Size of the steps' `/dev/shm`, if it is not the usual one.
    pub shm_bytes: Option<u64>,
    /// Limits of each process of the steps.
    pub ulimits: Vec<runtime::Ulimit>,
    /// Whether images that were built here by hand stand for their names.
    pub kept: crate::Kept,
    /// Digests that images are taken with, whatever their names lead to by now.
    pub pinned: Vec<database::BaseImage>,
    /// What becomes of a step whose layer holds a secret.
    pub leak: Leak,
    /// How the layers of steps are compressed.
    pub compression: Compression,
}

impl Options {
    /// Returns the usual options of a build whose time is `now`, seconds since 1970.
    pub fn new(now: i64, fetching: crate::source::Fetching) -> Self {
        Options {
            use_cache: true,
            now,
            created: None,
            latest: None,
            step_timeout: Duration::from_secs(24 * 60 * 60),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            fetching,
            no_cache_stages: Vec::new(),
            network: true,
            hosts: Vec::new(),
            shm_bytes: None,
            ulimits: Vec::new(),
            kept: crate::Kept::Unused,
            pinned: Vec::new(),
            leak: Leak::default(),
            compression: Compression::default(),
        }
    }

    /// Returns what ends the build, also while nothing is executed yet.
    pub fn cancel(&self) -> &CancellationToken {
        &self.fetching.settings.cancel
    }

    /// Tells whether the steps of the stage `name` may come from the cache.
    pub(crate) fn uses_cache(&self, name: &str) -> bool {
        self.use_cache && !self.no_cache_stages.iter().any(|stage| stage.eq_ignore_ascii_case(name))
    }
}

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
pub enum Novelty {
    /// It comes from a base image or from the cache: a registry may have it already.
    Known,
    /// It is made by this build.
    Made,
}

/// Somebody who is told of the layers of the result.
pub type OnLayer<'a> = dyn Fn(Arc<Layer>, Novelty) + Sync + 'a;

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
    pub on_layer: &'a OnLayer<'a>,
    definitions: Definitions,
    needed: Vec<bool>,
    steps: Slots,
    packs: Slots,
    /// Instructions that take very many paths: one at a time.
    large: Arc<Slots>,
    settling: Mutex<Option<Sender<Settled>>>,
    /// Hides the build's secrets in what its steps print.
    pub masks: Masks,
    results: Vec<Promise<Result<Arc<StageLayers>, Error>>>,
    in_flight: Mutex<HashMap<String, Arc<Layer>>>,
    first_error: Mutex<Option<Error>>,
    /// When it began, in nanoseconds since 1970: tells what belongs to this build.
    begun: u128,
}

impl<'a> Execution<'a> {
    /// Prepares an execution.
    pub fn new(
        plan: &'a Plan,
        sources: &'a Sources<'a>,
        materials: &'a Materials,
        (cache, options): (&'a Cache<'a>, &'a Options),
        (observer, on_layer): (&'a dyn Observer, &'a OnLayer<'a>),
    ) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let looking = materials.trace.span(Work::Key, "the definitions of all steps");
        let mut definitions = Definitions::look_up(plan, sources, (cache, options, &materials.store))?;
        let needed = definitions.needed(plan, |layer| cache.available(layer, materials));
        drop(looking);
        Ok(Execution {
            definitions,
            needed,
            plan,
            sources,
            materials,
            cache,
            observer,
            options,
            on_layer,
            masks: Masks::new(options.secrets.values().map(Vec::as_slice)),
            steps: Slots::new(cores * STEPS_PER_CORE),
            packs: Slots::new(cores),
            large: Arc::new(Slots::new(1)),
            settling: Mutex::default(),
            results: plan.stages.iter().map(|_| Promise::new()).collect(),
            in_flight: Mutex::default(),
            first_error: Mutex::default(),
            begun: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
        })
    }

    /// Executes all stages and returns the layers of the target; every layer is settled then.
    pub fn run(&self) -> Result<Arc<StageLayers>, Error> {
        missing::check(self)?;
        let (sender, arriving) = channel();
        *self.settling.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        std::thread::scope(|beside| {
            beside.spawn(move || {
                if let Err(error) = self.cache.settle(&arriving, self.materials) {
                    self.fail(&error);
                }
            });
            let unknown = self.unknown_runs();
            if !unknown.is_empty() {
                beside.spawn(move || self.materials.expect_steps(unknown.iter().any(|run| run.network)));
            }
            self.run_stages();
            self.settling.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        if let Some(error) = self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        self.results[self.plan.target].peek().unwrap_or_else(|| Err(Error::cancelled()))
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
                    self.results[index].keep(result.map(Arc::new));
                });
            }
        });
    }

    /// Keeps a layer for later builds; nobody waits for that but the end of the build.
    fn settle(&self, layer: &Layer, committed: &Committed) {
        if let Some(sender) = self.settling.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let (key, definition) = (layer.key.clone(), layer.definition.clone());
            let _ = sender.send(Settled { key, definition, layer: committed.clone() });
        }
    }

    /// Waits until a step may run: as many run at once as the machine can take.
    fn slot(&self) -> Result<Slot<'_>, Error> {
        self.slot_of(&self.steps, "a slot for a step")
    }

    /// Waits until a layer may be packed: each one uses all cores.
    fn pack_slot(&self) -> Result<Slot<'_>, Error> {
        self.slot_of(&self.packs, "a slot to pack a layer")
    }

    fn slot_of<'s>(&self, slots: &'s Slots, name: &str) -> Result<Slot<'s>, Error> {
        let _span = self.materials.trace.span(Work::Wait, name);
        slots.take(self.cancel()).ok_or_else(Error::cancelled)
    }

    /// Waits for the layers of a stage.
    fn stage(&self, index: usize) -> Result<Arc<StageLayers>, Error> {
        let _span = self.materials.trace.span(Work::Wait, format!("stage {}", self.plan.stages[index].name));
        self.results[index].wait(self.cancel()).unwrap_or_else(|| Err(Error::cancelled()))
    }

    fn cancel(&self) -> &CancellationToken {
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
        self.claim_defined(key, None)
    }

    /// Does the same for the layer of a step, which is also known by its definition.
    fn claim_defined(&self, key: &str, definition: Option<&str>) -> Claimed {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = in_flight.get(key) {
            return Claimed::Theirs(layer.clone());
        }
        let layer = Layer::pending(key.to_owned(), definition.map(str::to_owned));
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
