//! Containers: a step whose files stay, which people talk to while it runs, and which others can join.

use crate::process::{Process, processes};
use crate::protocol::{
    Answer, Conversation, Ended, FrameReader, MAX_FRAME, Request, RunRequest, control_pair, kind, receive_with,
};
use crate::sandbox::{exit, follow};
use crate::step::short_name;
use crate::{CancellationToken, Error, Exit, Sandbox, Settings, SnapshotId, Step, StepNetwork};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Digits of an id that name the container's directory: mount options hold many such names.
const SHORT: usize = 16;

/// Names the files of a container on disk: those of one kept by hand, or those of an attempt, which end with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Takes at least 16 lower-case hexadecimal digits; the first 16 count.
    pub fn new(digits: &str) -> Result<Self, Error> {
        let valid = digits.len() >= SHORT && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match valid {
            true => Ok(ContainerId(digits[..SHORT].to_owned())),
            false => Err(Error::Inside(format!("naming a container `{digits}`: hexadecimal digits are expected"))),
        }
    }

    /// Names a container of an attempt: its files are removed with those of the attempt, however that ends.
    pub fn of_attempt(attempt: &str, number: u64) -> Self {
        ContainerId(format!("{}-{number}", short_name(attempt)))
    }

    /// Returns its directory below the state directory.
    pub(crate) fn directory(&self) -> String {
        match self.0.split_once('-') {
            Some((attempt, number)) => format!("w/{attempt}/c{number}"),
            None => format!("r/{}", self.0),
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match text.split_once('-') {
            Some((attempt, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                ContainerId::new(attempt).map(|attempt| ContainerId(format!("{}-{number}", attempt.0)))
            }
            _ => ContainerId::new(&text),
        }
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> String {
        id.0
    }
}

/// How a process of a container differs from a step of a build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerRun {
    /// Whether it has a terminal instead of pipes.
    pub terminal: bool,
    /// Whether its root cannot be written.
    pub read_only: bool,
    /// Whether a small init process starts it, passes signals on and takes in orphans.
    pub init: bool,
}

/// Whether the processes of a container stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freeze {
    /// They stand still.
    Frozen,
    /// They go on.
    Thawed,
}

/// The kind of a file of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// A file of a container, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// Its name in the tar.
    pub name: String,
    /// Its kind.
    pub kind: PathKind,
}

/// Resources that a container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time since it was started.
    pub processor_time: Duration,
    /// Memory.
    pub memory_bytes: u64,
    /// Memory that it may use; `None` for as much as there is.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub tasks: u64,
    /// Bytes that came from the network.
    pub received_bytes: u64,
    /// Bytes that went to the network.
    pub sent_bytes: u64,
    /// Bytes that came from disks.
    pub read_bytes: u64,
    /// Bytes that went to disks.
    pub written_bytes: u64,
}

/// A path of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyRequest {
    /// The layers of a container that does not run; `None` for one that runs in this sandbox.
    pub layers: Option<Vec<SnapshotId>>,
    /// The path.
    pub path: String,
    /// Whether a link is followed.
    pub follow: bool,
    /// Whether only the kind of the file is asked for.
    pub stat_only: bool,
    /// Bytes that may be copied in.
    pub bytes: u64,
    /// Files that may be copied in.
    pub entries: u64,
}

/// The outer ends of a process's streams.
pub enum ContainerStreams {
    /// Its input, output and errors.
    Pipes(File, File, File),
    /// Its terminal.
    Terminal(File),
}

/// A process of a container.
pub struct RunningContainer {
    process: Arc<Process>,
    conversation: Conversation,
    streams: Option<ContainerStreams>,
    killed_before: Option<u64>,
    ended: Option<Answer<Ended>>,
}

