//! One stage: its steps in order, each adopted from the cache or executed.

use super::cache::Known;
use super::definition_keys::stages_of;
use super::layer::Layer;
use super::progress::{Failure, Progress, StepLayer};
use super::state::{CacheStatus, Execution, InFlight, StageLayers};
use super::{ahead, copy, key, pack, run};
use crate::Error;
use crate::event::Event;
use crate::trace::Work;
use dockerfile::plan::{Action, Base, Stage, Step};
use registry_client::Descriptor;
use std::thread::Scope;
use std::time::{Duration, Instant};

/// Executes the stage `index` of the plan.
pub(crate) fn execute<'scope, 'e: 'scope, 'a>(
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
    let mut progress = begin(execution, index, &stage.base)?;
    if in_result && !matches!(stage.base, Base::Stage(_)) {
        progress.layers.iter().for_each(|layer| (execution.on_layer)(layer.clone(), CacheStatus::Hit));
    }
    for (position, step) in stage.steps.iter().enumerate() {
        if execution.cancel().is_cancelled() {
            return Err(Error::cancelled());
        }
        let layers = progress.layers.len();
        let status = step_once(&mut progress, index, position, step, scope)?;
        let is_told = std::mem::take(&mut progress.is_told);
        if in_result && progress.layers.len() > layers && !is_told {
            (execution.on_layer)(progress.layers[layers].clone(), status);
        }
    }
    Ok(StageLayers { layers: progress.layers, key: progress.key })
}

/// Returns whether the layers of stage `index` are part of the result.
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

fn begin<'e, 'a>(execution: &'e Execution<'a>, index: usize, base: &Base) -> Result<Progress<'e, 'a>, Error> {
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
    Ok(Progress { execution, layers, key, is_ahead: false, is_told: false, stage: index })
}

fn step_once<'scope, 'e: 'scope, 'a>(
    progress: &mut Progress<'e, 'a>,
    stage: usize,
    position: usize,
    step: &'e Step,
    scope: &'scope Scope<'scope, 'e>,
) -> Result<CacheStatus, Error> {
    let execution = progress.execution;
    let known = execution.definitions.known(stage, position);
    if known.is_none() {
        await_stages(execution, step)?;
    }
    let began = Instant::now();
    execution.observer.observe(Event::Started { step: step.number });
    let outcome = match &step.action {
        Action::Configure => Ok(CacheStatus::Miss),
        _ => match known {
            Some(known) => Ok(adopt(progress, known, step)),
            None => {
                let definition = execution.definitions.key(stage, position);
                make_layer(progress, step, definition, scope)
            }
        },
    };
    match outcome {
        Ok(status) => {
            let (step, cached, duration) = (step.number, status == CacheStatus::Hit, began.elapsed());
            execution.observer.observe(Event::Finished { step, cached, duration });
            Ok(status)
        }
        Err(failure) => {
            let (step, duration) = (step.number, began.elapsed());
            execution.observer.observe(match failure.exit_code {
                // A step that fails after the build was cancelled fails because of that.
                None if execution.cancel().is_cancelled() => Event::Cancelled { step, duration },
                exit_code => Event::Failed { step, exit_code, duration },
            });
            Err(failure.error)
        }
    }
}

