//! The graph of stages: the base of each, and the other stages that each takes files from.

use super::bases::{Needed, image_key};
use super::cycle;
use super::environment::{Arguments, Notes, Variables, Words};
use super::error::{Code, Error};
use super::given::Given;
use super::globals::globals;
use super::lint::Lint;
use super::platform;
use super::settings::Settings;
use crate::ast::{Dockerfile, Instruction, InstructionKind};
use crate::error::Span;
use crate::suggest::suggest;
use registry_client::{Platform, Reference};
use std::cell::RefCell;
use std::collections::HashMap;

/// Most characters that the patterns of all `FROM` lines may look at.
const MAX_WORK: usize = 16 * 1024 * 1024;

/// The stages of a Dockerfile with their bases expanded.
pub(crate) struct Graph<'f> {
    /// The file.
    pub file: &'f Dockerfile,
    /// The choices of the requester.
    pub settings: &'f Settings,
    /// Arguments that were given, and automatic ones.
    pub arguments: Arguments,
    /// Arguments declared before the first `FROM`.
    pub globals: Variables,
    /// The base of each stage.
    pub bases: Vec<FileBase>,
    /// Which stages the requester put something else in the place of.
    replaced: Vec<bool>,
    /// The stage to build.
    pub target: usize,
    /// Positions of the stages with a name, ascending.
    names: HashMap<&'f str, Vec<usize>>,
}

/// The base of a stage, by positions in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileBase {
    /// Nothing.
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// Files that the requester gave a name.
    Files(String),
    /// An image.
    Image {
        /// As it stands in the file, expanded.
        name: String,
        /// The platform it is wanted for.
        platform: Platform,
    },
}

/// Where an instruction names a source: both have rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// `COPY --from=`, which may be a number.
    Copy,
    /// `RUN --mount=from=`.
    Mount,
}

/// The meaning of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A stage, by its position in the file, wherever that is.
    Stage(usize),
    /// A context that the requester named.
    Named(String),
    /// An image, by its name as it was given.
    Image(String),
}

