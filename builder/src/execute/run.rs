//! `RUN`: the command in its container, its changes packed beside the next step.

use super::cancellable::Cancellable;
use super::copy::Mounted;
use super::pack;
use super::progress::{Failure, Progress, StepLayer};
use super::state::Execution;
use crate::Error;
use crate::error::Code;
use crate::event::Event;
use crate::key::KeyBuilder;
use crate::secrets::{Detector, Leak};
use crate::trace::Work;
use dockerfile::plan::{Mount, MountKind, Run, Step};
use registry_client::Platform;
use runtime::{Calls, Changes, Exit, Ran, StepNetwork};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::Scope;

/// Lines of a failed command's output that are repeated with its error.
const TAIL_LINES: usize = 20;
/// Longest line that is repeated.
const TAIL_WIDTH: usize = 400;
/// Bytes of a command that its error repeats: the shell before it may be an image's.
const MAX_COMMAND: usize = 2000;
/// Name of the machine that a command sees; the same everywhere, so that results do not depend on it.
const HOSTNAME: &str = "buildkitsandbox";
/// The signal that ends a program whose system calls are made by a convention that is not allowed.
const SIGSYS: i32 = 31;
/// The signal that no process survives.
const SIGKILL: i32 = 9;
/// Why that is, and what helps.
const THIRTY_TWO_BIT: &str = "a program made system calls as 32-bit x86 programs do, which are allowed in stages for \
     linux/386 and where `sandbox.allow_32bit = true` in slipway.toml or `slipway build --allow-32bit` says so";
/// Size of `/dev/shm`.
const SHM_BYTES: u64 = 64 * 1024 * 1024;

/// A `RUN` with the layers that it mounts.
pub(crate) struct ResolvedRun<'e> {
    run: &'e Run,
    bound: Vec<Option<Mounted>>,
}

impl<'e> ResolvedRun<'e> {
    /// Finds what `run` mounts.
    pub(crate) fn new(progress: &Progress<'e, '_>, run: &'e Run, step: &Step) -> Result<Self, Error> {
        let bound = run.mounts.iter().map(|mount| bind(progress, mount, step)).collect::<Result<_, _>>()?;
        Ok(ResolvedRun { run, bound })
    }

    /// Returns the cache key of the layer.
    pub(crate) fn key(&self, parent: &str) -> String {
        // Proxies are how a build reaches others, not what it is.
        let Run { argv, env, proxies: _, cwd, user, mounts, network } = self.run;
        let mut key = KeyBuilder::new("run.1");
        key.text(parent).list(argv).list(env).text(cwd).text(user);
        key.text(if *network { "network" } else { "none" });
        for (Mount { target, kind }, bound) in mounts.iter().zip(&self.bound) {
            key.text(target);
            mount_fields(&mut key, kind);
            key.text(bound.as_ref().map_or("", |bound| &bound.key));
        }
        key.finish()
    }

    /// Runs the command; its layer is packed in `scope`.
    pub(crate) fn execute<'scope, 'a>(
        self,
        progress: &Progress<'e, 'a>,
        made: StepLayer<'_, 'e>,
        scope: &'scope Scope<'scope, 'e>,
    ) -> Result<(), Failure>
    where
        'e: 'scope,
    {
        let (execution, StepLayer { layer, step }) = (progress.execution, made);
        let sandbox = execution.resources.sandbox()?;
        let prepared = self.sandbox_step(progress)?;
        let mut tail = Tail::default();
        let mut masker = execution.masks.masker();
        let mut show = |bytes: &[u8]| {
            tail.push(bytes);
            execution.observer.observe(Event::Output { step: step.number, bytes });
        };
        let ran = sandbox
            .run(&prepared, &mut |bytes| masker.push(bytes, &mut show), execution.cancel())
            .map_err(|error| not_run(error, self.run))?;
        masker.finish(&mut show);
        if let Some(failure) = failure(&ran, self.run, step, &tail, execution) {
            return Err(failure);
        }
        let changes = Arc::new(ran.changes);
        layer.set_snapshot(changes.snapshot());
        execution.resources.keep_changes(layer.clone(), changes.clone());
        let layer = layer.clone();
        scope.spawn(move || {
            let packed = execution.pack_permit().and_then(|_permit| {
                let _span = execution.resources.trace.span(Work::Pack, &step.instruction);
                pack_changes(execution, StepLayer { layer: &layer, step }, &changes, self.run)
            });
            if let Err(error) = packed {
                execution.fail(&error);
                layer.settle(Err(error));
            }
        });
        Ok(())
    }

