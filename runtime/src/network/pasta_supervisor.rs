//! The supervisor of `pasta`: a process that starts it and the router, and ends both when the process that uses the
//! network is gone, however that happens.

use super::limits::MAX_CONNECTIONS;
use super::pasta::{Target, accounts, find, owner};
use super::router::{self, Setup};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{ForkResult, Pid, fork};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

/// Name of the program when it supervises a network.
pub(crate) const PASTA_SUPERVISOR: &str = "slipway-network";
/// Message of the supervisor when steps can use the network.
pub(super) const READY: &str = "ready";
/// How long `pasta` may take to connect; it usually takes 10 ms.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of what `pasta` said that are passed on.
const MAX_SAID: u64 = 2000;

/// Supervises a network until the pipe from the process that wants it closes, however that process ends.
pub(crate) fn supervise() -> ! {
    let id = std::env::args().nth(1).unwrap_or_default();
    // Whatever the caller left open, neither the supervisor nor pasta should hold it.
    let _ = crate::descriptors::close_from(3);
    let outcome = Supervisor::start(&id).and_then(|mut supervisor| {
        supervisor.connect()?;
        Ok(supervisor)
    });
    let said = outcome.as_ref().map_or_else(String::as_str, |_| READY);
    let _ = io::stdout().write_all(said.as_bytes()).and_then(|()| io::stdout().flush());
    if let Ok(null) = File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
    }
    if let Ok(mut supervisor) = outcome {
        supervisor.hold();
    }
    std::process::exit(0)
}

/// The processes of a network; they end with it.
struct Supervisor {
    /// Words of the router.
    reports: BufReader<PipeReader>,
    /// The namespaces that pasta connects: of users, and the outer one of the network.
    namespaces: [String; 2],
    handles: [io::Result<File>; 2],
    program: PathBuf,
    /// Accounts that pasta may run as, the best first.
    accounts: Vec<Option<u32>>,
    version_6: bool,
    pasta: Option<Child>,
    router: Pid,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(pasta) = &mut self.pasta {
            let _ = pasta.kill();
            let _ = pasta.wait();
        }
        let _ = nix::sys::signal::kill(self.router, nix::sys::signal::Signal::SIGKILL);
    }
}

impl Supervisor {
    /// Starts the router for the sandbox of the process `id`.
    fn start(id: &str) -> Result<Supervisor, String> {
        let failed = |error: io::Error| format!("starting the network of the sandbox: {error}");
        let open = |kind| File::open(format!("/proc/{id}/ns/{kind}")).map_err(failed);
        let version_6 = public_version_6(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
        let program = find().ok_or("`pasta` is missing: install the package `passt`")?;
        let (user, inner) = (open("user")?, open("net")?);
        let setup = Setup { owner: owner(&user), user, inner, version_6 };
        let (reports, report) = io::pipe().map_err(failed)?;
        // SAFETY: the process has one thread.
        let router = match unsafe { fork() }.map_err(|error| failed(error.into()))? {
            ForkResult::Child => {
                drop(reports);
                become_router(&setup, OwnedFd::from(report).into())
            }
            ForkResult::Parent { child } => child,
        };
        drop(report);
        let namespaces = ["user", "net"].map(|kind| format!("/proc/{router}/ns/{kind}"));
        let handles = [Err(io::ErrorKind::NotFound.into()), Err(io::ErrorKind::NotFound.into())];
        // The router is at work meanwhile.
        let accounts = accounts(setup.owner);
        let reports = BufReader::new(reports);
        let mut supervisor =
            Supervisor { reports, namespaces, handles, program, accounts, version_6, pasta: None, router };
        supervisor.wait_for("namespace")?;
        supervisor.handles = supervisor.namespaces.each_ref().map(|path| inherited(path));
        Ok(supervisor)
    }

    /// Starts `pasta` and waits until it has connected the outer namespace.
    fn connect(&mut self) -> Result<(), String> {
        // A file for each connection: those that are too many are refused, and the builds of others have theirs.
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let files = u64::from(MAX_CONNECTIONS).min(most);
            let _ = setrlimit(Resource::RLIMIT_NOFILE, files, files);
        }
        let program = self.program.display().to_string();
        let by_handle = self.handles.each_ref().map(|handle| match handle {
            Ok(handle) => format!("/proc/self/fd/{}", handle.as_raw_fd()),
            Err(_) => String::new(),
        });
        let mut said = String::new();
        for runas in self.accounts.clone() {
            // New versions close what they inherit; old ones as root may not look at the namespaces of other ids.
            for [user, net] in [self.namespaces.clone(), by_handle.clone()] {
                let target = Target { user, net, runas, version_6: self.version_6 };
                let started = target.command(&self.program).spawn();
                let pasta = started.map_err(|error| format!("`{program}` cannot be started: {error}"))?;
                match self.wait_for_pasta(pasta)? {
                    None => return Ok(()),
                    Some(ended) => said = ended,
                }
            }
        }
        Err(format!("`{program}`, which connects steps to the network, ends at once: {said}"))
    }

