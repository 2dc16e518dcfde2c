//! Definition keys: a step's cache key computed from its definition and its parents' keys, before any file is read.
//!
//! Definitions are looked up in one question for the whole build. A step that is found needs nothing else: not the
//! stages that it copies from, nor their files. One that is not found is looked for by its content.

use super::cache::{Cache, Known};
use super::layer::Committed;
use super::options::Options;
use super::selections::{self, NoKey};
use super::sources::Sources;
use crate::Error;
use crate::context::NamedContext;
use crate::copy::CopyError;
use crate::key::KeyBuilder;
use dockerfile::plan::{Action, Base, From, MountKind, Plan, Stage};
use image_store::Store;
use std::collections::HashMap;

/// The definitions of a build's steps, and which of them are known.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    /// By stage, then by position; `None` where the definition alone does not tell.
    keys: Vec<Vec<Option<Key>>>,
    known: HashMap<String, Known>,
}

/// The key of a definition.
#[derive(Debug, Clone)]
struct Key {
    text: String,
    /// Whether a cached layer may be used: not in a stage that is built without the cache, nor after one.
    usable: bool,
}

impl Definitions {
    /// Makes the keys of all steps and looks them up.
    pub(crate) fn look_up(
        plan: &Plan,
        sources: &Sources<'_>,
        cache: &Cache<'_>,
        options: &Options,
        store: &Store,
    ) -> Result<Self, Error> {
        let mut making = Making { plan, sources, options, store, ends: Vec::with_capacity(plan.stages.len()) };
        let keys = plan.stages.iter().map(|stage| making.stage(stage)).collect::<Result<Vec<_>, _>>()?;
        let wanted = keys.iter().flatten().flatten().filter(|key| key.usable).map(|key| key.text.clone());
        let wanted: Vec<String> = wanted.collect();
        let known = if wanted.is_empty() { HashMap::new() } else { cache.known(&wanted)? };
        Ok(Definitions { keys, known })
    }

    /// Returns the key of a step's definition.
    pub(crate) fn key(&self, stage: usize, position: usize) -> Option<&str> {
        self.made(stage, position).map(|key| key.text.as_str())
    }

    fn made(&self, stage: usize, position: usize) -> Option<&Key> {
        self.keys.get(stage)?.get(position)?.as_ref()
    }

    /// Returns what a step became in an earlier build.
    pub(crate) fn known(&self, stage: usize, position: usize) -> Option<&Known> {
        let key = self.made(stage, position).filter(|key| key.usable)?;
        self.known.get(&key.text)
    }

    /// Returns which stages are needed: the target, what needed stages start from, and what their steps take files from
    /// unless the step is known and `available` says that its layer can be had.
    pub(crate) fn needed(&mut self, plan: &Plan, available: impl Fn(&Committed) -> bool) -> Vec<bool> {
        let mut needed = vec![false; plan.stages.len()];
        let mut waiting = vec![plan.target];
        while let Some(index) = waiting.pop() {
            if std::mem::replace(&mut needed[index], true) {
                continue;
            }
            let stage = &plan.stages[index];
            if let Base::Stage(base) = stage.base {
                waiting.push(base);
            }
            for (position, step) in stage.steps.iter().enumerate() {
                let known = self.known(index, position);
                if known.is_some_and(|known| available(&known.layer)) {
                    continue;
                }
                if let Some(key) = self.key(index, position).filter(|_| known.is_some()).map(str::to_owned) {
                    self.known.remove(&key);
                }
                waiting.extend(stages_of(&step.action));
            }
        }
        needed
    }
}

/// Makes keys, stage after stage.
struct Making<'s> {
    plan: &'s Plan,
    sources: &'s Sources<'s>,
    options: &'s Options,
    /// Keeps what was selected of contexts.
    store: &'s Store,
    /// The keys that stages end with.
    ends: Vec<Option<Key>>,
}

