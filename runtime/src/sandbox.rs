//! The caller's side: starts the helper, asks it to do things, cleans up when it is dropped.

use crate::cgroup::Cgroup;
use crate::container::exit;
use crate::network::Network;
use crate::protocol::{
    Answer, Conversation, DiskLimits, Ended, FrameReader, MAX_FRAME, Request, RunRequest, control_pair, kind, send_with,
};
use crate::self_test::Protection;
use crate::usage::Usage;
use crate::{Calls, Cancel, Changes, Error, Exit, FileInSnapshot, Settings, SnapshotId, Step, StepNetwork};
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Name by which the program knows that it is a sandbox.
pub(crate) const HELPER: &str = "slipway-sandbox";
/// Start of the names of attempts that only clean up.
pub(crate) const SWEEPER: &str = "sweep-";
/// How often a running step is checked for cancellation.
const LOOK: Duration = Duration::from_millis(100);
/// Most bytes of a list of paths that the helper returns.
const MAX_LIST: usize = 64 * 1024 * 1024;
/// Attempts whose processes there is room for where only those of an account are counted, not those of an attempt.
const ATTEMPTS: u32 = 4;
/// How long the helper may take to clean up before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A confined helper process and what it holds; usable from several threads at once.
pub struct Sandbox {
    pub(crate) inner: Arc<Inner>,
}

/// What the sandbox and the changes of its steps share: it ends with the last of them.
pub(crate) struct Inner {
    pub settings: Settings,
    pub attempt: String,
    control: Mutex<Option<OwnedFd>>,
    helper: Mutex<Child>,
    helper_id: u32,
    network: OnceLock<Result<Result<Network, &'static str>, String>>,
    network_starting: Mutex<()>,
    told_of_network: AtomicBool,
    pub cgroup: Option<Cgroup>,
    runs: AtomicU64,
}

/// What became of a step.
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// What it changed.
    pub changes: Changes,
    /// How its programs could call the kernel.
    pub calls: Calls,
    /// Whether the network that it could use ended before it did.
    pub network_lost: bool,
}

impl Sandbox {
    /// Starts the helper; `attempt` names its directory: letters, digits, `-` and `_`.
    pub fn start(settings: &Settings, attempt: &str) -> Result<Sandbox, Error> {
        let (here, there) = control_pair().map_err(|error| Error::system("creating a socket")(error.into()))?;
        let cgroup = Cgroup::create(attempt, &settings.limits);
        let mut helper = Command::new("/proc/self/exe")
            .arg0(HELPER)
            // What a terminal sends to the group of this process is not for the sandbox: its build may go on.
            .process_group(0)
            .arg(attempt)
            .args(processes(cgroup.as_ref(), settings).map(|most| most.saturating_mul(ATTEMPTS).to_string()))
            .current_dir(&settings.state)
            .env_clear()
            .stdin(Stdio::from(there))
            .stdout(Stdio::null())
            .spawn()
            .map_err(Error::system("starting the sandbox process"))?;
        let id = helper.id();
        if let Err(error) = prepare(&here, settings, (id, cgroup.as_ref())) {
            let _ = helper.kill();
            let _ = helper.wait();
            return Err(error);
        }
        let inner = Inner {
            settings: settings.clone(),
            attempt: attempt.to_owned(),
            control: Mutex::new(Some(here)),
            helper: Mutex::new(helper),
            helper_id: id,
            network: OnceLock::new(),
            network_starting: Mutex::new(()),
            told_of_network: AtomicBool::new(false),
            cgroup,
            runs: AtomicU64::new(1),
        };
        Ok(Sandbox { inner: Arc::new(inner) })
    }

    /// Starts the network, which takes a while, before a step asks for it; what goes wrong is that step's to say.
    pub fn begin_network(&self) {
        let _ = self.inner.network();
    }

    /// Lets the network end, which takes a while: no step is started any more.
    pub fn end_network(&self) {
        if let Some(Ok(Ok(network))) = self.inner.network.get() {
            network.close();
        }
    }

    /// Tells whether a snapshot is on disk; it is about to be used then.
    pub fn has_snapshot(&self, id: &SnapshotId) -> bool {
        let state = &self.inner.settings.state;
        let exists = || state.join(id.directory()).symlink_metadata().is_ok_and(|known| known.is_dir());
        Usage::beside(state).mark(id, exists)
    }

