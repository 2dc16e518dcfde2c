//! One stage: its steps in order, each adopted from the cache or executed.

use super::definition::stages_of;
use super::{Claimed, Execution, Known, Layer, Novelty, StageLayers, copy, key, pack, run};
use crate::Error;
use crate::event::Event;
use crate::trace::Work;
use dockerfile::plan::{Action, Base, Stage, Step};
use registry_client::{Descriptor, ImageConfig};
use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

/// What a stage has come to between two steps.
pub struct Progress<'e, 'a> {
    /// The build.
    pub execution: &'e Execution<'a>,
    /// The layers so far.
    pub layers: Vec<Arc<Layer>>,
    /// The cache key of the layers so far.
    pub key: String,
    /// The stage's index in the plan.
    stage: usize,
}

impl Progress<'_, '_> {
    /// Returns the configuration of the stage's image.
    pub fn config(&self) -> &ImageConfig {
        &self.execution.plan.stages[self.stage].config
    }

    /// Tells whether the steps are executed whatever is known.
    pub fn is_fresh(&self) -> bool {
        let execution = self.execution;
        !execution.options.uses_cache(&execution.plan.stages[self.stage].name)
    }
}

/// Executes the stage `index` of the plan.
pub fn execute<'scope, 'e: 'scope, 'a>(
    execution: &'e Execution<'a>,
    index: usize,
    scope: &'scope Scope<'scope, 'e>,
) -> Result<StageLayers, Error> {
    let stage = &execution.plan.stages[index];
    if !execution.needed[index] {
        pass_over(execution, stage);
        return Ok(StageLayers { layers: Vec::new(), key: String::new() });
    }
    let in_result = in_result(execution, index);
    let mut progress = begin(execution, (index, &stage.base))?;
    if in_result && !matches!(stage.base, Base::Stage(_)) {
        progress.layers.iter().for_each(|layer| (execution.on_layer)(layer.clone(), Novelty::Known));
    }
    for (position, step) in stage.steps.iter().enumerate() {
        if execution.cancel().is_cancelled() {
            return Err(Error::cancelled());
        }
        let layers = progress.layers.len();
        let novelty = step_once(&mut progress, (index, position, step), scope)?;
        if in_result && progress.layers.len() > layers {
            (execution.on_layer)(progress.layers[layers].clone(), novelty);
        }
    }
    Ok(StageLayers { layers: progress.layers, key: progress.key })
}

/// Tells whether the layers of stage `index` are part of the result.
fn in_result(execution: &Execution<'_>, index: usize) -> bool {
    let mut at = execution.plan.target;
    while at != index {
        match execution.plan.stages[at].base {
            Base::Stage(base) => at = base,
            Base::Scratch | Base::Image(_) => return false,
        }
    }
    true
}

fn begin<'e, 'a>(execution: &'e Execution<'a>, (index, base): (usize, &Base)) -> Result<Progress<'e, 'a>, Error> {
    let (layers, key) = match base {
        Base::Scratch => (Vec::new(), key::with_times(key::scratch(), execution.options.latest)),
        Base::Image(name) => {
            let image = execution.sources.image(name)?;
            (image.layers.clone(), key::with_times(image.key.clone(), execution.options.latest))
        }
        Base::Stage(stage) => {
            let stage = execution.stage(*stage)?;
            (stage.layers.clone(), stage.key.clone())
        }
    };
    Ok(Progress { execution, layers, key, stage: index })
}

fn step_once<'scope, 'e: 'scope, 'a>(
    progress: &mut Progress<'e, 'a>,
    (stage, position, step): (usize, usize, &'e Step),
    scope: &'scope Scope<'scope, 'e>,
) -> Result<Novelty, Error> {
    let execution = progress.execution;
    let known = execution.definitions.known(stage, position);
    if known.is_none() {
        await_stages(execution, step)?;
    }
    let began = Instant::now();
    execution.observer.observe(Event::Started { step: step.number });
    let outcome = match &step.action {
        Action::Configure => Ok(Novelty::Made),
        _ => match known {
            Some(known) => Ok(adopt(progress, known, step)),
            None => {
                let definition = execution.definitions.key(stage, position);
                make_layer(progress, (step, definition), scope)
            }
        },
    };
    match outcome {
        Ok(novelty) => {
            let (step, cached, duration) = (step.number, novelty == Novelty::Known, began.elapsed());
            execution.observer.observe(Event::Finished { step, cached, duration });
            Ok(novelty)
        }
        Err(failure) => {
            let (step, duration) = (step.number, began.elapsed());
            execution.observer.observe(match failure.exit_code {
                // What fails after the build was ended fails because of that.
                None if execution.cancel().is_cancelled() => Event::Cancelled { step, duration },
                exit_code => Event::Failed { step, exit_code, duration },
            });
            Err(failure.error)
        }
    }
}

/// Waits for the stages that a step reads from: its time begins when they are there.
fn await_stages(execution: &Execution<'_>, step: &Step) -> Result<(), Error> {
    let is_open = |stage: &usize| execution.results[*stage].peek().is_none();
    let mut open = stages_of(&step.action).into_iter().filter(is_open).peekable();
    if open.peek().is_some() {
        execution.observer.observe(Event::Waiting { step: step.number });
    }
    open.try_for_each(|stage| execution.stage(stage).map(drop))
}

/// Why a step failed, and with which exit code if it is a command that ran.
pub struct Failure {
    /// The error that ends the build.
    pub error: Error,
    /// The command's exit code.
    pub exit_code: Option<i32>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, exit_code: None }
    }
}

