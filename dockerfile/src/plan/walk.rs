//! From the target to everything it needs: first which stages and images, then each stage after those before it.

use super::bases::{Base, BaseImages, Needed};
use super::error::{Code, Error};
use super::graph::{FileBase, Found, Graph, Use, sources};
use super::lint::Lint;
use super::model::{From, Plan, Planned, Step};
use super::settings::Settings;
use super::stage::{self, Finished, Names, StageContext};
use super::{frontend, platform};
use crate::ast::{Dockerfile, Instruction, InstructionKind};
use registry_client::Reference;
use std::collections::{BTreeMap, HashSet};

/// Most bytes that configurations, histories and environments of a plan may have together.
const MAX_PLAN: usize = 64 * 1024 * 1024;

/// Which stages are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that the target needs.
    Target,
    /// All of the file.
    All,
}

/// A stage that is needed, before it is planned.
#[derive(Default)]
struct Prepared {
    /// The instructions that its base triggers by `ONBUILD`.
    triggers: Vec<Instruction>,
    /// The sources of its instructions, by positions in the file.
    found: BTreeMap<(Use, String), Found>,
}

impl Plan {
    /// Plans the build of `file`; asks for images that it needs and `images` does not have.
    ///
    /// The warnings are in `lint` afterwards, even if planning fails.
    pub fn for_file(
        file: &Dockerfile,
        settings: &Settings,
        images: &BaseImages,
        scope: Scope,
        lint: &Lint,
    ) -> Result<Planned, Error> {
        lint.start(file, settings);
        frontend::hostname(&settings.build_args)?;
        let graph = Graph::new(file, settings, lint)?;
        Walk::new(&graph, images, lint).plan(scope)
    }
}

/// A walk over the stages.
pub(crate) struct Walk<'w, 'f> {
    graph: &'w Graph<'f>,
    images: &'w BaseImages,
    lint: &'w Lint,
    prepared: BTreeMap<usize, Prepared>,
    needed: Vec<Needed>,
    /// Keys of what is needed.
    asked_for: HashSet<String>,
    /// Positions in the plan by positions in the file.
    done: BTreeMap<usize, usize>,
    finished: Vec<Finished>,
}

impl<'w, 'f> Walk<'w, 'f> {
    /// Prepares a walk.
    pub(crate) fn new(graph: &'w Graph<'f>, images: &'w BaseImages, lint: &'w Lint) -> Self {
        Walk {
            graph,
            images,
            lint,
            prepared: BTreeMap::new(),
            needed: Vec::new(),
            asked_for: HashSet::new(),
            done: BTreeMap::new(),
            finished: Vec::new(),
        }
    }

    /// Walks, and plans what it found if all images are known.
    pub(crate) fn plan(mut self, scope: Scope) -> Result<Planned, Error> {
        let mut waiting = match scope {
            Scope::Target => vec![self.graph.target],
            Scope::All => (0..self.graph.file.stages.len()).rev().collect(),
        };
        while let Some(index) = waiting.pop() {
            if !self.prepared.contains_key(&index) {
                let prepared = self.prepare(index, &mut waiting)?;
                self.prepared.insert(index, prepared);
            }
        }
        if !self.needed.is_empty() {
            return Ok(Planned::Needs(self.needed));
        }
        let mut size = 0;
        for (index, prepared) in std::mem::take(&mut self.prepared) {
            let finished = self.finish(index, &prepared)?;
            size += finished.size;
            if size > MAX_PLAN {
                let text = format!("the expanded stages have more than {MAX_PLAN} bytes of text");
                return Err(Error::new(Code::StageTooLarge, text).at_stage(&self.graph.file.stages[index]));
            }
            self.done.insert(index, self.finished.len());
            self.finished.push(finished);
        }
        Ok(Planned::Ready(Box::new(self.into_plan())))
    }

    /// Notes what stage `index` needs; its stages wait to be walked over.
    fn prepare(&mut self, index: usize, waiting: &mut Vec<usize>) -> Result<Prepared, Error> {
        let graph = self.graph;
        let stage = &graph.file.stages[index];
        let triggers = self.triggers(index, waiting).map_err(|error| error.at_stage(stage))?;
        let mut prepared = Prepared { triggers, ..Prepared::default() };
        for instruction in prepared.triggers.iter().chain(graph.instructions(index)) {
            for (used, name) in sources(instruction) {
                let found = self.source(&name, used, index, instruction);
                let found = found.map_err(|error| error.at_instruction(instruction))?;
                if let Found::Stage(position) = found {
                    waiting.push(position);
                }
                prepared.found.insert((used, name), found);
            }
        }
        Ok(prepared)
    }

