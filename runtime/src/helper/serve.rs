//! The first process of the sandbox: takes requests, serves each in a process of its own, cleans up at the end.

use super::fatal::die;
use super::redundant_changes::RedundantChanges;
use super::stream::stream;
use super::{
    container, copy, diff, evict, exec, export, fast_directory, files, isolated_root, loopback, owner, remove, rename,
    run, seccomp, self_test, unpack, usage, volume,
};
use crate::error::HelperError;
use crate::protocol::{Answer, Asked, Conversation, PATHS, Request, receive_request};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// How long another process may hold the lock of an attempt that starts.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The first process of the sandbox: serves requests until the caller is gone, then cleans up.
pub(crate) fn first_process(control: &OwnedFd, attempt: &str) -> ! {
    // The end of the outer process ends all of the sandbox.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let place = match prepare(attempt) {
        Ok(place) => place,
        Err(error) => die("preparing the sandbox", error),
    };
    let filters = seccomp::compile(owner::mapped_ids());
    let _ = nix::unistd::write(control, b"r");
    let helper = Helper { work: place.work.clone(), filters };
    // The exit status of a handler is never read: the kernel need not keep it.
    // SAFETY: no handler of this process is replaced.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    loop {
        match receive_request(control) {
            Ok(Some(asked)) => helper.serve(asked, control),
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // Everybody else in the namespace goes first, or it could add files while they are removed.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
    let _ = remove::tree(&place.work);
    let _ = fs::remove_file(format!("{}.lock", place.work));
    std::process::exit(0)
}

/// The attempt's directory, held by a lock as long as the sandbox lives.
struct Place {
    work: String,
    _lock: fs::File,
}

fn prepare(attempt: &str) -> io::Result<Place> {
    let valid =
        !attempt.is_empty() && attempt.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !valid {
        return Err(io::Error::other("an attempt is named by letters, digits, `-` and `_`"));
    }
    isolated_root::enter()?;
    loopback::up()?;
    // Mount options hold at most a page: short paths leave room for many layers.
    let work = crate::step::work_directory(attempt);
    let lock = lock(&format!("{work}.lock"))?
        .ok_or_else(|| io::Error::other(format!("attempt `{attempt}` is under way already")))?;
    fast_directory::clear(&work)?;
    fast_directory::create(&work)?;
    Ok(Place { work, _lock: lock })
}