/// Tells of the steps of a stage that nothing needs: what was made of them is known without it.
fn pass_over(execution: &Execution<'_>, stage: &Stage) {
    for step in &stage.steps {
        execution.observer.observe(Event::Started { step: step.number });
        let (cached, duration) = (step.action.makes_layer(), Duration::ZERO);
        execution.observer.observe(Event::Finished { step: step.number, cached, duration });
    }
}

/// Adds a layer that the definition of `step` became in an earlier build.
fn adopt(progress: &mut Progress<'_, '_>, known: &Known, step: &Step) -> Novelty {
    let Descriptor { digest, size, .. } = &known.layer.descriptor;
    progress.execution.observer.observe(Event::Layer { step: step.number, digest, size: *size });
    let layer = Layer::existing(known.content_key.clone(), known.layer.clone());
    let chained = chained(&step.action, &progress.key, known.content_key.clone());
    progress.push(layer, chained);
    Novelty::Known
}

/// Adds the layer of `step`; tells whether it was known already.
fn make_layer<'scope, 'e: 'scope, 'a>(
    progress: &mut Progress<'e, 'a>,
    (step, definition): (&'e Step, Option<&str>),
    scope: &'scope Scope<'scope, 'e>,
) -> Result<Novelty, Failure> {
    let execution = progress.execution;
    let trace = &execution.materials.trace;
    let located = |error: Error| locate(error, step);
    let looking = trace.span(Work::Key, &step.instruction);
    let prepared = Prepared::new(progress, step).map_err(located)?;
    let key = prepared.key(progress).map_err(located)?;
    let chained = chained(&step.action, &progress.key, key.clone());
    let layer = match execution.claim_defined(&key, definition) {
        Claimed::Theirs(layer) => {
            progress.push(layer, chained);
            return Ok(Novelty::Known);
        }
        Claimed::Ours(layer) => layer,
    };
    if execution.options.uses_cache(&execution.plan.stages[progress.stage].name)
        && let Some(committed) = execution.cache.adopt(&key, execution.materials)?
    {
        execution.observer.observe(Event::Layer {
            step: step.number,
            digest: &committed.descriptor.digest,
            size: committed.descriptor.size,
        });
        execution.settle(&layer, &committed);
        layer.committed.keep(Ok(Arc::new(committed)));
        progress.push(layer, chained);
        return Ok(Novelty::Known);
    }
    drop(looking);
    let made = execution.slot().map_err(Failure::from).and_then(|_slot| {
        let _span = trace.span(Work::Step, &step.instruction);
        prepared.execute(progress, (&layer, step), scope)
    });
    if let Err(failure) = &made {
        layer.committed.keep(Err(failure.error.clone()));
    }
    made.map_err(|failure| Failure { error: locate(failure.error, step), ..failure })?;
    progress.push(layer, chained);
    Ok(Novelty::Made)
}

/// Returns the key of all layers up to one with the key `key`, which tells of those below unless it stands on its own.
fn chained(action: &Action, below: &str, key: String) -> String {
    match action {
        Action::Copy(copy) if copy.flags.link => key::linked(below, &key),
        _ => key,
    }
}

/// A step with what it works on at hand.
enum Prepared<'e> {
    Workdir { path: &'e str, user: &'e str },
    Run(run::Prepared<'e>),
    Copy(Box<copy::Prepared<'e>>),
}

impl<'e> Prepared<'e> {
    fn new(progress: &Progress<'e, '_>, step: &'e Step) -> Result<Self, Error> {
        Ok(match &step.action {
            Action::Configure => unreachable!("a step without a layer is not prepared"),
            Action::Workdir { path, user } => Prepared::Workdir { path, user },
            Action::Run(run) => Prepared::Run(run::Prepared::new(progress, run, step)?),
            Action::Copy(copy) => Prepared::Copy(Box::new(copy::Prepared::new(progress, copy)?)),
        })
    }

    fn key(&self, progress: &Progress<'_, '_>) -> Result<String, Error> {
        match self {
            Prepared::Workdir { path, user } => Ok(key::workdir(&progress.key, path, user)),
            Prepared::Run(run) => {
                Ok(run.key(&key::with_options(&progress.key, progress.execution.options, progress.execution.plan)))
            }
            Prepared::Copy(copy) => copy.key(progress),
        }
    }

    fn execute<'scope, 'a>(
        self,
        progress: &Progress<'e, 'a>,
        (layer, step): (&Arc<Layer>, &'e Step),
        scope: &'scope Scope<'scope, 'e>,
    ) -> Result<(), Failure>
    where
        'e: 'scope,
    {
        match self {
            Prepared::Workdir { path, user } => {
                let entries = copy::workdir(progress, path, user)?;
                pack::entries(progress, (layer, step), &entries).map_err(Failure::from)
            }
            Prepared::Run(run) => {
                super::emulation::check(progress.config())?;
                run.execute(progress, (layer, step), scope)
            }
            Prepared::Copy(copy) => copy.execute(progress, (layer, step)).map_err(Failure::from),
        }
    }
}

impl Progress<'_, '_> {
    fn push(&mut self, layer: Arc<Layer>, key: String) {
        self.layers.push(layer);
        self.key = key;
    }
}

/// Says which step an error belongs to, unless it says so itself.
fn locate(error: Error, step: &Step) -> Error {
    error.at_step(step.number, step.lines, &step.instruction)
}