/// Waits for the stages that a step reads from: its time begins when they are there.
fn await_stages(execution: &Execution<'_>, step: &Step) -> Result<(), Error> {
    let is_open = |stage: &usize| execution.results[*stage].get().is_none();
    let mut open = stages_of(&step.action).into_iter().filter(is_open).peekable();
    if open.peek().is_some() {
        execution.observer.observe(Event::Waiting { step: step.number });
    }
    open.try_for_each(|stage| execution.stage(stage).map(drop))
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
fn adopt(progress: &mut Progress<'_, '_>, known: &Known, step: &Step) -> CacheStatus {
    let Descriptor { digest, size, .. } = &known.layer.descriptor;
    progress.execution.observer.observe(Event::Layer { step: step.number, digest, size: *size });
    let layer = Layer::existing(known.content_key.clone(), known.layer.clone());
    let chained = chained(&step.action, &progress.key, known.content_key.clone());
    progress.push(layer, chained);
    CacheStatus::Hit
}

/// Adds the layer of `step`; tells whether it was known already.
fn make_layer<'scope, 'e: 'scope, 'a>(
    progress: &mut Progress<'e, 'a>,
    step: &'e Step,
    definition: Option<&str>,
    scope: &'scope Scope<'scope, 'e>,
) -> Result<CacheStatus, Failure> {
    let execution = progress.execution;
    let trace = &execution.resources.trace;
    let located = |error: Error| locate(error, step);
    let looking = trace.span(Work::Key, &step.instruction);
    let prepared = ResolvedStep::new(progress, step).map_err(located)?;
    let key = prepared.key(progress).map_err(located)?;
    let chained = chained(&step.action, &progress.key, key.clone());
    let layer = match execution.claim_defined(&key, definition) {
        InFlight::Existing(layer) => {
            progress.push(layer, chained);
            return Ok(CacheStatus::Hit);
        }
        InFlight::New(layer) => layer,
    };
    let uses_cache = execution.options.uses_cache(&execution.plan.stages[progress.stage].name);
    if uses_cache {
        execution.begin_making(&key)?;
    }
    if uses_cache && let Some(committed) = execution.cache.adopt(&key, execution.resources)? {
        execution.end_making(&key);
        pack::keep(execution, StepLayer { layer: &layer, step }, committed, None);
        progress.push(layer, chained);
        return Ok(CacheStatus::Hit);
    }
    drop(looking);
    ahead::begin(progress, step, scope);
    // A copy packs its layer itself, and the layer of a command is packed once the command has ended well.
    if matches!(step.action, Action::Copy(_)) && in_result(execution, progress.stage) {
        (execution.on_layer)(layer.clone(), CacheStatus::Miss);
        progress.is_told = true;
    }
    let made = execution.step_permit().map_err(Failure::from).and_then(|_permit| {
        let _span = trace.span(Work::Step, &step.instruction);
        prepared.execute(progress, StepLayer { layer: &layer, step }, scope)
    });
    if let Err(failure) = &made {
        execution.end_making(&key);
        layer.settle(Err(failure.error.clone()));
    }
    let status = made.map_err(|failure| Failure { error: locate(failure.error, step), ..failure })?;
    progress.push(layer, chained);
    Ok(status)
}

/// Returns the key of all layers up to one with the key `key`, which tells of those below unless it stands on its own.
fn chained(action: &Action, below: &str, key: String) -> String {
    match action {
        Action::Copy(copy) if copy.flags.link => key::linked(below, &key),
        _ => key,
    }
}

/// A step with what it works on at hand.
enum ResolvedStep<'e> {
    Workdir { path: &'e str, user: &'e str },
    Run(run::ResolvedRun<'e>),
    Copy(Box<copy::ResolvedCopy<'e>>),
}

impl<'e> ResolvedStep<'e> {
    fn new(progress: &Progress<'e, '_>, step: &'e Step) -> Result<Self, Error> {
        Ok(match &step.action {
            Action::Configure => unreachable!("a step without a layer is not prepared"),
            Action::Workdir { path, user } => ResolvedStep::Workdir { path, user },
            Action::Run(run) => ResolvedStep::Run(run::ResolvedRun::new(progress, run, step)?),
            Action::Copy(copy) => ResolvedStep::Copy(Box::new(copy::ResolvedCopy::new(progress, copy)?)),
        })
    }

    fn key(&self, progress: &Progress<'_, '_>) -> Result<String, Error> {
        match self {
            ResolvedStep::Workdir { path, user } => Ok(key::workdir(&progress.key, path, user)),
            ResolvedStep::Run(run) => {
                Ok(run.key(&key::with_options(&progress.key, progress.execution.options, progress.execution.plan)))
            }
            ResolvedStep::Copy(copy) => copy.key(progress),
        }
    }

    fn execute<'scope, 'a>(
        self,
        progress: &Progress<'e, 'a>,
        made: StepLayer<'_, 'e>,
        scope: &'scope Scope<'scope, 'e>,
    ) -> Result<CacheStatus, Failure>
    where
        'e: 'scope,
    {
        match self {
            ResolvedStep::Workdir { path, user } => {
                let entries = copy::workdir(progress, path, user)?;
                pack::entries(progress, made, &entries)?;
                Ok(CacheStatus::Miss)
            }
            ResolvedStep::Run(run) => {
                super::emulation::check(progress.config())?;
                run.execute(progress, made, scope).map(|()| CacheStatus::Miss)
            }
            ResolvedStep::Copy(copy) => copy.execute(progress, made).map_err(Failure::from),
        }
    }
}

/// Says which step an error belongs to, unless it says so itself.
fn locate(error: Error, step: &Step) -> Error {
    error.at_step(step.number, step.lines, &step.instruction)
}