/// Returns the directories of containers on disk, by the first digits of their ids, whether anybody knows them or not.
pub fn container_directories(settings: &Settings) -> Vec<String> {
    let entries = std::fs::read_dir(settings.state.join("r")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Leaves the session and terminal of whoever started this process, so that it survives them.
pub fn detach() {
    let _ = nix::unistd::setsid();
}

impl Sandbox {
    /// Starts the first process of a container; its files are kept when it has ended.
    pub fn start_container(&self, id: &ContainerId, step: &Step, run: ContainerRun) -> Result<RunningContainer, Error> {
        let resolv_conf = match step.network {
            StepNetwork::Default => {
                self.process.network()?.map_or_else(|_| String::new(), |known| known.resolv_conf.clone())
            }
            StepNetwork::None => String::new(),
        };
        self.begin(&Request::RunContainer(id.clone()), step, run, resolv_conf)
    }

    /// Starts one more process in a container that runs in this sandbox.
    pub fn exec(&self, id: &ContainerId, step: &Step, run: ContainerRun) -> Result<RunningContainer, Error> {
        self.begin(&Request::Exec(id.clone()), step, run, String::new())
    }

    fn begin(
        &self,
        request: &Request,
        step: &Step,
        run: ContainerRun,
        resolv_conf: String,
    ) -> Result<RunningContainer, Error> {
        let process = self.process.clone();
        let killed_before = process.cgroup.as_ref().map(|cgroup| cgroup.deaths().killed);
        let (here, there) = control_pair().map_err(|error| Error::system("creating a socket")(error.into()))?;
        let mut conversation = process.ask_with(request, Some(&there))?;
        drop(there);
        let step = Step { calls: step.calls.or(process.settings.calls), ..step.clone() };
        let processes = processes(process.cgroup.as_ref(), &process.settings);
        let request = RunRequest { step, resolv_conf, disk: process.disk_limits(), processes, container: Some(run) };
        conversation.send_value(&request).map_err(|_| Error::Gone)?;
        let agents = crate::agent::sockets(&request.step);
        let listeners = crate::agent::receive(&here, agents).map_err(Error::system("receiving a socket"))?;
        let streams = receive_streams(&here)?;
        if !listeners.is_empty() {
            crate::agent::serve_beside(here, listeners);
        }
        Ok(RunningContainer { process, conversation, streams, killed_before, ended: None })
    }

    /// Sends a signal to the first process of a container.
    pub fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<(), Error> {
        self.process.simple(&Request::Signal(id.clone(), signal))
    }

    /// Stops all processes of a container, or lets them go on.
    pub fn freeze_container(&self, id: &ContainerId, freeze: Freeze) -> Result<(), Error> {
        self.process.simple(&Request::Freeze(id.clone(), freeze))
    }

    /// Connects to a port on the loopback of a container.
    pub fn connect_container(&self, id: &ContainerId, port: u16) -> Result<std::net::TcpStream, Error> {
        let (here, there) = control_pair().map_err(|error| Error::system("creating a socket")(error.into()))?;
        let mut conversation = self.process.ask_with(&Request::Connect(id.clone(), port), Some(&there))?;
        drop(there);
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)??;
        let (_, mut sent) = receive_with(&here, &mut [0]).map_err(Error::system("receiving a socket"))?;
        sent.pop().map(std::net::TcpStream::from).ok_or(Error::Gone)
    }

    /// Writes what a container changed as a layer's tar; it need not run, and not in this sandbox.
    pub fn write_container(&self, id: &ContainerId, out: &mut dyn Write) -> Result<(), Error> {
        self.copy_out(&Request::WriteContainer(id.clone()), out)
    }

    /// Writes all files of a container as a tar; it need not run, and not in this sandbox.
    pub fn export_container(&self, id: &ContainerId, out: &mut dyn Write) -> Result<(), Error> {
        self.copy_out(&Request::ExportContainer(id.clone()), out)
    }

    /// Returns what a container that runs in this sandbox uses; control groups count more exactly where there are any.
    pub fn container_usage(&self, id: &ContainerId) -> Result<Usage, Error> {
        let mut conversation = self.process.ask(&Request::Usage(id.clone()))?;
        let mut usage: Usage = conversation.receive_value::<Answer<_>>().map_err(|_| Error::Gone)??;
        if let Some(cgroup) = &self.process.cgroup {
            usage.processor_time = cgroup.cpu_time().unwrap_or(usage.processor_time);
            usage.memory_bytes = cgroup.memory_used().unwrap_or(usage.memory_bytes);
            usage.memory_limit = self.process.settings.limits.memory_bytes.filter(|_| cgroup.limited().memory);
        }
        Ok(usage)
    }

    /// Returns how many bytes a container has on disk besides its layers.
    pub fn container_bytes(&self, id: &ContainerId) -> Result<u64, Error> {
        let mut conversation = self.process.ask(&Request::MeasureContainer(id.clone()))?;
        Ok(conversation.receive_value::<Answer<_>>().map_err(|_| Error::Gone)??)
    }

    /// Returns the paths that a container changed, each after `A` for added, `C` for changed or `D` for deleted.
    pub fn container_changes(&self, id: &ContainerId) -> Result<Vec<(char, String)>, Error> {
        let mut list = Vec::new();
        self.copy_out(&Request::ListChanges(id.clone()), &mut list)?;
        let changes = list.split(|byte| *byte == 0).filter_map(|change| change.split_first());
        Ok(changes.map(|(kind, path)| (char::from(*kind), String::from_utf8_lossy(path).into_owned())).collect())
    }

    fn copy_out(&self, request: &Request, out: &mut dyn Write) -> Result<(), Error> {
        let mut reader = FrameReader::new(self.process.ask(request)?);
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let got = reader
                .read(&mut buffer)
                .map_err(|error| Error::Inside(format!("reading the files of a container: {error}")))?;
            if got == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..got]).map_err(Error::Output)?;
        }
    }

    /// Returns what is at a path of a container, and its tar.
    pub fn copy_from_container(
        &self,
        id: &ContainerId,
        copy: &CopyRequest,
    ) -> Result<(PathStat, impl Read + use<>), Error> {
        let mut conversation = self.process.ask(&Request::CopyOut(id.clone()))?;
        conversation.send_value(copy).map_err(|_| Error::Gone)?;
        let stat = conversation.receive_value::<Answer<PathStat>>().map_err(|_| Error::Gone)??;
        Ok((stat, FrameReader::new(conversation)))
    }

    /// Unpacks a tar into a directory of a container.
    pub fn copy_to_container(&self, id: &ContainerId, copy: &CopyRequest, tar: &mut dyn Read) -> Result<(), Error> {
        let limits = &self.process.settings.limits;
        let copy = CopyRequest { bytes: limits.disk_bytes, entries: limits.disk_files, ..copy.clone() };
        let mut conversation = self.process.ask(&Request::CopyIn(id.clone()))?;
        conversation.send_value(&copy).map_err(|_| Error::Gone)?;
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let got = tar.read(&mut buffer).map_err(Error::Input)?;
            // It may have given up; its answer says why.
            if got == 0 || conversation.send(kind::DATA, &buffer[..got]).is_err() {
                break;
            }
        }
        let _ = conversation.send(kind::END, &[]);
        Ok(conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)??)
    }

    /// Returns the process ids and command lines of a container that runs in this sandbox.
    pub fn container_processes(&self, id: &ContainerId) -> Result<Vec<(i32, String)>, Error> {
        let mut conversation = self.process.ask(&Request::Processes(id.clone()))?;
        Ok(conversation.receive_value::<Answer<_>>().map_err(|_| Error::Gone)??)
    }

    /// Removes the files of a container that does not run.
    pub fn remove_container(&self, id: &ContainerId) -> Result<(), Error> {
        self.process.simple(&Request::RemoveContainer(id.clone()))
    }

    /// Returns how many bytes a volume has on disk.
    pub fn volume_bytes(&self, name: &str) -> Result<u64, Error> {
        let mut conversation = self.process.ask(&Request::MeasureVolume(name.to_owned()))?;
        Ok(conversation.receive_value::<Answer<_>>().map_err(|_| Error::Gone)??)
    }

    /// Removes the files of a volume that no container uses.
    pub fn remove_volume(&self, name: &str) -> Result<(), Error> {
        self.process.simple(&Request::RemoveVolume(name.to_owned()))
    }
}

