//! The outline of a target: the arguments, secrets, agents and caches that it uses.

use super::environment::Words;
use super::error::Error;
use super::graph::{FileBase, Found, Graph, sources};
use super::lint::Lint;
use super::model::{Action, MountKind, Plan};
use super::settings::Settings;
use crate::ast::{Arg, Dockerfile, Instruction, InstructionKind};
use crate::lexer::Comments;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of the Dockerfile, from 1.
pub type Lines = (usize, usize);

/// The arguments, secrets, agents and caches that a target uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The target's name.
    pub name: Option<String>,
    /// The description in the comment above it.
    pub description: Option<String>,
    /// Arguments, in the order of the file.
    pub args: Vec<Argument>,
    /// Secrets.
    pub secrets: Vec<OutlineMount>,
    /// Agents.
    pub ssh: Vec<OutlineMount>,
    /// Directories that are kept from build to build.
    pub caches: Vec<(String, Lines)>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// The description in the comment above it.
    pub description: Option<String>,
    /// Its value, if it has one.
    pub value: Option<String>,
    /// Where it is declared.
    pub lines: Lines,
}

/// Something that a step mounts if it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineMount {
    /// Its id.
    pub name: String,
    /// Whether the step fails without it.
    pub required: bool,
    /// The first step that mounts it.
    pub lines: Lines,
}

/// Returns the text of the comment that begins with `name`.
pub fn description(comments: &Comments, name: Option<&str>) -> Option<String> {
    let start = format!("{} ", name?);
    comments.lines.iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
}

impl Plan {
    /// Returns what its target takes; `file` and `settings` are those that it was made from.
    pub fn outline(&self, file: &Dockerfile, settings: &Settings) -> Result<Outline, Error> {
        let graph = Graph::new(file, settings, &Lint::default())?;
        let stage = &file.stages[graph.target];
        let mut collected = Collected::default();
        for index in reachable(&graph)? {
            collected.stage(&graph, index, self)?;
        }
        let mut outline = Outline {
            name: stage.name.clone(),
            description: description(&stage.comments, stage.name.as_deref()),
            args: collected.args.into_values().collect(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            caches: Vec::new(),
        };
        self.mounts(&mut outline);
        outline.args.sort_by_key(|arg| arg.lines);
        Ok(outline)
    }

    fn mounts(&self, outline: &mut Outline) {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        for step in steps {
            let Action::Run(run) = &step.action else { continue };
            for mount in &run.mounts {
                match &mount.kind {
                    MountKind::Secret { id, required, .. } => {
                        add_mount(&mut outline.secrets, id, *required, step.lines)
                    }
                    MountKind::Ssh { id, required, .. } => add_mount(&mut outline.ssh, id, *required, step.lines),
                    MountKind::Cache { name, .. } if outline.caches.iter().all(|(known, _)| known != name) => {
                        outline.caches.push((name.clone(), step.lines));
                    }
                    _ => {}
                }
            }
        }
        outline.secrets.sort_by_key(|wanted| wanted.lines);
        outline.ssh.sort_by_key(|wanted| wanted.lines);
        outline.caches.sort_by_key(|(_, lines)| *lines);
    }
}

fn add_mount(list: &mut Vec<OutlineMount>, name: &str, required: bool, lines: Lines) {
    match list.iter_mut().find(|wanted| wanted.name == name) {
        Some(known) => known.required |= required,
        None => list.push(OutlineMount { name: name.to_owned(), required, lines }),
    }
}

/// Returns the stages that the target needs, itself first.
fn reachable(graph: &Graph<'_>) -> Result<Vec<usize>, Error> {
    let (mut reached, mut at) = (vec![graph.target], 0);
    while let Some(&index) = reached.get(at) {
        at += 1;
        let mut further = Vec::new();
        if let FileBase::Stage(base) = graph.bases[index] {
            further.push(base);
        }
        for instruction in graph.instructions(index) {
            for (used, name) in sources(instruction) {
                if let Found::Stage(position) = graph.find(&name, used, index)? {
                    further.push(position);
                }
            }
        }
        further.retain(|index| !reached.contains(index));
        reached.extend(further.into_iter().collect::<BTreeSet<_>>());
    }
    Ok(reached)
}

/// The arguments so far, by name: the first that was found counts.
#[derive(Default)]
struct Collected {
    args: BTreeMap<String, Argument>,
}

impl Collected {
    fn stage(&mut self, graph: &Graph<'_>, index: usize, plan: &Plan) -> Result<(), Error> {
        for instruction in graph.instructions(index) {
            let InstructionKind::Arg(args) = &instruction.kind else { continue };
            for (at, arg) in args.iter().enumerate() {
                let inherited = arg.value.is_none() && graph.arguments.given(&arg.name).is_none();
                if inherited && global(graph, &arg.name).is_some() {
                    self.global(graph, &arg.name)?;
                } else {
                    let value = value_in(plan, instruction, args, at);
                    self.add(arg, instruction, value);
                }
            }
        }
        let stage = &graph.file.stages[index];
        for word in std::iter::once(&stage.base).chain(&stage.platform) {
            self.used_by(graph, word)?;
        }
        Ok(())
    }

    /// Adds the arguments declared before the first `FROM` that `word` uses, and those that their defaults use.
    fn used_by(&mut self, graph: &Graph<'_>, word: &str) -> Result<(), Error> {
        let expanded = Words::new(graph.file.escape, &graph.globals).expanded(word)?;
        expanded.used.iter().chain(&expanded.unset).try_for_each(|name| self.global(graph, name))
    }

    fn global(&mut self, graph: &Graph<'_>, name: &str) -> Result<(), Error> {
        if self.args.contains_key(name) {
            return Ok(());
        }
        let Some((instruction, arg)) = global(graph, name) else { return Ok(()) };
        self.add(arg, instruction, graph.globals.get(name).map(str::to_owned));
        match &arg.value {
            Some(default) if graph.arguments.given(name).is_none() => self.used_by(graph, default),
            _ => Ok(()),
        }
    }

    fn add(&mut self, arg: &Arg, instruction: &Instruction, value: Option<String>) {
        let lines = (instruction.span.first_line, instruction.span.last_line);
        let description = description(&instruction.comments, Some(&arg.name));
        let name = arg.name.clone();
        self.args.entry(name.clone()).or_insert(Argument { name, description, value, lines });
    }
}

/// Returns the last declaration of `name` before the first `FROM`.
fn global<'g>(graph: &Graph<'g>, name: &str) -> Option<(&'g Instruction, &'g Arg)> {
    let declared = graph.file.global_args.iter().rev().filter_map(|instruction| match &instruction.kind {
        InstructionKind::Arg(args) => Some((instruction, args.iter().rev().find(|arg| arg.name == name)?)),
        _ => None,
    });
    declared.into_iter().next()
}

/// Returns the value that the plan has for one of the arguments of an instruction.
fn value_in(plan: &Plan, instruction: &Instruction, args: &[Arg], at: usize) -> Option<String> {
    let lines = (instruction.span.first_line, instruction.span.last_line);
    let mut steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    let step = steps.find(|step| step.lines == lines && step.created_by.starts_with("ARG "))?;
    let mut text = step.created_by.strip_prefix("ARG")?;
    for (position, arg) in args.iter().enumerate() {
        text = text.strip_prefix(&format!(" {}", arg.name))?;
        let next = args.get(position + 1).and_then(|next| text.find(&format!(" {}", next.name)));
        let (own, rest) = text.split_at(next.unwrap_or(text.len()));
        if position == at {
            return own.strip_prefix('=').map(str::to_owned);
        }
        text = rest;
    }
    None
}
