//! The sandbox as its caller sees it: snapshots are unpacked, steps run, changes adopted.

use crate::cgroup::{Cgroup, Limited};
use crate::last_used::mark_used;
use crate::process::{Process, describe, processes};
use crate::protection::Protection;
use crate::protocol::{Answer, Conversation, Ended, FrameReader, MAX_FRAME, Request, RunRequest, kind};
use crate::{Calls, CancellationToken, Changes, Error, Exit, FileInSnapshot, Settings, SnapshotId, Step, StepNetwork};
use rustix::event::{EventfdFlags, eventfd};
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Most bytes of a list of paths that the helper returns.
const MAX_LIST: usize = 64 * 1024 * 1024;
/// A confined helper process and what it holds; usable from several threads at once. It ends with its last copy.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) process: Arc<Process>,
}

/// The result of a step.
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// Its changes.
    pub changes: Changes,
    /// How its programs could call the kernel.
    pub calls: Calls,
    /// Whether the network that it could use ended before it did.
    pub network_lost: bool,
}

impl Sandbox {
    /// Starts the helper; `attempt` names its directory: letters, digits, `-` and `_`.
    pub fn start(settings: &Settings, attempt: &str) -> Result<Sandbox, Error> {
        Ok(Sandbox { process: Arc::new(Process::start(settings, attempt)?) })
    }

    /// Starts the network, which takes a while, before a step needs it; an error is reported by that step.
    pub fn begin_network(&self) {
        let _ = self.process.network();
    }

    /// Lets the network end, which takes a while: no further step is started.
    pub fn end_network(&self) {
        if let Some(Ok(Ok(network))) = self.process.network.get() {
            network.close();
        }
    }

    /// Returns whether a snapshot is on disk; it is about to be used then.
    pub fn has_snapshot(&self, id: &SnapshotId) -> bool {
        mark_used(&self.process.settings, id)
    }

    /// Unpacks the uncompressed tar of a layer as the snapshot `id`, which appears whole or not at all.
    ///
    /// A layer may hold files of directories that it does not describe: the layers below describe them. No
    /// snapshot is made then, and the directories are returned: their entries must come before those of the layer.
    pub fn unpack(&self, id: &SnapshotId, tar: &mut dyn Read) -> Result<Vec<Vec<u8>>, Error> {
        let limits = &self.process.settings.limits;
        let request = Request::Unpack { id: id.clone(), bytes: limits.layer_bytes, entries: limits.layer_entries };
        let mut conversation = self.process.ask(&request)?;
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let got = match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Input(error)),
            };
            if conversation.send(kind::DATA, &buffer[..got]).is_err() {
                // It gave up; its answer says why.
                return receive_list(&mut conversation);
            }
        }
        let _ = conversation.send(kind::END, &[]);
        receive_list(&mut conversation)
    }

    /// Runs a step; what it prints goes to `output` as it comes.
    pub fn run(&self, step: &Step, output: &mut dyn FnMut(&[u8]), cancel: &CancellationToken) -> Result<Ran, Error> {
        let process = &self.process;
        let (resolv_conf, missing) = match step.network {
            StepNetwork::Default => match process.network()? {
                Ok(network) => (network.resolv_conf.clone(), None),
                Err(reason) => (String::new(), Some(format!("slipway: steps have no network: {reason}\n"))),
            },
            StepNetwork::None => (String::new(), None),
        };
        if let Some(missing) = missing.as_ref().filter(|_| !process.told_of_network.swap(true, Ordering::Relaxed)) {
            output(missing.as_bytes());
        }
        let run = process.runs.fetch_add(1, Ordering::Relaxed);
        let before = process.cgroup.as_ref().map(Cgroup::deaths).unwrap_or_default();
        let changes = Changes::new(process.clone(), run);
        let agents = crate::agent::forward(step)?;
        let mut conversation = process.ask_with(&Request::Run(run), agents.as_ref())?;
        drop(agents);
        let calls = step.calls.or(process.settings.calls);
        let request = RunRequest {
            step: Step { calls, ..step.clone() },
            resolv_conf,
            disk: process.disk_limits(),
            processes: processes(process.cgroup.as_ref(), &process.settings),
            container: None,
        };
        conversation.send_value(&request).map_err(|_| Error::Gone)?;
        let exit = match follow(&mut conversation, output, cancel)? {
            None => Exit::Cancelled,
            Some(Ended::TimedOut) => Exit::TimedOut,
            Some(Ended::DiskFull(full)) => Exit::DiskFull(full),
            Some(Ended::Code(0)) => Exit::Code(0),
            // The killed process may have been a child of the command: only the count of kills tells.
            Some(ended) => match process.cgroup.as_ref().map(|cgroup| (cgroup, cgroup.deaths())) {
                Some((_, now)) if now.killed == before.killed => exit(ended),
                Some((cgroup, now)) if now.at_limit > before.at_limit => Exit::OutOfMemory(cgroup.memory_bytes()),
                // The build was within its own limit: the machine's memory, or that of a group around, was at an end.
                Some(_) => Exit::Killed,
                None => exit(ended),
            },
        };
        let network_lost =
            step.network == StepNetwork::Default && matches!(process.network(), Ok(Ok(network)) if network.has_ended());
        // A failed step may have needed one, and people read the end of its output.
        if let Some(missing) = missing.filter(|_| exit != Exit::Code(0)) {
            output(missing.as_bytes());
        }
        Ok(Ran { exit, changes, calls, network_lost })
    }

    /// Returns how much processor time everything in it used so far, where this machine counts that.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.process.cgroup.as_ref()?.cpu_time()
    }

    /// Returns which resources are limited on this machine.
    pub fn limited(&self) -> Limited {
        self.process.cgroup.as_ref().map(Cgroup::limited).unwrap_or_default()
    }

    /// Makes what a step changed the snapshot `id`, for other builds; nothing may use it meanwhile.
    pub fn adopt(&self, changes: &Changes, id: &SnapshotId) -> Result<(), Error> {
        self.process.simple(&Request::Rename(changes.snapshot(), id.clone()))
    }

    /// Returns the contents of files, one after the other.
    pub fn read_files(&self, files: &[FileInSnapshot]) -> Result<Box<dyn Read + Send>, Error> {
        let conversation = self.process.ask(&Request::ReadFiles)?;
        let (files, mut sending) =
            (files.to_vec(), conversation.try_clone().map_err(Error::system("copying a socket"))?);
        // The list may be longer than a socket takes at once, and its reader may already be writing.
        std::thread::spawn(move || {
            for batch in files.chunks(1000) {
                if sending.send_value(&batch).is_err() {
                    return;
                }
            }
            let _ = sending.send_value(&Vec::<FileInSnapshot>::new());
        });
        Ok(Box::new(FrameReader::new(conversation)))
    }

    /// Tries out inside what steps are confined by.
    pub(crate) fn self_test(&self) -> Result<Vec<Protection>, Error> {
        self.process.ask(&Request::SelfTest)?.receive_value().map_err(|_| Error::Gone)
    }

    /// Tries the network out; returns why steps have none, if they have none.
    pub(crate) fn missing_network(&self) -> Option<String> {
        match self.process.network() {
            Ok(network) => network.err().map(str::to_owned),
            Err(error) => Some(describe(&error)),
        }
    }

    /// Returns the limits of the attempt, where there are any.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.process.cgroup.as_ref()
    }

    /// Removes snapshots, and caches by the second of their last use; calls `out_of_reach` when the snapshots cannot be
    /// found any longer.
    pub(crate) fn evict(&self, ids: &[SnapshotId], used: Range<u64>, out_of_reach: impl FnOnce()) -> Result<(), Error> {
        let mut conversation = self.process.ask(&Request::Evict(ids.to_vec(), used))?;
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)??;
        out_of_reach();
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)?.map_err(Error::from)
    }
}