impl<'f> Graph<'f> {
    /// Expands the `FROM` lines and finds the target.
    pub(crate) fn new(file: &'f Dockerfile, settings: &'f Settings, lint: &Lint) -> Result<Self, Error> {
        let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, stage) in file.stages.iter().enumerate() {
            if let Some(name) = &stage.name {
                names.entry(name).or_default().push(index);
            }
        }
        let last = file.stages.len() - 1;
        let name = settings.target.as_deref().or(file.stages[last].name.as_deref());
        let host = Platform::host();
        let arguments = Arguments::new(&settings.build_args, &settings.platform, &host, name.unwrap_or("default"));
        platform::check_default_bases(file, &arguments, lint);
        let globals = globals(file, &arguments)?;
        let mut graph =
            Graph { file, settings, arguments, globals, bases: Vec::new(), replaced: Vec::new(), target: last, names };
        let notes = RefCell::new(Notes::default());
        for (index, stage) in file.stages.iter().enumerate() {
            let (base, replaced) = graph.base(index, lint, &notes).map_err(|error| error.at_stage(stage))?;
            graph.bases.push(base);
            graph.replaced.push(replaced);
            if notes.borrow().work > MAX_WORK {
                let text = "the patterns of FROM lines have too much to look at";
                return Err(Error::new(Code::Expansion, text).at_stage(stage));
            }
        }
        if let Some(target) = &settings.target {
            graph.target = graph.find_target(target)?;
        }
        graph.check_cycles()?;
        Ok(graph)
    }

    /// Returns what stage `index` starts from, and whether that is all there is of it.
    fn base(&self, index: usize, lint: &Lint, notes: &RefCell<Notes>) -> Result<(FileBase, bool), Error> {
        let stage = &self.file.stages[index];
        let words = Words::new(self.file.escape, &self.globals).noting(notes);
        let expanded = words.expanded(&stage.base)?;
        platform::report_undeclared(&expanded.unset, self.file, &self.globals, stage, lint);
        let base = expanded.text;
        if base.is_empty() {
            let text = format!("base name ({}) should not be blank", stage.base);
            return Err(Error::new(Code::InvalidReference, text));
        }
        let platform = match &stage.platform {
            None => self.settings.platform.clone(),
            Some(word) => platform::of_stage(word, self.file, &self.globals, stage, lint)?,
        };
        let given = |name: &str| self.settings.given(name, &platform).map(|given| given_base(given, &platform));
        if let Some(base) = stage.name.as_deref().and_then(given) {
            return Ok((base, true));
        }
        if let Some(earlier) = self.last_named(&base, index) {
            return Ok((FileBase::Stage(earlier), false));
        }
        if base == "scratch" {
            return Ok((FileBase::Scratch, false));
        }
        if let Some(base) = given(&base) {
            return Ok((base, false));
        }
        Reference::parse(&base).map_err(|error| {
            Error::new(Code::InvalidReference, format!("failed to parse stage name {base:?}: {error}"))
        })?;
        Ok((FileBase::Image { name: base, platform }, false))
    }

    /// Returns the instructions of stage `index`: none, if something else stands in its place.
    pub(crate) fn instructions(&self, index: usize) -> &'f [Instruction] {
        if self.is_replaced(index) { &[] } else { &self.file.stages[index].instructions }
    }

    /// Tells whether the requester put something else in the place of stage `index`.
    pub(crate) fn is_replaced(&self, index: usize) -> bool {
        self.replaced[index]
    }

    /// Returns the last stage called `name` before `before`.
    fn last_named(&self, name: &str, before: usize) -> Option<usize> {
        let positions = self.names.get(name)?;
        positions[..positions.partition_point(|&position| position < before)].last().copied()
    }

    fn find_target(&self, target: &str) -> Result<usize, Error> {
        let wanted = target.to_lowercase();
        self.last_named(&wanted, self.file.stages.len()).ok_or_else(|| {
            let hint = suggest(&wanted, self.names.keys().copied());
            let hint = hint.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
            Error::new(Code::TargetNotFound, format!("target stage \"{target}\" could not be found{hint}"))
        })
    }

    /// Finds what a name means in stage `index`.
    pub(crate) fn find(&self, name: &str, used: Use, index: usize) -> Result<Found, Error> {
        let lower = name.to_lowercase();
        let stages = self.file.stages.len();
        if let Some(position) = self.last_named(&lower, index).or_else(|| self.last_named(&lower, stages)) {
            return Ok(Found::Stage(position));
        }
        match name.parse::<i64>() {
            Ok(number) if used == Use::Copy => usize::try_from(number)
                .ok()
                .filter(|position| *position < stages)
                .map(Found::Stage)
                .ok_or_else(|| Error::new(Code::StageNotFound, format!("invalid stage index {number}"))),
            _ => Ok(match self.settings.given(&lower, &self.settings.platform) {
                Some(Given::Files(name)) => Found::Named(name),
                Some(Given::Image(name)) => Found::Image(name),
                None => Found::Image(name.to_owned()),
            }),
        }
    }

    /// Returns what people call stage `index`.
    pub(crate) fn name(&self, index: usize) -> String {
        self.file.stages[index].name.clone().unwrap_or_else(|| format!("stage-{index}"))
    }

    /// Returns the image that a stage needs and the key under which it is known.
    pub(crate) fn needed(&self, name: &str, platform: &Platform, span: Span, instruction: &str) -> Needed {
        Needed {
            key: image_key(name, platform, &self.settings.platform),
            name: name.to_owned(),
            platform: platform.clone(),
            lines: (span.first_line, span.last_line),
            instruction: instruction.to_owned(),
        }
    }

    /// Refuses stages that take files from each other, or from themselves, in a circle; also where nobody needs them.
    fn check_cycles(&self) -> Result<(), Error> {
        let mut edges = Vec::with_capacity(self.file.stages.len());
        for index in 0..self.file.stages.len() {
            let mut own = Vec::new();
            for instruction in self.instructions(index) {
                for (used, name) in sources(instruction) {
                    let found = self.find(&name, used, index).map_err(|error| error.at_instruction(instruction))?;
                    if let Found::Stage(position) = found {
                        own.push((position, instruction.span));
                    }
                }
            }
            edges.push(own);
        }
        let Some((start, places)) = cycle::find(&edges) else { return Ok(()) };
        let text = format!("circular dependency detected on stage: {}", self.name(start));
        Err(Error::new(Code::CircularDependency, text).at_places(places))
    }
}

fn given_base(given: Given, platform: &Platform) -> FileBase {
    match given {
        Given::Files(name) => FileBase::Files(name),
        Given::Image(name) => FileBase::Image { name, platform: platform.clone() },
    }
}

/// Returns the names that an instruction takes files from.
pub(crate) fn sources(instruction: &Instruction) -> Vec<(Use, String)> {
    match &instruction.kind {
        InstructionKind::Copy(copy) => copy.from.iter().map(|name| (Use::Copy, name.clone())).collect(),
        InstructionKind::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| crate::mount::mount_from(mount))
            .map(|name| (Use::Mount, name))
            .collect(),
        _ => Vec::new(),
    }
}
