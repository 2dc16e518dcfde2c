//! A container of an attempt as data: what `docker run` of a hook and the services of a test run in.

use super::container::copy_request;
use registry_client::ContainerConfig;
use runtime::{
    CancellationToken, ContainerId, ContainerRun, ContainerStreams, CopyRequest, Exit, Mount, RunningContainer,
    SnapshotId, Step,
};
use std::io::Read;

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// How a container is to be run, besides what its image says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The entrypoint instead of the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The command instead of the image's.
    pub command: Option<Vec<String>>,
    /// Variables.
    pub environment: Vec<String>,
    /// The working directory.
    pub directory: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// Names and addresses.
    pub hosts: Vec<(String, String)>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Whether it has a network.
    pub has_network: bool,
    /// Whether its root can only be read.
    pub read_only: bool,
    /// Paths of the hooks' container that it sees: where they are there, where they are here, and whether they go back.
    pub files: Vec<Shared>,
}

/// Files of the hooks' container that another one sees.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// Where they are in the hooks' container.
    pub source: String,
    /// Where they are in the other one.
    pub target: String,
    /// Whether they are copied back.
    pub writable: bool,
}

/// A container that was made.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Its id.
    pub id: ContainerId,
    /// Its image's configuration.
    pub config: ContainerConfig,
    /// Its command.
    pub step: Step,
    /// How it differs from a step of a build.
    pub run: ContainerRun,
    /// The files that it shares with the hooks.
    pub files: Vec<Shared>,
}

/// The place of files: a container, and its layers if it does not run.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    /// The container.
    pub id: &'p ContainerId,
    /// Its layers.
    pub layers: Option<&'p [SnapshotId]>,
}

impl Place<'_> {
    /// Returns the request for a path in it.
    pub(crate) fn at(&self, path: &str) -> CopyRequest {
        copy_request(self.layers.map(<[SnapshotId]>::to_vec), path)
    }
}

impl Machine {
    /// Returns where its files are while it does not run.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { id: &self.id, layers: Some(&self.step.layers) }
    }

    /// Returns a command beside its own.
    pub(crate) fn beside(&self, argv: Vec<String>) -> Step {
        Step { argv, mounts: Vec::new(), ..self.step.clone() }
    }
}

/// Takes what a process prints: whether it is an error, and the bytes.
pub(crate) type Print<'p> = dyn Fn(bool, &[u8]) + Sync + 'p;

/// Passes on what a process prints until it has ended; `input` is what it reads.
pub(crate) fn follow(
    mut process: RunningContainer,
    input: Option<Box<dyn Read + Send>>,
    print: &Print<'_>,
    cancel: &CancellationToken,
) -> Result<Exit, runtime::Error> {
    let Some(ContainerStreams::Pipes(mut typed, output, errors)) = process.streams() else {
        return process.wait(cancel);
    };
    if !process.is_started()? {
        return process.wait(cancel);
    }
    // Nobody waits for it: who types may go on after the process has ended.
    match input {
        Some(mut input) => drop(std::thread::spawn(move || std::io::copy(&mut input, &mut typed))),
        None => drop(typed),
    }
    std::thread::scope(|scope| {
        for (is_error, mut stream) in [(false, output), (true, errors)] {
            scope.spawn(move || {
                let mut buffer = vec![0; BLOCK];
                while let Ok(got @ 1..) = stream.read(&mut buffer) {
                    print(is_error, &buffer[..got]);
                }
            });
        }
        process.wait(cancel)
    })
}

/// Returns the exit code that docker has for an end.
pub(crate) fn code_of(exit: &Exit) -> u8 {
    match exit {
        Exit::Code(code) => u8::try_from(*code).unwrap_or(255),
        Exit::Signal(signal) => u8::try_from(128 + signal).unwrap_or(255),
        Exit::Killed | Exit::OutOfMemory(_) | Exit::Cancelled => 137,
        Exit::DiskFull(_) | Exit::TimedOut => 125,
    }
}
