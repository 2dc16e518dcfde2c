//! Unpacks what a fetch receives, in a process of its own: a pack that explodes takes that process with it.
//!
//! It is this program, started again: see [`enter_if_asked`].

use git2::Repository;
use std::io::{self, PipeReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Name by which the program knows that it is to unpack.
const UNPACKER: &str = "slipway-unpack";
/// Memory that unpacking may allocate; files that are mapped do not count.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// Number of the signal that a process sends itself to end.
const SIGABRT: i32 = 6;

/// Why a pack was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnpackError {
    /// It needs more memory than it may have.
    TooLarge,
    /// It is not what git makes.
    Refused(String),
    /// Nobody knows.
    Gone,
}

/// Unpacks standard input and ends if the program was started for that; returns otherwise.
pub fn enter_if_asked() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == UNPACKER) {
        runtime::limit_child(MEMORY);
        let path = PathBuf::from(arguments.next().unwrap_or_default());
        let verdict = unpack(&path, &mut io::stdin().lock());
        let told = io::stdout().write_all(verdict.err().unwrap_or_default().as_bytes());
        std::process::exit(i32::from(told.is_err()));
    }
}

/// Adds the objects of a pack to the bare repository `path`.
pub(crate) fn unpack(path: &Path, pack: &mut dyn io::Read) -> Result<(), String> {
    let failed = |error: git2::Error| error.message().to_owned();
    let repository = Repository::open_bare(path).map_err(failed)?;
    let objects = repository.odb().map_err(failed)?;
    let mut writer = objects.packwriter().map_err(failed)?;
    io::copy(pack, &mut writer).map_err(|error| error.to_string())?;
    writer.commit().map(drop).map_err(failed)
}

/// A pack on its way into a repository; dropping it ends the process.
pub(crate) struct Unpacking {
    sink: pipe::Sender,
    worker: Worker,
}

enum Worker {
    Process(Child),
    Thread(oneshot::Receiver<Result<(), String>>),
}

impl Unpacking {
    /// Begins to unpack into the bare repository `path`, in a process of its own or in a thread.
    pub(crate) fn start(path: &Path, apart: bool) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let sink = pipe::Sender::from_owned_fd(OwnedFd::from(writer))?;
        let worker = if apart { Worker::Process(process(path, reader)?) } else { Worker::Thread(thread(path, reader)) };
        Ok(Unpacking { sink, worker })
    }

    /// Returns where the bytes of the pack go.
    pub(crate) fn sink(&mut self) -> &mut pipe::Sender {
        &mut self.sink
    }

    /// Waits until the pack that was sent is in the repository.
    pub(crate) async fn finish(self) -> Result<(), UnpackError> {
        drop(self.sink);
        let problem = match self.worker {
            Worker::Thread(verdict) => match verdict.await.map_err(|_| UnpackError::Gone)? {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            },
            Worker::Process(child) => {
                let output = child.wait_with_output().await.map_err(|_| UnpackError::Gone)?;
                match (output.status.code(), output.status.signal()) {
                    (Some(0), _) if output.stdout.is_empty() => return Ok(()),
                    (Some(0), _) => String::from_utf8_lossy(&output.stdout).into_owned(),
                    // Rust ends a process by this signal that can allocate no more.
                    (_, Some(SIGABRT)) => return Err(UnpackError::TooLarge),
                    _ => return Err(UnpackError::Gone),
                }
            }
        };
        // libgit2 checks sizes before it allocates, and says so when it cannot.
        let too_large = ["overly large", "out of memory", "failed to allocate"];
        let too_large = too_large.iter().any(|text| problem.to_lowercase().contains(text));
        Err(if too_large { UnpackError::TooLarge } else { UnpackError::Refused(problem) })
    }
}

fn process(path: &Path, pack: PipeReader) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    // Signals of a terminal to the group of this process must not end a fetch that may go on.
    command.arg0(UNPACKER).arg(path).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::from(pack)).stdout(Stdio::piped()).spawn()
}

fn thread(path: &Path, mut pack: PipeReader) -> oneshot::Receiver<Result<(), String>> {
    let (sender, receiver) = oneshot::channel();
    let path = path.to_owned();
    // A fetch that ends closes the pipe, and the thread ends with it.
    std::thread::spawn(move || drop(sender.send(unpack(&path, &mut pack))));
    receiver
}
