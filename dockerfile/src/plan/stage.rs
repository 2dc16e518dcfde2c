//! One stage: its instructions in order, each expanded with the variables in force, each changing the configuration.

use super::bases::{Base, BaseImages};
use super::config;
use super::copies;
use super::environment::{DEFAULT_PATH, Notes, Variables, Words, is_builders_own};
use super::error::{Code, Error};
use super::graph::Graph;
use super::lint::Lint;
use super::model::{Action, From, Run, Stage, Step};
use super::mounts::MountPlanner;
use crate::ast::{self, Command, Instruction, InstructionKind, RunNetwork, RunSecurity};
use crate::error::Span;
use crate::rules;
use crate::suggest::suggest_name;
use registry_client::ImageConfig;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Most layers that an image may have: others, docker among them, mount no more.
const MAX_LAYERS: usize = 127;

/// Most bytes of the history and of the environments of the commands of a stage.
const MAX_STAGE: usize = 16 * 1024 * 1024;

/// The file, the stage and the lint that a stage is planned with.
#[derive(Clone, Copy)]
pub(crate) struct StageContext<'c> {
    /// The file's stages.
    pub graph: &'c Graph<'c>,
    /// The stage.
    pub stage: &'c ast::Stage,
    /// Its position in the file.
    pub index: usize,
    /// Takes what the rules object to.
    pub lint: &'c Lint,
}

/// The meanings of the names behind `--from=` and `from=`.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Those of `COPY`.
    pub copies: BTreeMap<String, From>,
    /// Those of mounts.
    pub mounts: BTreeMap<String, From>,
}

/// A planned stage with what stages on top of it inherit.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// The stage.
    pub stage: Stage,
    /// Bytes of its configuration, its history and the environments of its commands.
    pub size: usize,
    environment: Variables,
    arguments: Variables,
    layers: usize,
    workdir_was_set: bool,
    /// Whether all variables of its base are known.
    base_is_known: bool,
}

/// A stage while its instructions are planned.
pub(crate) struct Planning<'p> {
    /// The file, the stage and the lint.
    pub context: StageContext<'p>,
    base: Base,
    /// The configuration so far, without its variables.
    pub config: ImageConfig,
    /// The variables of the image.
    pub image_variables: Variables,
    /// The variables that expansion and `RUN` see: the image's variables and the arguments, in the order in which they were set.
    pub environment: Variables,
    /// The arguments declared so far; unset ones are empty.
    pub arguments: Variables,
    /// Notes of the expansions since the last instruction.
    notes: RefCell<Notes>,
    layers: usize,
    /// Bytes of the history and of the environments of commands.
    size: usize,
    workdir_was_set: bool,
    base_is_known: bool,
    /// Where the instructions stand of which only the last of a kind counts.
    pub once: BTreeMap<&'static str, Span>,
    steps: Vec<Step>,
}

/// Begins a stage on its base.
pub(crate) fn start<'p>(
    context: &StageContext<'p>,
    base: Base,
    images: &BaseImages,
    stages: &[Finished],
) -> Planning<'p> {
    let mut planning = Planning {
        context: *context,
        base: Base::Scratch,
        config: config::scratch(&context.graph.settings.platform),
        image_variables: Variables::default(),
        environment: Variables::default(),
        arguments: Variables::default(),
        notes: RefCell::default(),
        layers: 0,
        size: 0,
        workdir_was_set: false,
        base_is_known: true,
        once: BTreeMap::new(),
        steps: Vec::new(),
    };
    match &base {
        Base::Scratch => {}
        Base::Image(key) => {
            if let Some(image) = images.get(key) {
                planning.config = config::on_top_of(&image.config);
                planning.layers = image.config.rootfs.diff_ids.len();
                planning.base_is_known = !image.is_unknown;
            }
        }
        Base::Stage(index) => {
            let parent = &stages[*index];
            planning.config = config::on_top_of(&parent.stage.config);
            planning.environment = parent.environment.clone();
            planning.arguments = parent.arguments.clone();
            planning.layers = parent.layers;
            planning.workdir_was_set = parent.workdir_was_set;
            planning.base_is_known = parent.base_is_known;
        }
    }
    // A variable of the image wins over an argument of the parent stage.
    planning.environment.set_all_last(&planning.config.config.env);
    planning.image_variables = Variables::from_env(&planning.config.config.env);
    planning.base = base;
    planning
}

