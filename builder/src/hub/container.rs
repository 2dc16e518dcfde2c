//! The container of a build's hooks: one image with bash, git and curl, the commit in `/src`, and a `docker` that is slipway.
//!
//! Each hook is a container of its own over the same files, so that a later one finds what an earlier one left, as in
//! Docker Hub's builder. Its directory is the attempt's and is removed with it, however the attempt ends.

use super::checkout::{Commit, DIRECTORY};
use super::socket::Socket;
use crate::context::Tarball;
use crate::execute::BuildResources;
use crate::trace::Trace;
use crate::{Error, Services};
use registry_client::Platform;
use runtime::{
    Calls, CancellationToken, ContainerId, ContainerRun, ContainerStreams, CopyRequest, Exit, Mount, MountKind,
    Sandbox, SnapshotId, Step, StepNetwork,
};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Where `docker` finds the engine.
const SOCKET: &str = "/var/run/docker.sock";
/// Size of `/dev/shm`.
const SHM_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;
/// The directories of programs, where the image does not name them.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files of the hooks of one attempt, and the sandbox that they run in.
pub(crate) struct HookContainer {
    /// Keeps the image, and the sandbox.
    _resources: BuildResources,
    sandbox: Sandbox,
    layers: Vec<SnapshotId>,
    id: ContainerId,
    environment: Vec<String>,
}

/// A command in the container.
pub(crate) struct HookCommand<'c> {
    /// The command.
    pub argv: Vec<String>,
    /// Variables besides those of the image.
    pub environment: Vec<String>,
    /// Directory that it starts in.
    pub directory: String,
    /// How long it may run.
    pub timeout: Duration,
    /// The engine that its `docker` speaks to.
    pub socket: &'c Socket,
}

impl HookContainer {
    /// Brings `image` here and puts the commit into it; `services` may read it.
    pub(crate) fn new(
        services: &Services,
        image: &str,
        attempt: &str,
        commit: &Commit<'_>,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let resources = BuildResources::new(services, attempt, cancel.clone(), Trace::default())?;
        let wanted = std::iter::once((image.to_owned(), Platform::host()));
        let hint = " (the image that hooks run in: the server's `hub.image`)";
        let found = crate::image::resolve::images(services, cancel, wanted).next();
        let found = found.unwrap_or_else(|| Err(Error::cancelled())).map_err(|error| error.with_hint(hint))?;
        let layers = resources.snapshots(&found.layers)?;
        let sandbox = resources.sandbox()?.clone();
        let environment = found.config.config.env;
        let id = ContainerId::of_attempt(attempt, 0);
        let container = HookContainer { _resources: resources, sandbox, layers, id, environment };
        container.put("/", &mut commit.tar()?)?;
        Ok(container)
    }

    /// Returns the sandbox of the attempt.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns the id of the container.
    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Returns the layers of its image.
    pub(crate) fn layers(&self) -> &[SnapshotId] {
        &self.layers
    }

    fn put(&self, directory: &str, tar: &mut dyn Read) -> Result<(), Error> {
        let copy = copy_request(Some(self.layers.clone()), directory);
        let put = self.sandbox.copy_to_container(&self.id, &copy, tar);
        put.map_err(|error| Error::sandbox("checking the commit out for its hooks", error))
    }

    /// Reads the checkout as the hooks left it, without its `.git`.
    pub(crate) fn checkout(&self, directory: &Path) -> Result<Tarball, Error> {
        let copy = copy_request(Some(self.layers.clone()), &format!("{DIRECTORY}/."));
        let (_, mut tar) = self
            .sandbox
            .copy_from_container(&self.id, &copy)
            .map_err(|error| Error::sandbox("reading the files that the hooks left", error))?;
        let mut read = Tarball::read("the checkout", &mut tar, directory).map_err(Error::source)?;
        read.leave_out(b".git");
        Ok(read)
    }

    /// Runs a command; what it prints goes to `output` as it comes.
    pub(crate) fn run(
        &self,
        command: &HookCommand<'_>,
        output: &mut (dyn FnMut(&[u8]) + Send),
        cancel: &CancellationToken,
    ) -> Result<Exit, Error> {
        let failed = |error| Error::sandbox(format!("running `{}`", command.argv.join(" ")), error);
        let run = ContainerRun { terminal: false, read_only: false, init: true };
        let mut process = self.sandbox.start_container(&self.id, &self.step(command), run).map_err(failed)?;
        let Some(ContainerStreams::Pipes(input, mut printed, mut complaints)) = process.streams() else {
            return process.wait(cancel).map_err(failed);
        };
        drop(input);
        process.is_started().map_err(failed)?;
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut buffer = vec![0; BLOCK];
                while let Ok(got @ 1..) = printed.read(&mut buffer) {
                    output(&buffer[..got]);
                }
                // All that the hook prints goes to the first: only the shell that starts it complains here.
                while let Ok(got @ 1..) = complaints.read(&mut buffer) {
                    output(&buffer[..got]);
                }
            });
            let exit = process.wait(cancel).map_err(failed);
            let _ = reader.join();
            exit
        })
    }

    fn step(&self, command: &HookCommand<'_>) -> Step {
        let mut env = vec![PATH.to_owned(), "HOME=/root".to_owned()];
        for pair in self.environment.iter().chain(&command.environment) {
            let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
            env.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
            env.push(pair.clone());
        }
        let kind = MountKind::Ssh { agent_socket: command.socket.path(), mode: 0o666, uid: 0, gid: 0 };
        Step {
            layers: self.layers.clone(),
            argv: command.argv.clone(),
            env,
            cwd: command.directory.clone(),
            user: String::new(),
            mounts: vec![Mount { target: SOCKET.to_owned(), kind }],
            network: StepNetwork::Default,
            calls: Calls::Native,
            hostname: "hook".to_owned(),
            hosts: Vec::new(),
            timeout: Some(command.timeout),
            shm_bytes: SHM_BYTES,
            ulimits: Vec::new(),
        }
    }
}

/// Returns the request for a path of a container: of its layers if it does not run.
pub(crate) fn copy_request(layers: Option<Vec<SnapshotId>>, path: &str) -> CopyRequest {
    CopyRequest { layers, path: path.to_owned(), follow: true, stat_only: false, bytes: 0, entries: 0 }
}
