//! The helper process of a sandbox: started, asked, and cleaned up after.

use crate::cgroup::{self, Cgroup};
use crate::network::Network;
use crate::protocol::{Answer, Conversation, DiskLimits, HELPER, Request, control_pair, send_with};
use crate::unique::unique;
use crate::{Error, Settings};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Start of the names of attempts that only clean up.
pub(crate) const SWEEPER: &str = "sweep-";
/// Attempts whose processes there is room for where only those of an account are counted, not those of an attempt.
const ATTEMPTS: u32 = 4;
/// How long the helper may take to clean up before it is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a child is asked after where no descriptor is left to wait with.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The helper, shared by the sandbox and the changes of its steps; it ends with the last of them.
pub(crate) struct Process {
    pub settings: Settings,
    pub attempt: String,
    control: Mutex<Option<OwnedFd>>,
    helper: Mutex<Child>,
    helper_id: u32,
    pub network: OnceLock<Result<Result<Network, &'static str>, String>>,
    network_starting: Mutex<()>,
    pub told_of_network: AtomicBool,
    pub cgroup: Option<Cgroup>,
    pub runs: AtomicU64,
}

impl Process {
    /// Starts the helper; `attempt` names its directory: letters, digits, `-` and `_`.
    pub(crate) fn start(settings: &Settings, attempt: &str) -> Result<Process, Error> {
        let (here, there) = control_pair().map_err(|error| Error::system("creating a socket")(error.into()))?;
        let cgroup = Cgroup::create(attempt, &settings.limits);
        let mut helper = Command::new("/proc/self/exe")
            .arg0(HELPER)
            // A signal of the terminal to the group of this process must not reach the sandbox: its build may go on.
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
        if let Err(error) = prepare(&here, settings, id, cgroup.as_ref()) {
            let _ = helper.kill();
            let _ = helper.wait();
            return Err(error);
        }
        Ok(Process {
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
        })
    }

    /// Starts a conversation.
    pub(crate) fn ask(&self, request: &Request) -> Result<Conversation, Error> {
        self.ask_with(request, None)
    }

    /// Starts a conversation; `agents` goes along with the request.
    pub(crate) fn ask_with(&self, request: &Request, agents: Option<&OwnedFd>) -> Result<Conversation, Error> {
        let (here, there) = Conversation::pair().map_err(Error::system("creating a socket"))?;
        let bytes =
            serde_json::to_vec(request).map_err(|error| Error::Inside(format!("asked for something: {error}")))?;
        let descriptors: Vec<_> = [Some(&there), agents].into_iter().flatten().map(AsFd::as_fd).collect();
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let control = control.as_ref().ok_or(Error::Gone)?;
        send_with(control, &bytes, &descriptors).map_err(|_| Error::Gone)?;
        Ok(here)
    }

    /// Returns what a step may leave on disk.
    pub(crate) fn disk_limits(&self) -> DiskLimits {
        let limits = &self.settings.limits;
        DiskLimits { bytes: limits.disk_bytes, files: limits.disk_files, reserve: limits.reserve_bytes }
    }

    /// Makes a request that is answered with success or an error only.
    pub(crate) fn simple(&self, request: &Request) -> Result<(), Error> {
        let mut conversation = self.ask(request)?;
        conversation.receive_value::<Answer<()>>().map_err(|_| Error::Gone)?.map_err(Error::from)
    }

    /// Returns the network of the attempt, started on first use.
    pub(crate) fn network(&self) -> Result<Result<&Network, &'static str>, Error> {
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

/// Returns an error with its cause.
pub(crate) fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The helper cleans up and exits when the control socket closes.
        self.control.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The network takes longest to end: it ends beside the helper.
        if let Some(Ok(Ok(network))) = self.network.get() {
            network.close();
        }
        let helper = self.helper.get_mut().unwrap_or_else(PoisonError::into_inner);
        if has_exited(helper, EXIT_TIMEOUT) {
            let _ = helper.wait();
        } else {
            tracing::warn!("the sandbox process does not exit; killing it");
            let _ = helper.kill();
            let _ = helper.wait();
        }
        // A helper that was killed could not clean up.
        let work = self.settings.state.join(crate::step::work_directory(&self.attempt));
        if work.exists() && !self.attempt.starts_with(SWEEPER) {
            tracing::warn!(attempt = %self.attempt, "the sandbox process was killed; removing its leftovers");
            if let Err(error) = sweep(&self.settings) {
                tracing::warn!(error = %describe(&error), "cannot remove the leftovers of a sandbox");
            }
        }
    }
}

/// Waits until a child has exited, at most for `timeout`; returns whether it has.
fn has_exited(child: &mut Child, timeout: Duration) -> bool {
    let process = rustix::process::Pid::from_child(child);
    let deadline = Instant::now() + timeout;
    let Ok(handle) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) else {
        // No descriptor is left: asking needs none.
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        return false;
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(ready) => return ready > 0,
            Err(_) => return false,
        }
    }
}

/// Removes directories and control groups of attempts whose processes are gone.
pub fn sweep(settings: &Settings) -> Result<(), Error> {
    cgroup::sweep();
    let work = settings.state.join("w");
    let empty = std::fs::read_dir(&work).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    // Only the sandbox's own ids may touch what steps left there.
    Process::start(settings, &format!("{SWEEPER}{}", unique()))?.simple(&Request::Sweep)
}

/// Returns how many processes a user of the sandbox may have, where no control group counts them.
pub(crate) fn processes(cgroup: Option<&Cgroup>, settings: &Settings) -> Option<u32> {
    let counted = cgroup.is_some_and(|cgroup| cgroup.limited().pids);
    settings.limits.pids.filter(|_| !counted)
}

/// Gives the helper its ids and limits; it waits for that.
fn prepare(control: &OwnedFd, settings: &Settings, id: u32, cgroup: Option<&Cgroup>) -> Result<(), Error> {
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