    /// Unpacks the uncompressed tar of a layer as the snapshot `id`, which appears whole or not at all.
    ///
    /// A layer may hold files of directories that it does not describe: what those are like, the layers below say. There
    /// is no snapshot then, and the directories are returned: their entries must come before those of the layer.
    pub fn unpack(&self, id: &SnapshotId, tar: &mut dyn Read) -> Result<Vec<Vec<u8>>, Error> {
        let limits = &self.inner.settings.limits;
        let request = Request::Unpack { id: id.clone(), bytes: limits.layer_bytes, entries: limits.layer_entries };
        let mut conversation = self.inner.ask(&request)?;
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
    pub fn run(&self, step: &Step, output: &mut dyn FnMut(&[u8]), cancel: &Cancel) -> Result<Ran, Error> {
        let inner = &self.inner;
        let (resolv_conf, missing) = match step.network {
            StepNetwork::Default => match inner.network()? {
                Ok(network) => (network.resolv_conf.clone(), None),
                Err(reason) => (String::new(), Some(format!("slipway: steps have no network: {reason}\n"))),
            },
            StepNetwork::None => (String::new(), None),
        };
        if let Some(missing) = missing.as_ref().filter(|_| !inner.told_of_network.swap(true, Ordering::Relaxed)) {
            output(missing.as_bytes());
        }
        let run = inner.runs.fetch_add(1, Ordering::Relaxed);
        let before = inner.cgroup.as_ref().map(Cgroup::deaths).unwrap_or_default();
        let changes = Changes::new(inner.clone(), run);
        let agents = crate::agent::forward(step)?;
        let mut conversation = inner.ask_with(&Request::Run(run), agents.as_ref())?;
        drop(agents);
        let calls = step.calls.or(inner.settings.calls);
        let request = RunRequest {
            step: Step { calls, ..step.clone() },
            resolv_conf,
            disk: inner.disk_limits(),
            processes: processes(inner.cgroup.as_ref(), &inner.settings),
            container: None,
        };
        conversation.send_value(&request).map_err(|_| Error::Gone)?;
        let exit = match follow(&mut conversation, output, cancel)? {
            None => Exit::Cancelled,
            Some(Ended::TimedOut) => Exit::TimedOut,
            Some(Ended::DiskFull(full)) => Exit::DiskFull(full),
            Some(Ended::Code(0)) => Exit::Code(0),
            // What was killed may have been a child of the command: only the count of kills tells.
            Some(ended) => match inner.cgroup.as_ref().map(|cgroup| (cgroup, cgroup.deaths())) {
                Some((_, now)) if now.killed == before.killed => exit(ended),
                Some((cgroup, now)) if now.at_limit > before.at_limit => Exit::OutOfMemory(cgroup.memory_bytes()),
                // The build was within its own limit: the machine's memory, or that of a group around, was at an end.
                Some(_) => Exit::Killed,
                None => exit(ended),
            },
        };
        let network_lost =
            step.network == StepNetwork::Default && matches!(inner.network(), Ok(Ok(network)) if network.has_ended());
        // What failed may have wanted one, and the end of its output is what people read.
        if let Some(missing) = missing.filter(|_| exit != Exit::Code(0)) {
            output(missing.as_bytes());
        }
        Ok(Ran { exit, changes, calls, network_lost })
    }

    /// Returns how much processor time everything in it used so far, where this machine counts that.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.inner.cgroup.as_ref()?.cpu_time()
    }

    /// Makes what a step changed the snapshot `id`, for other builds; nothing may use it meanwhile.
    pub fn adopt(&self, changes: &Changes, id: &SnapshotId) -> Result<(), Error> {
        self.inner.simple(&Request::Rename(changes.snapshot(), id.clone()))
    }

    /// Returns the contents of files, one after the other.
    pub fn read_files(&self, files: &[FileInSnapshot]) -> Result<Box<dyn Read + Send>, Error> {
        let conversation = self.inner.ask(&Request::ReadFiles)?;
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
        self.inner.ask(&Request::SelfTest)?.receive_value().map_err(|_| Error::Gone)
    }

    /// Tries the network out; returns why steps have none, if they have none.
    pub(crate) fn missing_network(&self) -> Option<String> {
        match self.inner.network() {
            Ok(network) => network.err().map(str::to_owned),
            Err(error) => Some(describe(&error)),
        }
    }

    /// Returns the limits of the attempt, where there are any.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.inner.cgroup.as_ref()
    }

    /// Removes snapshots, and caches by the second of their last use; calls `out_of_reach` when nobody can find the
    /// snapshots any more.
    pub(crate) fn forget(
        &self,
        ids: &[SnapshotId],
        used: Range<u64>,
        out_of_reach: impl FnOnce(),
    ) -> Result<(), Error> {
        let mut conversation = self.inner.ask(&Request::Forget(ids.to_vec(), used))?;
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)??;
        out_of_reach();
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)?.map_err(Error::from)
    }

    /// Removes what attempts left behind whose helper is gone.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        self.inner.simple(&Request::Sweep)
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

