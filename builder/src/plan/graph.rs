//! Which stages the target needs, in which order, and what each starts from.

use super::bases::{Base, BaseImages, Needed};
use super::environment::{Arguments, Variables, Words};
use super::stage::{self, Finished, StageContext};
use super::{Plan, Planned, Settings, Step};
use crate::Error;
use crate::dockerfile::{Dockerfile, Instruction, InstructionKind, Stage, suggest};
use registry_client::{Platform, Reference};
use std::collections::BTreeMap;

/// The stages of a Dockerfile with their bases expanded.
pub struct Graph<'f> {
    file: &'f Dockerfile,
    settings: &'f Settings,
    arguments: Arguments,
    globals: Variables,
    bases: Vec<FileBase>,
    target: usize,
}

/// What a stage starts from, by positions in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FileBase {
    Scratch,
    Stage(usize),
    Image { name: String, platform: Platform },
}

impl<'f> Graph<'f> {
    /// Expands the `FROM` lines and finds the target.
    pub fn new(file: &'f Dockerfile, settings: &'f Settings) -> Result<Self, Error> {
        let target = find_target(file, settings.target.as_deref())?;
        let name = settings.target.as_deref().map(str::to_lowercase).or_else(|| file.stages[target].name.clone());
        let host = Platform::host();
        let arguments =
            Arguments::new(&settings.build_args, (&settings.platform, &host), name.as_deref().unwrap_or("default"));
        let globals = globals(file, &arguments)?;
        let mut graph = Graph { file, settings, arguments, globals, bases: Vec::new(), target };
        for index in 0..file.stages.len() {
            let base = graph.base(index)?;
            graph.bases.push(base);
        }
        Ok(graph)
    }

    fn base(&self, index: usize) -> Result<FileBase, Error> {
        let stage = &self.file.stages[index];
        let located = |error: Error| at(error, stage);
        let words = Words::new(self.file.escape, &self.globals);
        let base = words.one(&stage.base).map_err(located)?;
        if base.trim().is_empty() {
            return Err(located(Error::user(
                "invalid_reference",
                format!("base name ({}) should not be blank", stage.base),
            )));
        }
        let platform = match &stage.platform {
            None => self.settings.platform.clone(),
            Some(word) => platform(word, &words.one(word).map_err(located)?).map_err(located)?,
        };
        if let Some(name) = self.named_image(&base) {
            return Ok(FileBase::Image { name, platform });
        }
        if let Some(earlier) = self.find_stage(&base, index) {
            return Ok(FileBase::Stage(earlier));
        }
        if base == "scratch" {
            return Ok(FileBase::Scratch);
        }
        Reference::parse(&base).map_err(|error| {
            located(Error::user("invalid_reference", format!("failed to parse stage name {base:?}: {error}")))
        })?;
        Ok(FileBase::Image { name: base, platform })
    }

    /// Returns the name under which the requester gave an image for `name`.
    fn named_image(&self, name: &str) -> Option<String> {
        let bare = name.strip_suffix(":latest").unwrap_or(name).to_lowercase();
        let named = self.settings.named_images.iter();
        named.into_iter().find(|named| **named == bare || named.strip_suffix(":latest") == Some(&bare)).cloned()
    }

    /// Returns the last stage called `name` before `before`.
    fn find_stage(&self, name: &str, before: usize) -> Option<usize> {
        self.file.stages[..before].iter().rposition(|stage| stage.name.as_deref() == Some(name))
    }