impl Planning<'_> {
    /// Plans the instructions of triggers, then those of the stage; `names` says what each `--from` means.
    pub(crate) fn finish(mut self, triggers: &[Instruction], names: &Names) -> Result<Finished, Error> {
        let context = self.context;
        for instruction in triggers.iter().chain(context.graph.instructions(context.index)) {
            let span = instruction.span;
            self.instruction(instruction, names).map_err(|error| error.at(span, &shown(instruction)))?;
        }
        let name = context.graph.name(context.index);
        self.config.config.env = self.image_variables.pairs();
        let size = self.size + self.environment.size() + config::size(&self.config);
        let stage = Stage { name, base: self.base, steps: self.steps, config: self.config };
        Ok(Finished {
            stage,
            size,
            environment: self.environment,
            arguments: self.arguments,
            layers: self.layers,
            workdir_was_set: self.workdir_was_set,
            base_is_known: self.base_is_known,
        })
    }

    /// Begins the stage with all files that the requester gave as `name`.
    pub(crate) fn fill(&mut self, name: &str) {
        let stage = self.context.stage;
        self.layers += 1;
        self.steps.push(Step {
            number: 0,
            position: (0, 0),
            lines: (stage.span.first_line, stage.span.last_line),
            instruction: stage.original.clone(),
            created_by: format!("local source for {name}"),
            action: Action::Copy(Box::new(copies::everything(From::Named(name.to_owned())))),
        });
    }

    fn instruction(&mut self, instruction: &Instruction, names: &Names) -> Result<(), Error> {
        let configured = |shown: Result<String, Error>| Ok((shown?, Action::Configure));
        let planned = match &instruction.kind {
            InstructionKind::OnBuild(text) => {
                self.config.config.on_build.push(text.clone());
                return Ok(());
            }
            InstructionKind::Run(run) => self.run(run, names),
            InstructionKind::Copy(copy) | InstructionKind::Add(copy) => self.copy(copy, names, instruction),
            InstructionKind::Workdir(path) => self.workdir(path, instruction),
            InstructionKind::Arg(args) => configured(self.arg(args, instruction)),
            InstructionKind::Env(pairs) => configured(self.env(pairs, instruction)),
            _ => configured(self.configure(instruction)),
        };
        // Often the reason for what is wrong with an instruction is a variable that is not set.
        self.report_unset(instruction);
        let (created_by, action) = planned?;
        self.size += created_by.len() + std::mem::take(&mut self.notes.borrow_mut().work);
        if self.size > MAX_STAGE {
            let text = format!("the expanded stage has more than {MAX_STAGE} bytes of text");
            return Err(Error::new(Code::StageTooLarge, text));
        }
        if action.makes_layer() {
            self.layers += 1;
            if self.layers > MAX_LAYERS {
                let text = format!(
                    "this would be layer {} of the image, {MAX_LAYERS} are possible: join instructions, or copy from a stage",
                    self.layers
                );
                return Err(Error::new(Code::TooManyLayers, text));
            }
        }
        self.steps.push(Step {
            number: 0,
            position: (0, 0),
            lines: (instruction.span.first_line, instruction.span.last_line),
            instruction: shown(instruction),
            created_by,
            action,
        });
        Ok(())
    }

    /// Returns an expansion with the variables in force.
    pub(crate) fn words(&self) -> Words<'_> {
        Words::new(self.context.graph.file.escape, &self.environment).noting(&self.notes)
    }

    /// Reports what the rules say of an instruction.
    pub(crate) fn report(&self, rule: &'static crate::rules::Rule, text: String, instruction: &Instruction) {
        self.context.lint.report(rule, text, instruction.span, &instruction.comments.lines);
    }

    /// Reports the names that an instruction used and nothing sets, unless the base may set them.
    pub(crate) fn report_unset(&self, instruction: &Instruction) {
        let unset = std::mem::take(&mut self.notes.borrow_mut().unset);
        if unset.is_empty() || self.context.lint.is_full() {
            return;
        }
        let reported = unset.iter().filter(|name| self.arguments.get(name).is_none() && !is_builders_own(name));
        for name in reported.filter(|_| self.base_is_known) {
            let hint = suggest_name(name, self.environment.names());
            let hint = hint.map_or_else(String::new, |near| format!(" (did you mean ${near}?)"));
            self.report(&rules::UNDEFINED_VAR, format!("Usage of undefined variable '${name}'{hint}"), instruction);
        }
    }

    /// Leaves the names unreported that the instruction used and nothing sets.
    pub(crate) fn forget_unset(&self) {
        self.notes.borrow_mut().unset.clear();
    }

    fn workdir_now(&self) -> String {
        config::absolute("/", &self.config.config.working_dir)
    }

    /// Returns the words of a command, run by the shell in force if it is in shell form.
    pub(crate) fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(line) => {
                let shell = self.config.config.shell.clone().filter(|shell| !shell.is_empty());
                let mut argv = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                argv.push(line.clone());
                argv
            }
        }
    }

    fn run(&mut self, run: &ast::Run, names: &Names) -> Result<(String, Action), Error> {
        match (run.network, run.security) {
            (RunNetwork::Host, _) => return Err(Error::new(Code::NotPermitted, "network.host is not allowed")),
            (_, RunSecurity::Insecure) => {
                return Err(Error::new(Code::NotPermitted, "security.insecure is not allowed"));
            }
            _ => {}
        }
        let words = self.words();
        let namespace = self.context.graph.arguments.given("BUILDKIT_CACHE_MOUNT_NS").unwrap_or_default();
        let mut planned = MountPlanner { words: &words, names: &names.mounts, workdir: &self.workdir_now(), namespace }
            .plan(&run.mounts)?;
        let (command, script) = copies::run_command(run);
        let argv = self.argv(&command);
        if argv.is_empty() {
            return Err(Error::invalid("arguments are required"));
        }
        let shown = argv.join(" ");
        planned.extend(script);
        let mut environment = self.environment.clone();
        if environment.get("PATH").is_none() {
            environment.set("PATH", DEFAULT_PATH.trim_start_matches("PATH="));
        }
        let env = environment.pairs();
        self.size += env.iter().map(String::len).sum::<usize>();
        let action = Run {
            argv,
            env,
            proxies: self.context.graph.arguments.proxies(),
            cwd: self.workdir_now(),
            user: self.config.config.user.clone(),
            mounts: planned,
            network: run.network == RunNetwork::Default,
        };
        Ok((format!("RUN {}{shown} # buildkit", self.shown_arguments()), Action::Run(Box::new(action))))
    }

    /// Returns the arguments declared so far as the history shows them: with the values that are in force.
    fn shown_arguments(&self) -> String {
        let declared = self.arguments.names().map(|name| {
            let value = self.environment.get(name).or(self.arguments.get(name)).unwrap_or_default();
            format!("{name}={value}")
        });
        let declared: Vec<String> = declared.collect();
        if declared.is_empty() { String::new() } else { format!("|{} {} ", declared.len(), declared.join(" ")) }
    }

    fn copy(&mut self, copy: &ast::Copy, names: &Names, instruction: &Instruction) -> Result<(String, Action), Error> {
        let from = match &copy.from {
            None => From::Context,
            Some(name) => names
                .copies
                .get(name)
                .cloned()
                .ok_or_else(|| Error::new(Code::Internal, format!("`{name}` was not looked up")))?,
        };
        let planned = copies::plan(copy, from, &self.words(), &self.workdir_now())?;
        for text in copies::ignored(&planned, &self.context.graph.settings.ignore) {
            self.report(&rules::COPY_IGNORED_FILE, text, instruction);
        }
        Ok((copies::history(&planned), Action::Copy(Box::new(planned))))
    }

    fn workdir(&mut self, path: &str, instruction: &Instruction) -> Result<(String, Action), Error> {
        let written = self.words().one(path)?;
        if !self.workdir_was_set && !written.starts_with('/') {
            let text = format!("Relative workdir {written:?} can have unexpected results if the base image changes");
            self.report(&rules::WORKDIR_RELATIVE_PATH, text, instruction);
        }
        self.workdir_was_set = true;
        let path = config::absolute(&self.workdir_now(), &written);
        if ["/proc", "/sys", "/dev"]
            .iter()
            .any(|forbidden| path == *forbidden || path.starts_with(&format!("{forbidden}/")))
        {
            return Err(Error::new(
                Code::WorkdirNotAllowed,
                format!("WORKDIR {path} is not allowed: it lies in a file system of the kernel"),
            ));
        }
        // BuildKit keeps an absolute path as it is written, in the configuration and in the history.
        let shown = if written.starts_with('/') { written } else { path.clone() };
        let created_by = format!("WORKDIR {shown}");
        let user = self.config.config.user.clone();
        let action = if shown == "/" { Action::Configure } else { Action::Workdir { path, user } };
        self.config.config.working_dir = shown;
        Ok((created_by, action))
    }
}

/// Returns an instruction on one line, as it is shown to people.
fn shown(instruction: &Instruction) -> String {
    let trigger = if instruction.is_trigger { "ONBUILD " } else { "" };
    crate::quote::printable(&format!("{trigger}{}", instruction.original))
}
