//! One stage: its instructions in order, each expanded with the variables in force, each changing the configuration.

use super::bases::{Base, BaseImages};
use super::config;
use super::copies;
use super::environment::{Arguments, DEFAULT_PATH, Variables, Words};
use super::history;
use super::mounts;
use super::{Action, From, Run, Settings, Stage, Step};
use crate::Error;
use crate::dockerfile::{
    self, Arg, Command, Dockerfile, HealthcheckFlags, Instruction, InstructionKind, Pair, RunNetwork, RunSecurity,
};
use registry_client::{Empty, Healthcheck, ImageConfig};
use std::collections::BTreeMap;

/// What a stage is planned with.
#[derive(Clone, Copy)]
pub struct StageContext<'c> {
    /// The file it is in.
    pub file: &'c Dockerfile,
    /// The stage.
    pub stage: &'c dockerfile::Stage,
    /// What the requester chose.
    pub settings: &'c Settings,
    /// Arguments that were given, and automatic ones.
    pub arguments: &'c Arguments,
    /// Arguments declared before the first `FROM`.
    pub globals: &'c Variables,
}

/// A planned stage with what stages on top of it inherit.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The stage.
    pub stage: Stage,
    environment: Variables,
    declared: Variables,
    triggers: Vec<String>,
}

/// A stage whose base is known, not yet planned.
pub struct Started<'c> {
    context: StageContext<'c>,
    base: Base,
    config: ImageConfig,
    environment: Variables,
    declared: Variables,
    instructions: Vec<Instruction>,
}

/// Begins a stage on its base.
pub fn start<'c>(
    context: &StageContext<'c>,
    base: Base,
    (images, stages): (&BaseImages, &[Finished]),
) -> Result<Started<'c>, Error> {
    let (config, triggers, inherited) = match &base {
        Base::Scratch => (config::scratch(&context.settings.platform), Vec::new(), None),
        Base::Image(name) => {
            let image = images.get(name).map(|image| image.config.clone()).unwrap_or_default();
            (config::on_top_of(&image), image.config.on_build.clone(), None)
        }
        Base::Stage(index) => {
            let parent = &stages[*index];
            (config::on_top_of(&parent.stage.config), parent.triggers.clone(), Some(parent))
        }
    };
    let environment =
        inherited.map_or_else(|| Variables::from_env(&config.config.env), |parent| parent.environment.clone());
    let declared = inherited.map_or_else(Variables::default, |parent| parent.declared.clone());
    let mut instructions = Vec::with_capacity(triggers.len() + context.stage.instructions.len());
    for trigger in &triggers {
        let parsed = dockerfile::parse_trigger(trigger, '\\', context.stage.span);
        instructions
            .push(parsed.map_err(|error| Error::user("dockerfile_invalid", format!("ONBUILD {trigger}: {error}")))?);
    }
    instructions.extend(context.stage.instructions.iter().cloned());
    Ok(Started { context: *context, base, config, environment, declared, instructions })
}

impl Started<'_> {
    /// Returns the names that `--from` and `from=` use, with the instructions that use them.
    pub fn sources(&self) -> Vec<(String, Instruction)> {
        let mut sources = Vec::new();
        for instruction in &self.instructions {
            let names = match &instruction.kind {
                InstructionKind::Copy(copy) | InstructionKind::Add(copy) => copy.from.iter().cloned().collect(),
                InstructionKind::Run(run) => run.mounts.iter().filter_map(|mount| mounts::from(mount)).collect(),
                _ => Vec::new(),
            };
            sources.extend(names.into_iter().map(|name| (name, instruction.clone())));
        }
        sources
    }

    /// Plans the instructions; `names` says what each `--from` means.
    pub fn finish(self, names: &BTreeMap<String, From>) -> Result<Finished, Error> {
        let context = self.context;
        let mut planning = Planning {
            context,
            names,
            config: self.config,
            environment: self.environment,
            declared: self.declared,
            triggers: Vec::new(),
            cmd_was_set: false,
            steps: Vec::new(),
        };
        for instruction in &self.instructions {
            let span = instruction.span;
            planning
                .instruction(instruction)
                .map_err(|error| error.at_step(0, (span.first_line, span.last_line), &instruction.original))?;
        }
        let index = context.file.stages.iter().position(|stage| std::ptr::eq(stage, context.stage)).unwrap_or(0);
        let name = context.stage.name.clone().unwrap_or_else(|| format!("stage-{index}"));
        planning.config.config.on_build.clone_from(&planning.triggers);
        let stage = Stage { name, base: self.base, steps: planning.steps, config: planning.config };
        Ok(Finished {
            stage,
            environment: planning.environment,
            declared: planning.declared,
            triggers: planning.triggers,
        })
    }
}