    /// Plans the stages that the target needs.
    pub fn plan(&self, images: &BaseImages) -> Result<Planned, Error> {
        let mut walk = Walk {
            graph: self,
            images,
            done: BTreeMap::new(),
            stages: Vec::new(),
            needed: Vec::new(),
            under_way: Vec::new(),
        };
        let target = walk.stage(self.target)?;
        let Some(target) = target.filter(|_| walk.needed.is_empty()) else { return Ok(Planned::Needs(walk.needed)) };
        let mut stages: Vec<_> = walk.stages.into_iter().map(|finished| finished.stage).collect();
        for (name, value) in &self.settings.labels {
            stages[target].config.config.labels.insert(name.clone(), value.clone());
        }
        number(&mut stages);
        Ok(Planned::Ready(Box::new(Plan {
            stages,
            target,
            warnings: self.file.warnings.iter().map(ToString::to_string).collect(),
        })))
    }
}

/// Adds where in the file an instruction is to an error.
fn locate(error: Error, instruction: &Instruction) -> Error {
    error.at_step(0, (instruction.span.first_line, instruction.span.last_line), &instruction.original)
}

/// Adds where in the file `stage` begins to an error.
fn at(error: Error, stage: &Stage) -> Error {
    error.at_step(0, (stage.span.first_line, stage.span.last_line), &stage.original)
}

fn find_target(file: &Dockerfile, target: Option<&str>) -> Result<usize, Error> {
    let Some(target) = target else { return Ok(file.stages.len() - 1) };
    let wanted = target.to_lowercase();
    file.stages.iter().rposition(|stage| stage.name.as_deref() == Some(wanted.as_str())).ok_or_else(|| {
        let names = file.stages.iter().filter_map(|stage| stage.name.as_deref());
        let hint = suggest(&wanted, names).map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
        Error::user("target_not_found", format!("target stage \"{target}\" could not be found{hint}"))
    })
}

/// Returns the platform that a `--platform` word came to.
fn platform(word: &str, expanded: &str) -> Result<Platform, Error> {
    if expanded.is_empty() {
        return Err(Error::user("invalid_platform", format!("empty platform value from expression {word}")));
    }
    expanded
        .parse()
        .map_err(|error| Error::user("invalid_platform", format!("failed to parse platform {expanded}: {error}")))
}

/// Returns the arguments declared before the first `FROM`, with their values, and the automatic ones.
fn globals(file: &Dockerfile, arguments: &Arguments) -> Result<Variables, Error> {
    let mut globals = arguments.automatic().clone();
    for instruction in &file.global_args {
        let InstructionKind::Arg(pairs) = &instruction.kind else { continue };
        for pair in pairs {
            let located = |error: Error| locate(error, instruction);
            let value = match (arguments.given(&pair.name), &pair.value) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(Words::new(file.escape, &globals).one(default).map_err(located)?),
                (None, None) => None,
            };
            if let Some(value) = value {
                globals.set(&pair.name, &value);
            }
        }
    }
    Ok(globals)
}

/// A walk from the target to everything it needs.
struct Walk<'w, 'f> {
    graph: &'w Graph<'f>,
    images: &'w BaseImages,
    done: BTreeMap<usize, usize>,
    stages: Vec<Finished>,
    needed: Vec<Needed>,
    under_way: Vec<usize>,
}

impl Walk<'_, '_> {
    /// Plans stage `index` of the file after those it needs; `None` if an image must be resolved first.
    fn stage(&mut self, index: usize) -> Result<Option<usize>, Error> {
        if let Some(&planned) = self.done.get(&index) {
            return Ok(Some(planned));
        }
        let stage = &self.graph.file.stages[index];
        if self.under_way.contains(&index) {
            let name = stage.name.clone().unwrap_or_else(|| index.to_string());
            return Err(at(
                Error::user("circular_dependency", format!("circular dependency detected on stage: {name}")),
                stage,
            ));
        }
        self.under_way.push(index);
        let planned = self.plan_stage(index, stage);
        self.under_way.pop();
        planned
    }

