//! Containers of an attempt: made from its images, filled with files of the checkout, and started.
//!
//! They lie in the attempt's sandbox and share its network: each reaches the others on the loopback, and nothing outside
//! reaches them. Files of the checkout are copied into them and, where they may be written, back when they have ended.

use super::engine::{Engine, Failed};
use super::machine::{Machine, Place, Wanted};
use crate::Image;
use crate::execute::Layer;
use files::path::{clean_path, join};
use files::tar::{self, Entry, EntryKind};
use registry_client::ImageConfig;
use runtime::{Calls, ContainerId, ContainerRun, CopyRequest, RunningContainer, Step, StepNetwork};
use std::io::{Seek, SeekFrom, Write};

/// Size of `/dev/shm`.
const SHM_BYTES: u64 = 64 * 1024 * 1024;

impl Engine {
    /// Makes a container of `image`; `hook` is where files of the checkout are read from.
    pub(crate) fn machine(&self, image: &Image, wanted: Wanted, hook: Place<'_>) -> Result<Machine, Failed> {
        let resources = self.resources(&self.terms.services, &self.terms.cancel)?;
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| Layer::existing(layer.diff_id.hex().to_owned(), (**layer).clone()))
            .collect();
        let layers = resources.snapshots(&layers)?;
        let config = self.config(image)?.config;
        let argv = match (&wanted.entrypoint, &wanted.command) {
            (Some(entrypoint), command) => [entrypoint.clone(), command.clone().unwrap_or_default()].concat(),
            (None, command) => {
                let command = command.clone().or_else(|| config.cmd.clone());
                [config.entrypoint.clone().unwrap_or_default(), command.unwrap_or_default()].concat()
            }
        };
        if argv.is_empty() {
            return Err(Failed {
                code: 125,
                text: "docker: Error response from daemon: no command specified".to_owned(),
            });
        }
        let mut env = config.env.clone();
        for pair in &wanted.environment {
            let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
            env.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
            env.push(pair.clone());
        }
        let number = self.number();
        let or = |own: Option<String>, usual: &str, last: &str| {
            own.filter(|own| !own.is_empty()).unwrap_or_else(|| if usual.is_empty() { last } else { usual }.to_owned())
        };
        let step = Step {
            layers,
            argv,
            env,
            cwd: or(wanted.directory, &config.working_dir, "/"),
            user: or(wanted.user, &config.user, ""),
            mounts: wanted.mounts,
            network: if wanted.has_network { StepNetwork::Default } else { StepNetwork::None },
            calls: Calls::Native,
            hostname: or(wanted.hostname, "", &format!("container{number}")),
            hosts: wanted.hosts,
            timeout: Some(self.terms.options.step_timeout),
            shm_bytes: SHM_BYTES,
            ulimits: Vec::new(),
        };
        let run = ContainerRun { terminal: false, read_only: wanted.read_only, init: false };
        let id = ContainerId::of_attempt(&self.terms.attempt, number);
        let machine = Machine { id, config, step, run, files: wanted.files };
        for shared in &machine.files {
            self.transfer((hook, &shared.source), (machine.place(), &shared.target))?;
        }
        Ok(machine)
    }

    /// Reads the configuration of an image.
    pub(crate) fn config(&self, image: &Image) -> Result<ImageConfig, Failed> {
        let bytes = self.terms.services.store.read(&image.config.digest, image.config.size);
        serde_json::from_slice(&bytes.map_err(Failed::daemon)?).map_err(Failed::daemon)
    }

    /// Copies a file or a directory from one container to another, under the name that it is to have there.
    pub(crate) fn transfer(&self, from: (Place<'_>, &str), to: (Place<'_>, &str)) -> Result<(), Failed> {
        let failed = |error: String| Failed::daemon(format!("copying {}: {error}", from.1));
        let found = self.sandbox.copy_from_container(from.0.id, &from.0.at(from.1));
        let (stat, tar) = found.map_err(|error| failed(error.to_string()))?;
        let target = clean_path(to.1.as_bytes());
        let mut writer = tar::Writer::new(tempfile::tempfile().map_err(|error| failed(error.to_string()))?);
        self.missing(to.0, &target, &mut writer).map_err(|error| failed(error.to_string()))?;
        let mut reader = tar::Reader::new(tar);
        while let Some(entry) = reader.next_entry().map_err(|error| failed(error.to_string()))? {
            let name = clean_path(&entry.path);
            let inside = name.strip_prefix(clean_path(stat.name.as_bytes()).as_slice()).unwrap_or(&name);
            let path = join(&target, inside.strip_prefix(b"/").unwrap_or(inside));
            let renamed = |path: Vec<u8>| path.strip_prefix(b"/").map(<[u8]>::to_vec).unwrap_or(path);
            if path.is_empty() {
                continue;
            }
            let kind = match entry.kind {
                EntryKind::HardLink { target: link } => {
                    let link = clean_path(&link);
                    let inside = link.strip_prefix(clean_path(stat.name.as_bytes()).as_slice()).unwrap_or(&link);
                    EntryKind::HardLink { target: join(&target, inside.strip_prefix(b"/").unwrap_or(inside)) }
                }
                kind => kind,
            };
            let entry = Entry { path: renamed(path), kind, ..entry };
            writer.entry(&entry, &mut reader).map_err(|error| failed(error.to_string()))?;
        }
        let mut file = writer.finish().map_err(|error| failed(error.to_string()))?;
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(error.to_string()))?;
        let copied = self.sandbox.copy_to_container(to.0.id, &to.0.at("/"), &mut file);
        copied.map_err(|error| failed(error.to_string()))
    }

    /// Writes the directories above `target` that are not there yet.
    fn missing<W: Write>(&self, to: Place<'_>, target: &[u8], writer: &mut tar::Writer<W>) -> std::io::Result<()> {
        for end in (0..target.len()).filter(|at| target[*at] == b'/') {
            let path = format!("/{}", String::from_utf8_lossy(&target[..end]));
            let asked = CopyRequest { stat_only: true, ..to.at(&path) };
            if self.sandbox.copy_from_container(to.id, &asked).is_err() {
                let (path, kind) = (target[..end].to_vec(), EntryKind::Directory);
                writer.bare(&Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() })?;
            }
        }
        Ok(())
    }

    /// Starts a container.
    pub(crate) fn start(&self, machine: &Machine) -> Result<RunningContainer, Failed> {
        let started = self.sandbox.start_container(&machine.id, &machine.step, machine.run.clone());
        started.map_err(|error| Failed { code: 125, text: format!("docker: Error response from daemon: {error}") })
    }

    /// Copies what a container may have written back to where it came from.
    pub(crate) fn return_files(&self, machine: &Machine, hook: Place<'_>) -> Result<(), Failed> {
        for shared in machine.files.iter().filter(|shared| shared.writable) {
            self.transfer((machine.place(), &shared.target), (hook, &shared.source))?;
        }
        Ok(())
    }
}
