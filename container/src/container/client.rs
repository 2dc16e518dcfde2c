//! The side of the commands: asks a supervisor, and passes on what is typed and printed.

use super::frames::{End, Message, Request, kind, receive, send, send_value};
use super::record::Status;
use super::store::Container;
use crate::Error;
use runtime::TerminalSize;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a container that is about to run is looked for, and how long is waited in between.
const CONNECT_TRIES: u32 = 500;
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);

/// A connection to a container's supervisor.
pub struct Client {
    stream: UnixStream,
}

/// Passes on what is typed, from several threads.
pub struct Input {
    stream: Mutex<UnixStream>,
}

fn failed(error: io::Error) -> Error {
    Error::file("talking to the supervisor of", Path::new("a container"))(error)
}

impl Client {
    /// Connects to the supervisor of a container that runs.
    pub fn connect(container: &Container) -> Result<Client, Error> {
        let not_running = || Error::Conflict(format!("container {} is not running", container.record.id));
        if !container.is_running() {
            return Err(not_running());
        }
        // Names of sockets are short, and data directories may lie deep.
        let directory = File::open(&container.directory).map_err(Error::file("opening", &container.directory))?;
        let path = format!("/proc/self/fd/{}/control.sock", directory.as_raw_fd());
        let stream = UnixStream::connect(path).map_err(|_| not_running())?;
        Ok(Client { stream })
    }

    /// Starts a supervisor for a container, which waits to be told to start it.
    pub fn spawn(container: &Container, data: &Path) -> Result<Client, Error> {
        let (here, there) = UnixStream::pair().map_err(failed)?;
        let log = container.directory.join("supervisor.log");
        let errors = File::options().create(true).append(true).open(&log).map_err(Error::file("opening", &log))?;
        Command::new("/proc/self/exe")
            .arg("--data-dir")
            .arg(data)
            .args(["hold-container", &container.record.id])
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(there)))
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .map_err(Error::file("starting the supervisor of", &container.directory))?;
        Ok(Client { stream: here })
    }

    /// Asks for something.
    pub fn ask(&self, request: &Request) -> Result<(), Error> {
        send_value(&self.stream, kind::REQUEST, request).map_err(failed)
    }

    /// Asks for something and returns the answer.
    pub fn answer(&self, request: &Request) -> Result<serde_json::Value, Error> {
        self.ask(request)?;
        self.receive_answer()
    }

    /// Returns the answer to what was asked.
    pub fn receive_answer(&self) -> Result<serde_json::Value, Error> {
        match self.receive()? {
            Some(Message::Answer(Ok(value))) => Ok(value),
            Some(Message::Answer(Err(problem))) => Err(Error::Conflict(problem)),
            _ => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Returns what the supervisor says next; `None` if it is gone.
    pub fn receive(&self) -> Result<Option<Message>, Error> {
        let Some((kind, bytes)) = receive(&self.stream).map_err(failed)? else { return Ok(None) };
        Ok(Some(match kind {
            kind::STARTED => Message::Started,
            kind::WARNING => Message::Warning(String::from_utf8_lossy(&bytes).into_owned()),
            kind::STDOUT => Message::Stdout(bytes),
            kind::STDERR => Message::Stderr(bytes),
            kind::EXIT => Message::Exit(parse::<End>(&bytes)?),
            _ => Message::Answer(parse(&bytes)?),
        }))
    }

    /// Returns what passes on what is typed.
    pub fn input(&self) -> Result<Input, Error> {
        Ok(Input { stream: Mutex::new(self.stream.try_clone().map_err(failed)?) })
    }
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::Damaged("a message of a supervisor".to_owned()))
}

impl Input {
    /// Passes on typed bytes.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        send(&self.stream(), kind::INPUT, bytes)
    }

    /// Says that nothing more is typed.
    pub fn end(&self) -> io::Result<()> {
        send(&self.stream(), kind::END, &[])
    }

    /// Tells the size of the terminal.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        send_value(&self.stream(), kind::RESIZE, &size)
    }

    fn stream(&self) -> MutexGuard<'_, UnixStream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes a signal on to a container, on a connection of its own: what is typed may wait for long to be read. One that
/// is about to run gets it when it does.
pub fn pass_signal(directory: &Path, signal: i32) {
    for _ in 0..CONNECT_TRIES {
        let Ok(container) = Container::read(directory) else { return };
        match Client::connect(&container) {
            Ok(client) => return drop(client.answer(&Request::Signal(signal))),
            Err(_) if container.state.status == Status::Exited => return,
            Err(_) => std::thread::sleep(CONNECT_INTERVAL),
        }
    }
}