    fn plan_stage(&mut self, index: usize, stage: &Stage) -> Result<Option<usize>, Error> {
        let base = match &self.graph.bases[index] {
            FileBase::Scratch => Base::Scratch,
            FileBase::Stage(earlier) => match self.stage(*earlier)? {
                Some(planned) => Base::Stage(planned),
                None => return Ok(None),
            },
            FileBase::Image { name, platform } => {
                if !self.image(name, platform, stage) {
                    return Ok(None);
                }
                Base::Image(name.clone())
            }
        };
        let context = StageContext {
            file: self.graph.file,
            stage,
            settings: self.graph.settings,
            arguments: &self.graph.arguments,
            globals: &self.graph.globals,
        };
        let started = stage::start(&context, base, (self.images, &self.stages))?;
        let mut names = BTreeMap::new();
        for (from, instruction) in started.sources() {
            match self.source(&from, index, stage).map_err(|error| locate(error, &instruction))? {
                Some(found) => drop(names.insert(from, found)),
                None => return Ok(None),
            }
        }
        if !self.needed.is_empty() {
            return Ok(None);
        }
        let finished = started.finish(&names)?;
        self.stages.push(finished);
        self.done.insert(index, self.stages.len() - 1);
        Ok(Some(self.stages.len() - 1))
    }

    /// Finds what `--from=name` means in stage `index`.
    fn source(&mut self, name: &str, index: usize, stage: &Stage) -> Result<Option<super::From>, Error> {
        let graph = self.graph;
        let lower = name.to_lowercase();
        if let Some(named) = graph.settings.named_contexts.iter().find(|named| **named == lower || *named == name) {
            return Ok(Some(super::From::Named(named.clone())));
        }
        if let Some(image) = graph.named_image(name) {
            let platform = graph.settings.platform.clone();
            return Ok(self.image(&image, &platform, stage).then(|| super::From::Image(image)));
        }
        let later = graph.file.stages.iter().rposition(|stage| stage.name.as_deref() == Some(lower.as_str()));
        let found = graph.find_stage(&lower, index).or(later).or_else(|| name.parse().ok());
        match found {
            Some(position) if position >= graph.file.stages.len() => {
                Err(Error::user("stage_not_found", format!("invalid stage index {position}")))
            }
            Some(position) if position == index => {
                let own = stage.name.clone().unwrap_or_else(|| index.to_string());
                Err(Error::user("circular_dependency", format!("circular dependency detected on stage: {own}")))
            }
            Some(position) if position > index => {
                let own = stage.name.clone().unwrap_or_else(|| index.to_string());
                let text =
                    format!("cannot copy from stage {name:?}, it needs to be defined before current stage {own:?}");
                Err(Error::user("stage_not_found", text))
            }
            Some(position) => Ok(self.stage(position)?.map(super::From::Stage)),
            None => {
                Reference::parse(name)
                    .map_err(|error| Error::user("invalid_reference", format!("failed to parse {name:?}: {error}")))?;
                let platform = graph.settings.platform.clone();
                Ok(self.image(name, &platform, stage).then(|| super::From::Image(name.to_owned())))
            }
        }
    }

    /// Tells whether image `name` was resolved; asks for it otherwise.
    fn image(&mut self, name: &str, platform: &Platform, stage: &Stage) -> bool {
        if self.images.get(name).is_some() {
            return true;
        }
        if !self.needed.iter().any(|needed| needed.name == name) {
            self.needed.push(Needed {
                name: name.to_owned(),
                platform: platform.clone(),
                lines: (stage.span.first_line, stage.span.last_line),
                instruction: stage.original.clone(),
            });
        }
        false
    }
}

/// Numbers the steps of all stages, and those of each stage that people count.
fn number(stages: &mut [super::Stage]) {
    let mut number = 0;
    for stage in stages {
        let counted = |step: &Step| step.action.makes_layer();
        let of = stage.steps.iter().filter(|step| counted(step)).count();
        let mut at = 0;
        for step in &mut stage.steps {
            number += 1;
            step.number = number;
            at += usize::from(counted(step));
            step.position = (if counted(step) { at } else { 0 }, of);
        }
    }
}