    fn sandbox_step(&self, progress: &Progress<'_, '_>) -> Result<runtime::Step, Error> {
        let resources = progress.execution.resources;
        let mut env = self.run.env.clone();
        env.extend(self.run.proxies.iter().cloned());
        let mut mounts = Vec::new();
        for (mount, bound) in self.run.mounts.iter().zip(&self.bound) {
            let bound = match bound {
                Some(bound) => Some((resources.snapshots(&bound.layers)?, bound.path.clone())),
                None => None,
            };
            mounts.extend(super::mount::sandbox_mount(mount, bound, progress, &mut env)?);
        }
        Ok(runtime::Step {
            layers: resources.snapshots(&progress.layers)?,
            argv: self.run.argv.clone(),
            env,
            cwd: self.run.cwd.clone(),
            user: self.run.user.clone(),
            mounts,
            network: if self.run.network { StepNetwork::Default } else { StepNetwork::None },
            calls: calls(&progress.config().platform()),
            hostname: progress.execution.plan.hostname.as_deref().unwrap_or(HOSTNAME).to_owned(),
            hosts: progress.execution.options.hosts.clone(),
            timeout: Some(progress.execution.options.step_timeout),
            shm_bytes: progress.execution.options.shm_bytes.unwrap_or(SHM_BYTES),
            ulimits: progress.execution.options.ulimits.clone(),
        })
    }
}

fn pack_changes(execution: &Execution<'_>, made: StepLayer<'_, '_>, changes: &Changes, run: &Run) -> Result<(), Error> {
    let step = made.step;
    // A layer in which a secret may be found is uploaded once it is known to hold none.
    let may_be_refused = execution.options.leak == Leak::Refused && secrets_of(run, execution).next().is_some();
    let mut writer = pack::begin(execution, (!may_be_refused).then_some(made.layer))?;
    let until_cancelled = Cancellable::new(&mut writer, execution.cancel());
    let mut detector = Detector::new(until_cancelled, secrets_of(run, execution));
    changes.write_tar_until(execution.options.latest, &mut detector).map_err(|error| {
        Error::sandbox("packing the changes of a step", error).at_step(step.number, step.lines, &step.instruction)
    })?;
    if let Some(name) = detector.found() {
        let text =
            format!("secret_in_layer: the step writes the secret `{name}` into the image, where everybody reads it");
        match execution.options.leak {
            Leak::Warned => execution.observer.observe(Event::Warning(&text)),
            Leak::Refused => {
                let error = Error::new(Code::SecretInLayer, text.trim_start_matches("secret_in_layer: "));
                return Err(error.at_step(step.number, step.lines, &step.instruction));
            }
        }
    }
    pack::commit(execution, made, writer)
}

/// Returns the secrets that a command can read, by their names.
fn secrets_of<'o>(run: &'o Run, execution: &'o Execution<'_>) -> impl Iterator<Item = (&'o str, &'o [u8])> {
    run.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Secret { id, .. } => Some((id.as_str(), execution.options.secrets.get(id)?.as_slice())),
        _ => None,
    })
}

/// Finds the files that a mount shows.
fn bind(progress: &Progress<'_, '_>, mount: &Mount, step: &Step) -> Result<Option<Mounted>, Error> {
    match &mount.kind {
        MountKind::Bind { from, source, .. } | MountKind::Cache { seed: Some((from, source)), .. } => {
            super::copy::mounted(progress, from, source, step).map(Some)
        }
        _ => Ok(None),
    }
}

/// Adds what a mount contributes to the key: never secrets' contents, nor those of cache directories.
fn mount_fields(key: &mut KeyBuilder, kind: &MountKind) {
    match kind {
        MountKind::Bind { writable, .. } => key.text("bind").text(if *writable { "rw" } else { "ro" }),
        MountKind::Cache { .. } => key.text("cache"),
        MountKind::Tmpfs { .. } => key.text("tmpfs"),
        MountKind::Secret { id, env, file, mode, uid, gid, .. } => {
            key.text("secret").text(id).text(env.as_deref().unwrap_or("")).text(&format!("{file} {mode:o} {uid} {gid}"))
        }
        MountKind::Ssh { id, .. } => key.text("ssh").text(id),
        MountKind::Script { content } => key.text("script").field(content),
    };
}