/// A stage while its instructions are planned.
struct Planning<'p> {
    context: StageContext<'p>,
    names: &'p BTreeMap<String, From>,
    config: ImageConfig,
    /// What expansion and `RUN` see: the image's variables and the arguments, in the order in which they were set.
    environment: Variables,
    /// The arguments declared so far; unset ones are empty.
    declared: Variables,
    triggers: Vec<String>,
    cmd_was_set: bool,
    steps: Vec<Step>,
}

impl Planning<'_> {
    fn instruction(&mut self, instruction: &Instruction) -> Result<(), Error> {
        let (created_by, action) = match &instruction.kind {
            InstructionKind::OnBuild(text) => {
                self.triggers.push(text.clone());
                return Ok(());
            }
            InstructionKind::Run(run) => self.run(run)?,
            InstructionKind::Copy(copy) => self.copy(copy, false)?,
            InstructionKind::Add(copy) => self.copy(copy, true)?,
            InstructionKind::Workdir(path) => self.workdir(path)?,
            InstructionKind::Arg(args) => (self.arg(args)?, Action::Configure),
            InstructionKind::Env(pairs) => (self.env(pairs)?, Action::Configure),
            other => (self.configure(other)?, Action::Configure),
        };
        self.steps.push(Step {
            number: 0,
            position: (0, 0),
            lines: (instruction.span.first_line, instruction.span.last_line),
            instruction: instruction.original.clone(),
            created_by,
            action,
        });
        Ok(())
    }

    fn words(&self) -> Words<'_> {
        Words::new(self.context.file.escape, &self.environment)
    }

    fn workdir_now(&self) -> String {
        config::absolute("/", &self.config.config.working_dir)
    }

    /// Returns what a command comes to with the shell in force.
    fn argv(&self, command: &Command) -> Vec<String> {
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

    fn run(&mut self, run: &dockerfile::Run) -> Result<(String, Action), Error> {
        match (run.network, run.security) {
            (RunNetwork::Host, _) => return Err(Error::user("not_permitted", "network.host is not allowed")),
            (_, RunSecurity::Insecure) => return Err(Error::user("not_permitted", "security.insecure is not allowed")),
            _ => {}
        }
        let words = self.words();
        let mut planned = mounts::plan(&run.mounts, (&words, self.names), &self.workdir_now())?;
        let (command, script) = copies::run_command(run);
        let argv = self.argv(&command);
        let shown = argv.join(" ");
        planned.extend(script);
        let mut environment = self.environment.clone();
        if environment.get("PATH").is_none() {
            environment.set("PATH", DEFAULT_PATH.trim_start_matches("PATH="));
        }
        let declared: Vec<_> = self.declared.pairs();
        let prefix =
            if declared.is_empty() { String::new() } else { format!("|{} {} ", declared.len(), declared.join(" ")) };
        let action = Run {
            argv,
            env: environment.pairs(),
            proxies: self.context.arguments.proxies(&self.declared),
            cwd: self.workdir_now(),
            user: self.config.config.user.clone(),
            mounts: planned,
            network: run.network == RunNetwork::Default,
        };
        Ok((format!("RUN {prefix}{shown} # buildkit"), Action::Run(Box::new(action))))
    }

    fn copy(&mut self, copy: &dockerfile::Copy, add: bool) -> Result<(String, Action), Error> {
        let from = match &copy.from {
            None => From::Context,
            Some(name) => self
                .names
                .get(name)
                .cloned()
                .ok_or_else(|| Error::service("plan", format!("`{name}` was not looked up")))?,
        };
        let planned = copies::plan(copy, (add, from), (&self.words(), &self.workdir_now()))?;
        Ok((copies::history(&planned), Action::Copy(Box::new(planned))))
    }

    fn workdir(&mut self, path: &str) -> Result<(String, Action), Error> {
        let written = self.words().one(path)?;
        let path = config::absolute(&self.workdir_now(), &written);
        if ["/proc", "/sys", "/dev"]
            .iter()
            .any(|forbidden| path == *forbidden || path.starts_with(&format!("{forbidden}/")))
        {
            return Err(Error::user(
                "workdir_not_allowed",
                format!("WORKDIR {path} is not allowed: it lies in a file system of the kernel"),
            ));
        }
        // BuildKit keeps the last slash of an absolute path, in the configuration and in the history.
        let keeps_slash = written.starts_with('/') && written.ends_with('/') && path != "/";
        let shown = if keeps_slash { format!("{path}/") } else { path.clone() };
        let created_by = format!("WORKDIR {shown}");
        self.config.config.working_dir = shown;
        let user = self.config.config.user.clone();
        let action = if path == "/" { Action::Configure } else { Action::Workdir { path, user } };
        Ok((created_by, action))
    }

    fn arg(&mut self, args: &[Arg]) -> Result<String, Error> {
        let mut shown = Vec::new();
        for arg in args {
            let given = self.context.arguments.given(&arg.name).map(str::to_owned);
            let value = match (given, &arg.value) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.words().one(default)?),
                (None, None) => self.context.globals.get(&arg.name).map(str::to_owned),
            };
            self.declared.set(&arg.name, value.as_deref().unwrap_or(""));
            if let Some(value) = &value {
                self.environment.set_last(&arg.name, value);
            }
            shown.push(value.map_or_else(|| arg.name.clone(), |value| format!("{}={value}", arg.name)));
        }
        Ok(format!("ARG {}", shown.join(" ")))
    }

    fn env(&mut self, pairs: &[Pair]) -> Result<String, Error> {
        let pairs = self.pairs(pairs)?;
        for (key, value) in &pairs {
            self.environment.set_last(key, value);
            config::set_env(&mut self.config, key, value);
        }
        Ok(format!("ENV {}", shown_pairs(&pairs)))
    }

    /// Expands pairs, all with the variables from before the instruction.
    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, Error> {
        let words = self.words();
        pairs.iter().map(|pair| Ok((words.one(&pair.key)?, words.one(&pair.value)?))).collect()
    }

    /// Carries out an instruction that only changes the configuration, and returns its line in the history.
    fn configure(&mut self, kind: &InstructionKind) -> Result<String, Error> {
        Ok(match kind {
            InstructionKind::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.config.config.labels.extend(pairs.iter().cloned());
                format!("LABEL {}", shown_pairs(&pairs))
            }
            InstructionKind::User(user) => {
                let user = self.words().one(user)?;
                self.config.config.user.clone_from(&user);
                format!("USER {user}")
            }
            InstructionKind::Volume(volumes) => {
                let volumes = self.words().each(volumes)?;
                if volumes.iter().any(|volume| volume.trim().is_empty()) {
                    return Err(Error::user("dockerfile_invalid", "VOLUME specified can not be an empty string"));
                }
                self.config.config.volumes.extend(volumes.iter().map(|volume| (volume.clone(), Empty {})));
                format!("VOLUME {}", history::plain(&volumes))
            }
            InstructionKind::Expose(words) => self.expose(words)?,
            InstructionKind::StopSignal(signal) => {
                let signal = self.words().one(signal)?;
                if !dockerfile::is_signal(&signal) {
                    return Err(Error::user("dockerfile_invalid", format!("invalid signal: {signal}")));
                }
                self.config.config.stop_signal.clone_from(&signal);
                format!("STOPSIGNAL {signal}")
            }
            InstructionKind::Shell(words) => {
                self.config.config.shell = Some(words.clone());
                format!("SHELL {}", history::plain(words))
            }
            InstructionKind::Maintainer(name) => {
                self.config.author.clone_from(name);
                format!("MAINTAINER {name}")
            }
            InstructionKind::Cmd(command) => {
                let argv = self.command(command);
                self.config.config.cmd = Some(argv.clone());
                self.config.config.args_escaped = true;
                self.cmd_was_set = true;
                format!("CMD {}", history::quoted(&argv))
            }
            InstructionKind::Entrypoint(command) => {
                let argv = self.command(command);
                self.config.config.entrypoint = Some(argv.clone());
                if !self.cmd_was_set {
                    self.config.config.cmd = None;
                }
                format!("ENTRYPOINT {}", history::quoted(&argv))
            }
            InstructionKind::Healthcheck(flags) => self.healthcheck(flags),
            _ => return Err(Error::service("plan", "an instruction was not planned")),
        })
    }

    /// Returns the words of a `CMD` or `ENTRYPOINT`; nothing at all clears it.
    fn command(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Shell(line) if line.is_empty() => Vec::new(),
            command => self.argv(command),
        }
    }

    fn expose(&mut self, words: &[String]) -> Result<String, Error> {
        let mut sorted = words.to_vec();
        sorted.sort();
        let mut ports = Vec::new();
        for word in &sorted {
            for word in self.words().split(word)? {
                let parsed = dockerfile::parse_port(&word).map_err(|cause| Error::user("dockerfile_invalid", cause))?;
                ports.extend(parsed);
            }
        }
        ports.sort();
        ports.dedup();
        self.config.config.exposed_ports.extend(ports.iter().map(|port| (port.clone(), Empty {})));
        Ok(format!("EXPOSE {}", history::plain(&ports)))
    }

    fn healthcheck(&mut self, flags: &HealthcheckFlags) -> String {
        let check = Healthcheck {
            test: flags.test.clone(),
            interval: flags.interval,
            timeout: flags.timeout,
            start_period: flags.start_period,
            start_interval: flags.start_interval,
            retries: flags.retries,
        };
        let text = history::healthcheck(&check);
        self.config.config.healthcheck = Some(check);
        text
    }
}

fn shown_pairs(pairs: &[(String, String)]) -> String {
    let shown: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    shown.join(" ")
}