/// Creates and locks a file; `None` if another process holds it.
///
/// Until it is locked it looks like a leftover to a sweep, which holds it for a moment and removes it.
fn lock(path: &str) -> io::Result<Option<fs::File>> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        let file = fs::File::create(path)?;
        let held = file.try_lock().is_ok();
        if held && file.metadata()?.nlink() > 0 {
            return Ok(Some(file));
        }
        if !held {
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// State that requests are served with.
struct Helper {
    work: String,
    filters: seccomp::Filters,
}

impl Helper {
    /// Serves a request in a process of its own.
    fn serve(&self, asked: Asked, control: &OwnedFd) {
        // SAFETY: the helper has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                // A handler that held the control socket would keep the helper from seeing its end.
                let _ = nix::unistd::dup2_stdin(fs::File::open("/dev/null").unwrap_or_else(|_| std::process::exit(1)));
                let _ = nix::unistd::close(control.as_raw_fd());
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
                // SAFETY: no handler of this process is replaced.
                let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
                let _ = self.handle(asked);
                std::process::exit(0)
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(error) => {
                let mut conversation = asked.conversation;
                let _ = conversation
                    .send_value(&Answer::<()>::Err(HelperError::Inside(format!("starting a process: {error}"))));
            }
        }
    }

    fn handle(&self, asked: Asked) -> io::Result<()> {
        let Asked { request, mut conversation, agents } = asked;
        let run = |number: u64| format!("{}/{number}", self.work);
        let answer: Answer<()> = match request {
            Request::Unpack { id, bytes, entries } => {
                let temporary = format!("{}/unpack-{}", self.work, std::process::id());
                let implied =
                    unpack::layer(&mut conversation, &temporary, &id.directory(), &unpack::Limits { bytes, entries });
                return send_list(&mut conversation, implied);
            }
            Request::Run(number) => return run::serve(&run(number), &self.filters, conversation, agents),
            Request::RunContainer(id) => {
                let directory = container::prepare(&id);
                return run::serve(&directory, &self.filters, conversation, agents);
            }
            Request::Exec(id) => return exec::serve(&id, &self.filters, conversation, agents),
            Request::Signal(id, signal) => container::signal(&id, signal),
            Request::Freeze(id, freeze) => container::freeze(&id, freeze),
            Request::Connect(id, port) => container::connect(&id, port, agents),
            Request::WriteContainer(id) => {
                return stream(&mut conversation, |out| diff::write(&id.directory(), None, out));
            }
            Request::ExportContainer(id) => return stream(&mut conversation, |out| export::write(&id, out)),
            Request::MeasureContainer(id) => return conversation.send_value(&container::measure(&id)),
            Request::Usage(id) => return conversation.send_value(&usage::of(&id)),
            Request::ListChanges(id) => return stream(&mut conversation, |out| diff::list(&id.directory(), out)),
            Request::CopyOut(id) => return copy::send(&id, conversation),
            Request::CopyIn(id) => return copy::receive(&id, conversation),
            Request::Processes(id) => return conversation.send_value(&container::processes(&id)),
            Request::RemoveContainer(id) => container::remove(&id),
            Request::MeasureVolume(name) => return conversation.send_value(&volume::measure(&name)),
            Request::RemoveVolume(name) => volume::remove(&name),
            Request::WriteTar(number, latest) => {
                return stream(&mut conversation, |out| diff::write(&run(number), latest, out));
            }
            Request::Rename(from, to) => adopt(&from.directory(), &to.directory()),
            Request::Discard(number) => {
                remove::tree(&run(number)).map_err(HelperError::inside("removing what a step left"))
            }
            Request::ReadFiles => return files::serve(conversation),
            Request::Evict(snapshots, used) => {
                return evict::serve(&mut conversation, &self.work, &snapshots, &used);
            }
            Request::Sweep => sweep(),
            Request::SelfTest => {
                return conversation.send_value(&self_test::all(&format!("{}/self-test", self.work), &self.filters));
            }
        };
        conversation.send_value(&answer)
    }
}

/// Sends a list that may be longer than a frame holds, and an empty one at its end.
fn send_list(conversation: &mut Conversation, list: Answer<Vec<Vec<u8>>>) -> io::Result<()> {
    match list {
        Err(error) => conversation.send_value(&Answer::<Vec<Vec<u8>>>::Err(error)),
        Ok(list) => {
            for paths in list.chunks(PATHS) {
                conversation.send_value(&Answer::Ok(paths))?;
            }
            conversation.send_value(&Answer::<Vec<Vec<u8>>>::Ok(Vec::new()))
        }
    }
}

/// Makes the changes `from` of a run the snapshot `to` of the layer that was written of them.
fn adopt(from: &str, to: &str) -> Answer<()> {
    let run = from.strip_suffix("/u").unwrap_or(from);
    RedundantChanges::remove(run).map_err(HelperError::inside("making the changes of a step a snapshot"))?;
    rename::snapshot(from, to)
}

/// Removes directories of attempts whose lock is free.
fn sweep() -> Answer<()> {
    let entries = fs::read_dir("w").map_err(HelperError::inside("listing attempts"))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(attempt) = name.strip_suffix(".lock") else { continue };
        let Ok(lock) = fs::File::open(entry.path()) else { continue };
        if lock.try_lock().is_ok() {
            fast_directory::clear(&format!("w/{attempt}")).map_err(HelperError::inside("removing an attempt"))?;
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