fn receive_list(conversation: &mut Conversation) -> Result<Vec<Vec<u8>>, Error> {
    let (mut list, mut bytes) = (Vec::new(), 0);
    loop {
        let paths: Vec<Vec<u8>> = conversation.receive_value::<Answer<_>>().map_err(|_| Error::Gone)??;
        if paths.is_empty() {
            return Ok(list);
        }
        // A helper that was taken over must not fill the memory of the service.
        bytes += paths.iter().map(Vec::len).sum::<usize>();
        if bytes > MAX_LIST {
            return Err(Error::Gone);
        }
        list.extend(paths);
    }
}

/// Returns how a process ended.
pub(crate) fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Exit::Signal(signal),
        Ended::Killed => Exit::Killed,
        Ended::TimedOut => Exit::TimedOut,
        Ended::DiskFull(full) => Exit::DiskFull(full),
    }
}

/// Passes a step's output on until it ends; `None` if it was cancelled.
pub(crate) fn follow(
    conversation: &mut Conversation,
    output: &mut dyn FnMut(&[u8]),
    cancel: &CancellationToken,
) -> Result<Option<Ended>, Error> {
    let waiting = |error: rustix::io::Errno| Error::system("waiting for a step")(error.into());
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(waiting)?;
    let waker = wake.try_clone().map_err(Error::system("waiting for a step"))?;
    // The counter of an eventfd stays readable, so one write is enough whenever it comes.
    let _registration = cancel.on_cancel(move || {
        let _ = rustix::io::write(&waker, &1_u64.to_ne_bytes());
    });
    let mut buffer = Vec::new();
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        if !conversation.is_ready_before(wake.as_fd()).map_err(Error::system("waiting for a step"))? {
            continue;
        }
        match conversation.receive(&mut buffer).map_err(|_| Error::Gone)? {
            kind::DATA => output(&buffer),
            _ => {
                let answer: Answer<Ended> = serde_json::from_slice(&buffer).map_err(|_| Error::Gone)?;
                return Ok(Some(answer?));
            }
        }
    }
}