fn failure(ran: &Ran, run: &Run, step: &Step, tail: &Tail, execution: &Execution<'_>) -> Option<Failure> {
    let command = shown(run);
    let failed = |code: Code, what: String| Error::new(code, what).with_output(tail.text());
    let (error, exit_code) = match &ran.exit {
        Exit::Code(0) => return None,
        Exit::Code(_) | Exit::Signal(_) if ran.network_lost => {
            let what = format!("process \"{command}\" failed after its network had ended");
            (Error::new(Code::NetworkLost, what).with_output(tail.text()), None)
        }
        Exit::Killed => {
            let what = format!(
                "process \"{command}\" was killed from outside the build (SIGKILL): this machine may have had no memory left"
            );
            (Error::new(Code::StepKilled, what).with_output(tail.text()), Some(137))
        }
        Exit::Code(code) => (
            failed(
                Code::StepFailed,
                format!("process \"{command}\" did not complete successfully: exit code: {code}{}", hint(ran, tail)),
            ),
            Some(*code),
        ),
        Exit::Signal(signal) => {
            let text = format!("process \"{command}\" was ended by signal {signal}{}", hint(ran, tail));
            (failed(Code::StepFailed, text), Some(128 + signal))
        }
        Exit::OutOfMemory(limit) => (
            failed(
                Code::OutOfMemory,
                format!("process \"{command}\" ran out of memory: a build may use {}", files::size::Size(*limit)),
            ),
            Some(137),
        ),
        Exit::DiskFull(full) => (failed(Code::DiskFull, format!("process \"{command}\" {full}")), None),
        Exit::TimedOut => {
            let limit = crate::duration::shown(execution.options.step_timeout);
            (failed(Code::StepTimeout, format!("process \"{command}\" took longer than {limit}")), None)
        }
        Exit::Cancelled => (Error::cancelled(), None),
    };
    Some(Failure { error: error.at_step(step.number, step.lines, &step.instruction), exit_code })
}

/// Says what it means if a program was ended because of its system calls, in most cases that it is a 32-bit one, or if a
/// process of the step was killed, which its parent tells by a code.
fn hint(ran: &Ran, tail: &Tail) -> String {
    // The sender of a signal is recorded nowhere; an end of memory would be known.
    if ran.exit == Exit::Code(128 + SIGKILL) {
        return " (SIGKILL): a process of the step was killed, by another one of the step or from outside".to_owned();
    }
    let ended = match ran.exit {
        Exit::Signal(signal) => signal == SIGSYS,
        // Shells tell of a signal by a code of their own, and print its name.
        Exit::Code(code) => code == 128 + SIGSYS || tail.text().contains("Bad system call"),
        _ => false,
    };
    if !ended {
        return String::new();
    }
    match ran.calls {
        Calls::Native => format!(" (SIGSYS): {THIRTY_TWO_BIT}"),
        Calls::With32Bit => " (SIGSYS): a program made system calls by a convention that is not allowed".to_owned(),
    }
}

/// Turns an error of the sandbox that kept a command from running into the step's.
fn not_run(error: runtime::Error, run: &Run) -> Failure {
    let exit_code = match error {
        runtime::Error::NotExecuted { code, .. } => Some(code),
        _ => None,
    };
    Failure { error: Error::sandbox(format!("running `{}`", shown(run)), error), exit_code }
}

/// Returns how the programs of a stage may call the kernel.
fn calls(platform: &Platform) -> Calls {
    if platform.architecture == "386" && platform.os == "linux" { Calls::With32Bit } else { Calls::Native }
}

/// Returns a command as errors name it.
fn shown(run: &Run) -> String {
    let command = run.argv.join(" ");
    match command.floor_char_boundary(MAX_COMMAND) {
        end if end < command.len() => format!("{}…", &command[..end]),
        _ => command,
    }
}

/// The last lines of a command's output.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if !self.open {
                self.lines.push_back(Vec::new());
                if self.lines.len() > TAIL_LINES {
                    self.lines.pop_front();
                }
            }
            let line = self.lines.back_mut().expect("a line was pushed when none was open");
            let room = TAIL_WIDTH.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            self.open = part.last() != Some(&b'\n');
        }
    }

    fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_last_lines_whatever_the_chunks() {
        let mut tail = Tail::default();
        for number in 0..30 {
            tail.push(b"line ");
            tail.push(format!("{number}\n").as_bytes());
        }
        let text = tail.text();
        assert_eq!(text.lines().count(), TAIL_LINES);
        assert!(text.starts_with("line 10\n") && text.ends_with("line 29"));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut tail = Tail::default();
        (0..1000).for_each(|_| tail.push(b"0123456789"));
        assert_eq!(tail.text().len(), TAIL_WIDTH);
    }
}