impl Making<'_> {
    fn stage(&mut self, stage: &Stage) -> Result<Vec<Option<Key>>, Error> {
        let usable = self.options.uses_cache(&stage.name);
        let first = |text| Key { text, usable };
        let mut parent = match &stage.base {
            Base::Scratch => Some(first(self.with_times(super::key::scratch()))),
            Base::Image(name) => self.sources.image(name).ok().map(|image| first(self.with_times(image.key.clone()))),
            Base::Stage(index) => self.ends[*index].clone().map(|end| Key { usable: usable && end.usable, ..end }),
        };
        let mut keys = Vec::with_capacity(stage.steps.len());
        for step in &stage.steps {
            if !step.action.makes_layer() {
                keys.push(None);
                continue;
            }
            parent = match parent.map_or(Err(NoKey::Unknown), |parent| self.step(&parent, &step.action)) {
                Ok(key) => Some(key),
                Err(NoKey::Unknown) => None,
                Err(NoKey::Ended(ended)) => {
                    let error = super::copy_request::copy_error(CopyError::Walk(ended));
                    return Err(error.at_step(step.number, step.lines, &step.instruction));
                }
            };
            keys.push(parent.clone());
        }
        self.ends.push(parent);
        Ok(keys)
    }

    fn with_times(&self, base: String) -> String {
        super::key::with_times(base, self.options.latest)
    }

    fn step(&self, parent: &Key, action: &Action) -> Result<Key, NoKey> {
        if !action.makes_layer() {
            return Err(NoKey::Unknown);
        }
        let mut key = KeyBuilder::new("definition.2");
        match action {
            Action::Run(_) => key.text(&super::key::with_options(&parent.text, self.options, self.plan)),
            _ => key.text(&parent.text),
        };
        key.add(action);
        // The contents of stages, images and contexts stand for them.
        match action {
            Action::Copy(copy) => key.text(&self.copied(copy)?),
            Action::Run(run) => {
                for mount in &run.mounts {
                    key.text(&self.mounted(&mount.kind)?);
                }
                &mut key
            }
            _ => &mut key,
        };
        let fresh = |&stage: &usize| self.ends.get(stage).is_none_or(|end| end.as_ref().is_none_or(|end| !end.usable));
        let usable = parent.usable && !stages_of(action).iter().any(fresh);
        Ok(Key { text: key.finish(), usable })
    }

    fn copied(&self, copy: &dockerfile::plan::Copy) -> Result<String, NoKey> {
        let walk = self.options.fetching.walk();
        match self.context(&copy.from)? {
            Some(context) => selections::of_copy(context, copy, self.store, &walk),
            None => self.elsewhere(&copy.from).ok_or(NoKey::Unknown),
        }
    }

    fn mounted(&self, kind: &MountKind) -> Result<String, NoKey> {
        let (MountKind::Bind { from, source, .. } | MountKind::Cache { seed: Some((from, source)), .. }) = kind else {
            return Ok(String::new());
        };
        let walk = self.options.fetching.walk();
        match self.context(from)? {
            Some(context) => selections::of_mount(context, source, self.store, &walk),
            None => self.elsewhere(from).ok_or(NoKey::Unknown),
        }
    }

    /// Returns the context that `from` names, if it names one.
    fn context(&self, from: &From) -> Result<Option<&NamedContext>, NoKey> {
        match from {
            From::Context => Ok(Some(self.sources.context)),
            From::Named(name) => self.sources.named.get(name).map(Some).ok_or(NoKey::Unknown),
            From::Stage(_) | From::Image(_) => Ok(None),
        }
    }

    /// Returns what stands for the files of a stage or an image.
    fn elsewhere(&self, from: &From) -> Option<String> {
        match from {
            From::Stage(index) => self.ends.get(*index)?.as_ref().map(|end| end.text.clone()),
            From::Image(name) => self.sources.image(name).ok().map(|image| image.key.clone()),
            From::Context | From::Named(_) => None,
        }
    }
}

/// Returns the stages that a step takes files from.
pub(crate) fn stages_of(action: &Action) -> Vec<usize> {
    let stage = |from: &From| match from {
        From::Stage(index) => Some(*index),
        _ => None,
    };
    match action {
        Action::Copy(copy) => stage(&copy.from).into_iter().collect(),
        Action::Run(run) => {
            let mounts = run.mounts.iter().filter_map(|mount| match &mount.kind {
                MountKind::Bind { from, .. } | MountKind::Cache { seed: Some((from, _)), .. } => stage(from),
                _ => None,
            });
            mounts.collect()
        }
        Action::Configure | Action::Workdir { .. } => Vec::new(),
    }
}
