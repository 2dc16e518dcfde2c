//! Instructions that only change the configuration of the image.

use super::assign::shown_pairs;
use super::error::{Code, Error};
use super::history;
use super::stage::Planning;
use crate::ast::{Command, HealthcheckFlags, Instruction, InstructionKind};
use crate::rules;
use registry_client::{Empty, Healthcheck};

/// Most ports that one instruction may name: all of one protocol, and many of another.
const MAX_PORTS: usize = 100_000;

impl Planning<'_> {
    /// Carries out an instruction that only changes the configuration, and returns its line in the history.
    pub(crate) fn configure(&mut self, instruction: &Instruction) -> Result<String, Error> {
        Ok(match &instruction.kind {
            InstructionKind::Label(pairs) => {
                let pairs = self.pairs(pairs, instruction)?;
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
                if volumes.iter().any(String::is_empty) {
                    return Err(Error::invalid("VOLUME specified can not be an empty string"));
                }
                self.config.config.volumes.extend(volumes.iter().map(|volume| (volume.clone(), Empty {})));
                format!("VOLUME {}", history::plain(&volumes))
            }
            InstructionKind::Expose(words) => self.expose(words, instruction)?,
            InstructionKind::StopSignal(signal) => {
                let signal = self.words().one(signal)?;
                if !crate::signal::is_signal(&signal) {
                    return Err(Error::invalid(format!("invalid signal: {signal}")));
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
                self.only_the_last_counts("CMD", instruction);
                let argv = self.command(command, instruction);
                self.config.config.cmd = Some(argv.clone());
                self.config.config.args_escaped = true;
                format!("CMD {}", history::quoted(&argv))
            }
            InstructionKind::Entrypoint(command) => {
                self.only_the_last_counts("ENTRYPOINT", instruction);
                let argv = self.command(command, instruction);
                self.config.config.entrypoint = Some(argv.clone());
                // A command that was inherited is meant for another entrypoint.
                if !self.once.contains_key("CMD") {
                    self.config.config.cmd = None;
                }
                format!("ENTRYPOINT {}", history::quoted(&argv))
            }
            InstructionKind::Healthcheck(flags) => {
                self.only_the_last_counts("HEALTHCHECK", instruction);
                self.healthcheck(flags)
            }
            _ => return Err(Error::new(Code::Internal, "an instruction was not planned")),
        })
    }

    /// Gives the image the labels that every image has; those of its base tell of the base.
    pub(crate) fn label(&mut self) {
        let defaults = &self.context.graph.settings.default_labels;
        self.config.config.labels.extend(defaults.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Notes an instruction of which only the last of a stage counts; reports the one before it.
    fn only_the_last_counts(&mut self, name: &'static str, instruction: &Instruction) {
        if let Some(earlier) = self.once.insert(name, instruction.span) {
            let text = format!(
                "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                instruction.keyword
            );
            let comments = &instruction.comments.lines;
            self.context.lint.report(&rules::MULTIPLE_INSTRUCTIONS_DISALLOWED, text, earlier, comments);
        }
    }

    /// Returns the words of a `CMD` or `ENTRYPOINT`.
    fn command(&self, command: &Command, instruction: &Instruction) -> Vec<String> {
        let shell_is_set = self.config.config.shell.as_ref().is_some_and(|shell| !shell.is_empty());
        if matches!(command, Command::Shell(_)) && !shell_is_set {
            let text = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                instruction.keyword
            );
            self.report(&rules::JSON_ARGS_RECOMMENDED, text, instruction);
        }
        self.argv(command)
    }

    fn expose(&mut self, words: &[String], instruction: &Instruction) -> Result<String, Error> {
        // The words are sorted before they are expanded; the ports of a range stay in their own order.
        let mut sorted = words.to_vec();
        sorted.sort();
        let mut ports = Vec::new();
        for word in &sorted {
            for word in self.words().split(word)? {
                let parsed = crate::port::parse_port(&word).map_err(Error::invalid)?;
                if parsed.odd_case {
                    let text = format!("Defined protocol '{word}' in EXPOSE instruction should be lowercase");
                    self.report(&rules::EXPOSE_PROTO_CASING, text, instruction);
                }
                if parsed.names_host {
                    let text = format!(
                        "EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
                    );
                    self.report(&rules::EXPOSE_INVALID_FORMAT, text, instruction);
                }
                ports.extend(parsed.ports);
                if ports.len() > MAX_PORTS {
                    return Err(Error::invalid(format!("more than {MAX_PORTS} ports are named")));
                }
            }
        }
        // BuildKit says nothing of variables in ports.
        self.forget_unset();
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