/// Returns how many processes a user of the sandbox may have, where no control group counts them.
pub(crate) fn processes(cgroup: Option<&Cgroup>, settings: &Settings) -> Option<u32> {
    let counted = cgroup.is_some_and(|cgroup| cgroup.limited().pids);
    settings.limits.pids.filter(|_| !counted)
}

/// Passes a step's output on until it ends; `None` if it was cancelled.
fn follow(
    conversation: &mut Conversation,
    output: &mut dyn FnMut(&[u8]),
    cancel: &Cancel,
) -> Result<Option<Ended>, Error> {
    let mut buffer = Vec::new();
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        if !conversation.is_ready(LOOK).map_err(Error::system("waiting for a step"))? {
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

/// Gives the helper its ids and limits; it waits for that.
fn prepare(control: &OwnedFd, settings: &Settings, (id, cgroup): (u32, Option<&Cgroup>)) -> Result<(), Error> {
    let mut byte = [0];
    let asked = nix::unistd::read(control, &mut byte)
        .map_err(|error| Error::system("waiting for the sandbox process")(error.into()))?;
    if asked == 0 {
        return Err(Error::Unsupported(
            "this machine lets slipway make no user namespaces: check the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns".into(),
        ));
    }
    settings.ids.map(id)?;
    if let Some(cgroup) = cgroup {
        cgroup.add(id)?;
    }
    nix::unistd::write(control, b"g").map_err(|error| Error::system("starting the sandbox process")(error.into()))?;
    let ready = nix::unistd::read(control, &mut byte)
        .map_err(|error| Error::system("waiting for the sandbox process")(error.into()))?;
    if ready == 0 {
        return Err(Error::Unsupported(
            "the sandbox process could not set up its namespaces; its message is on standard error".into(),
        ));
    }
    Ok(())
}

impl Inner {
    /// Starts a conversation.
    pub fn ask(&self, request: &Request) -> Result<Conversation, Error> {
        self.ask_with(request, None)
    }

    /// Starts a conversation; `agents` goes along with the request.
    pub fn ask_with(&self, request: &Request, agents: Option<&OwnedFd>) -> Result<Conversation, Error> {
        let (here, there) = Conversation::pair().map_err(Error::system("creating a socket"))?;
        let bytes =
            serde_json::to_vec(request).map_err(|error| Error::Inside(format!("asked for something: {error}")))?;
        let descriptors: Vec<_> = [Some(&there), agents].into_iter().flatten().map(AsFd::as_fd).collect();
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let control = control.as_ref().ok_or(Error::Gone)?;
        send_with(control, &bytes, &descriptors).map_err(|_| Error::Gone)?;
        Ok(here)
    }

    pub fn disk_limits(&self) -> DiskLimits {
        let limits = &self.settings.limits;
        DiskLimits { bytes: limits.disk_bytes, files: limits.disk_files, reserve: limits.reserve_bytes }
    }

    pub fn simple(&self, request: &Request) -> Result<(), Error> {
        let mut conversation = self.ask(request)?;
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)?.map_err(Error::from)
    }

    /// Returns the network of the attempt, started on first use.
    pub fn network(&self) -> Result<Result<&Network, &'static str>, Error> {
        let _starting = self.network_starting.lock().unwrap_or_else(PoisonError::into_inner);
        let started = self
            .network
            .get_or_init(|| Network::start(self.helper_id, &self.settings.network).map_err(|error| describe(&error)));
        match started {
            Ok(network) => Ok(network.as_ref().map_err(|reason| *reason)),
            Err(text) => Err(Error::Unsupported(text.clone())),
        }
    }
}

fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The helper cleans up and ends when nobody can ask it for anything any more.
        self.control.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The network takes longest to end: it ends beside the helper.
        if let Some(Ok(Ok(network))) = self.network.get() {
            network.close();
        }
        let helper = self.helper.get_mut().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        while matches!(helper.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                tracing::warn!("the sandbox process does not end; it is killed");
                let _ = helper.kill();
                let _ = helper.wait();
                break;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
        // A helper that was killed could not clean up.
        let work = self.settings.state.join(crate::step::work_directory(&self.attempt));
        if work.exists() && !self.attempt.starts_with(SWEEPER) {
            tracing::warn!(attempt = %self.attempt, "the sandbox process was killed; what it left is removed");
            if let Err(error) = crate::sweep(&self.settings) {
                tracing::warn!(error = %describe(&error), "what a sandbox left is not removed");
            }
        }
    }
}