    /// Returns what a `pasta` said that ended; nothing if it has connected.
    fn wait_for_pasta(&mut self, mut pasta: Child) -> Result<Option<String>, String> {
        let failed = |error: io::Error| format!("waiting for `pasta`: {error}");
        let mut complaints = pasta.stderr.take();
        let process = rustix::process::Pid::from_child(&pasta);
        let handle = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty());
        self.pasta = Some(pasta);
        let handle = handle.map_err(|error| failed(error.into()))?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [
                PollFd::new(self.reports.get_ref().as_fd(), PollFlags::POLLIN),
                PollFd::new(handle.as_fd(), PollFlags::POLLIN),
            ];
            let ready = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
            let [told, ended] = fds.map(|fd| fd.any() == Some(true));
            if told {
                self.wait_for(READY)?;
                std::thread::spawn(move || complaints.map(|mut text| io::copy(&mut text, &mut io::sink())));
                return Ok(None);
            }
            if ended {
                return Ok(Some(self.last_words(complaints.as_mut())));
            }
            if ready == Ok(0) {
                let seconds = TIMEOUT.as_secs();
                return Err(format!("`pasta` does not connect the sandbox within {seconds} s"));
            }
        }
    }

    /// Returns how `pasta` ended, and what it said.
    fn last_words(&mut self, complaints: Option<&mut ChildStderr>) -> String {
        let status = self.pasta.take().and_then(|mut pasta| pasta.wait().ok());
        let mut said = Vec::new();
        if let Some(complaints) = complaints {
            // Somebody else may hold the pipe: what is not there yet is not waited for.
            let _ = rustix::io::ioctl_fionbio(&complaints, true);
            let _ = complaints.take(MAX_SAID).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| is_complaint(line)).collect();
        match (lines.first(), status) {
            (Some(line), _) => (*line).to_owned(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "it says nothing".to_owned(),
        }
    }

    /// Waits until the router says `word`; returns what went wrong if it says something else.
    fn wait_for(&mut self, word: &str) -> Result<(), String> {
        let mut line = String::new();
        match self.reports.read_line(&mut line) {
            Ok(0) => Err("the network of the sandbox ended".to_owned()),
            Ok(_) if line.trim_end() == word => Ok(()),
            Ok(_) => Err(line.trim_end().to_owned()),
            Err(error) => Err(format!("starting the network of the sandbox: {error}")),
        }
    }

    /// Keeps the network until its user is gone, or the router, which denies addresses that this machine gets later.
    fn hold(&mut self) {
        let input = io::stdin();
        // Without pasta there is no network: the exit of this process signals that.
        let pasta = self.pasta.as_ref().map(rustix::process::Pid::from_child);
        let pasta = pasta.and_then(|id| rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).ok());
        loop {
            // Nothing is read: what is on the pipe is the router's. Its end is told in any case.
            let mut fds = vec![
                PollFd::new(input.as_fd(), PollFlags::empty()),
                PollFd::new(self.reports.get_ref().as_fd(), PollFlags::empty()),
            ];
            fds.extend(pasta.iter().map(|pasta| PollFd::new(pasta.as_fd(), PollFlags::POLLIN)));
            let _ = poll(&mut fds, PollTimeout::NONE);
            if fds.iter().any(|fd| fd.any() == Some(true)) {
                return;
            }
        }
    }
}

fn become_router(setup: &Setup, mut report: File) -> ! {
    if let Ok(null) = File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
    }
    if let Err(reason) = router::run(setup, &mut report) {
        let _ = writeln!(report, "{}", reason.replace('\n', " "));
    }
    // SAFETY: ends the process without running anything of the one it was forked from.
    unsafe { nix::libc::_exit(0) }
}

/// Opens a file so that programs started from here have it too.
fn inherited(path: &str) -> io::Result<File> {
    let file = File::open(path)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

/// Returns whether a line of `pasta` is about what went wrong.
fn is_complaint(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("Failed to send")
}

/// Returns whether `if_inet6`, the kernel's list of interfaces, has a public address.
fn public_version_6(if_inet6: &str) -> bool {
    if_inet6.lines().any(|line| line.starts_with(['2', '3']))
}

#[cfg(test)]
mod tests {
    use super::public_version_6;

    #[test]
    fn only_public_addresses_of_version_6_count() {
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let local = "fe8000000000000000fc00fffe000001 02 40 20 80     eth0\nfd000000000000000000000000000002 02 40 00 80 eth0\n";
        assert!(!public_version_6(&format!("{loopback}{local}")));
        assert!(public_version_6(&format!("{loopback}20010db8000000000000000000000001 02 40 00 80 eth0\n")));
    }
}