/// Receives the outer ends of the streams; `None` if the process was not started.
fn receive_streams(socket: &OwnedFd) -> Result<Option<ContainerStreams>, Error> {
    let (_, sent) = receive_with(socket, &mut [0]).map_err(Error::system("receiving the streams of a container"))?;
    let mut files = sent.into_iter().map(File::from);
    Ok(match (files.next(), files.next(), files.next()) {
        (Some(terminal), None, _) => Some(ContainerStreams::Terminal(terminal)),
        (Some(input), Some(output), Some(error)) => Some(ContainerStreams::Pipes(input, output, error)),
        _ => None,
    })
}

impl RunningContainer {
    /// Returns the streams, once; there are none if the process was not started, which [`RunningContainer::wait`] explains.
    pub fn streams(&mut self) -> Option<ContainerStreams> {
        self.streams.take()
    }

    /// Waits until the command is executed; `false` if it was not, which [`RunningContainer::wait`] explains.
    pub fn is_started(&mut self) -> Result<bool, Error> {
        let mut frame = Vec::new();
        match self.conversation.receive(&mut frame).map_err(|_| Error::Gone)? {
            kind::DATA => Ok(true),
            _ => {
                self.ended = Some(serde_json::from_slice(&frame).map_err(|_| Error::Gone)?);
                Ok(false)
            }
        }
    }

    /// Waits for the end of the process; `cancel` ends it.
    pub fn wait(mut self, cancel: &CancellationToken) -> Result<Exit, Error> {
        let ended = match self.ended.take() {
            Some(answer) => answer?,
            None => match follow(&mut self.conversation, &mut |_| {}, cancel)? {
                Some(ended) => ended,
                None => return Ok(Exit::Cancelled),
            },
        };
        let killed = self.process.cgroup.as_ref().map(|cgroup| cgroup.deaths().killed);
        Ok(match (ended, killed > self.killed_before) {
            (Ended::Code(0), _) | (_, false) => exit(ended),
            (_, true) => Exit::OutOfMemory(self.process.cgroup.as_ref().map_or(0, |cgroup| cgroup.memory_bytes())),
        })
    }
}