    /// Returns the instructions that the base of stage `index` triggers.
    fn triggers(&mut self, index: usize, waiting: &mut Vec<usize>) -> Result<Vec<Instruction>, Error> {
        let graph = self.graph;
        let stage = &graph.file.stages[index];
        let texts: Vec<&str> = match &graph.bases[index] {
            FileBase::Scratch | FileBase::Files(_) => Vec::new(),
            FileBase::Stage(base) => {
                waiting.push(*base);
                let triggers = graph.instructions(*base).iter();
                triggers
                    .filter_map(|instruction| match &instruction.kind {
                        InstructionKind::OnBuild(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect()
            }
            FileBase::Image { name, platform } => {
                let needed = graph.needed(name, platform, stage.span, &stage.original);
                let known = self.images.get(&needed.key);
                let texts = known
                    .map_or_else(Vec::new, |image| image.config.config.on_build.iter().map(String::as_str).collect());
                self.need(needed);
                // An image that replaces a stage triggers nothing.
                if graph.is_replaced(index) { Vec::new() } else { texts }
            }
        };
        let parse = |text: &&str| crate::parse::parse_trigger(text, stage.span).map_err(Error::from);
        texts.iter().map(parse).collect()
    }

    /// Asks for an image that is not known.
    fn need(&mut self, needed: Needed) {
        if self.images.get(&needed.key).is_none() && self.asked_for.insert(needed.key.clone()) {
            self.needed.push(needed);
        }
    }

    /// Finds what an instruction of stage `index` takes files from.
    fn source(&mut self, name: &str, used: Use, index: usize, by: &Instruction) -> Result<Found, Error> {
        let graph = self.graph;
        let found = graph.find(name, used, index)?;
        match &found {
            Found::Stage(position) if *position == index => {
                let text = format!("circular dependency detected on stage: {}", graph.name(index));
                return Err(Error::new(Code::CircularDependency, text));
            }
            Found::Stage(position) if *position > index => {
                let own = graph.name(index);
                let text = match used {
                    Use::Copy => {
                        format!("cannot copy from stage {name:?}, it needs to be defined before current stage {own:?}")
                    }
                    Use::Mount => format!(
                        "cannot mount from stage {name:?} to {own:?}, stage needs to be defined before current command"
                    ),
                };
                return Err(Error::new(Code::StageNotFound, text));
            }
            Found::Image(name) => {
                Reference::parse(name).map_err(|error| {
                    Error::new(Code::InvalidReference, format!("failed to parse stage name {name:?}: {error}"))
                })?;
                let platform = &graph.settings.platform;
                self.need(graph.needed(name, platform, by.span, &by.original));
            }
            _ => {}
        }
        Ok(found)
    }

    /// Plans stage `index`, after all those it needs.
    fn finish(&self, index: usize, prepared: &Prepared) -> Result<Finished, Error> {
        let graph = self.graph;
        let stage = &graph.file.stages[index];
        let base = match &graph.bases[index] {
            FileBase::Scratch | FileBase::Files(_) => Base::Scratch,
            FileBase::Stage(earlier) => Base::Stage(self.done[earlier]),
            FileBase::Image { name, platform } => {
                let key = graph.needed(name, platform, stage.span, "").key;
                if let Some(image) = self.images.get(&key) {
                    platform::check_image(&image.config, name, platform, stage, self.lint);
                }
                Base::Image(key)
            }
        };
        let context = StageContext { graph, stage, index, lint: self.lint };
        let is_first = !matches!(base, Base::Stage(_));
        let mut started = stage::start(&context, base, self.images, &self.finished);
        if let FileBase::Files(name) = &graph.bases[index] {
            started.fill(name);
        }
        if is_first {
            started.label();
        }
        started.finish(&prepared.triggers, &self.names(prepared))
    }

    fn names(&self, prepared: &Prepared) -> Names {
        let mut names = Names::default();
        for ((used, name), found) in &prepared.found {
            let from = match found {
                Found::Stage(position) => From::Stage(self.done[position]),
                Found::Named(named) => From::Named(named.clone()),
                Found::Image(image) => From::Image(image.clone()),
            };
            let of_kind = match used {
                Use::Copy => &mut names.copies,
                Use::Mount => &mut names.mounts,
            };
            of_kind.insert(name.clone(), from);
        }
        names
    }

    fn into_plan(self) -> Plan {
        let target = self.done[&self.graph.target];
        let mut stages: Vec<_> = self.finished.into_iter().map(|finished| finished.stage).collect();
        let config = &mut stages[target].config;
        for (name, value) in &self.graph.settings.labels {
            config.config.labels.insert(name.clone(), value.clone());
        }
        platform::settle(config, self.graph.settings);
        number(&mut stages);
        // The plan was not begun with a name that is none.
        let hostname = frontend::hostname(&self.graph.settings.build_args).ok().flatten();
        Plan { stages, target, hostname, warnings: self.lint.warnings(), violation: self.lint.violation() }
    }
}

/// Numbers the steps of all stages, and those of each stage that people count: the base image is one of them.
fn number(stages: &mut [super::model::Stage]) {
    let mut number = 0;
    for stage in stages {
        let counted = |step: &Step| step.action.makes_layer();
        let base = usize::from(matches!(stage.base, Base::Image(_)));
        let of = base + stage.steps.iter().filter(|step| counted(step)).count();
        let mut at = base;
        for step in &mut stage.steps {
            number += 1;
            step.number = number;
            at += usize::from(counted(step));
            step.position = (if counted(step) { at } else { 0 }, of);
        }
    }
}
