//! How commands and supervisors talk: frames of a kind, a length and bytes, on a socket.

use runtime::{CopyRequest, TerminalSize};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

/// Largest frame.
const MAX_FRAME: usize = 1024 * 1024;

/// Kinds of frames.
pub(crate) mod kind {
    /// A request, as JSON.
    pub(crate) const REQUEST: u8 = b'q';
    /// Bytes that are typed.
    pub(crate) const INPUT: u8 = b'i';
    /// The end of what is typed.
    pub(crate) const END: u8 = b'e';
    /// The size of the terminal, as JSON.
    pub(crate) const RESIZE: u8 = b'r';
    /// The command is executed.
    pub(crate) const STARTED: u8 = b'S';
    /// A warning.
    pub(crate) const WARNING: u8 = b'w';
    /// Printed bytes.
    pub(crate) const STDOUT: u8 = b'1';
    /// Bytes that the command complained with.
    pub(crate) const STDERR: u8 = b'2';
    /// The end, as JSON.
    pub(crate) const EXIT: u8 = b'x';
    /// The answer to a request, as JSON.
    pub(crate) const ANSWER: u8 = b'a';
}

/// A request to a supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Start the container; whoever asks gets what it prints if `attach` is set.
    Start {
        /// Whether output is wanted.
        attach: bool,
    },
    /// Send what the container prints from now on, and its end.
    Attach,
    /// Send its end.
    Wait,
    /// Run one more command in it.
    Exec(ExecRequest),
    /// Send a signal to its first process.
    Signal(i32),
    /// Stop its processes, or let them go on.
    Freeze(bool),
    /// Stop its processes until the next request on this connection, or until it ends.
    Hold,
    /// Keep it this time when it ends, even if it was to go.
    Keep,
    /// Answer which resources it uses.
    Usage,
    /// Send what is at a path, and its tar.
    CopyOut(CopyRequest),
    /// Unpack the tar that is typed into a directory.
    CopyIn(CopyRequest),
    /// List its processes.
    Processes,
}

/// A command to run in a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The command.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// `user[:group]`
    pub user: String,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether something can be typed.
    pub interactive: bool,
}

/// The end of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct End {
    /// The exit code.
    pub code: i32,
    /// Why it could not be started, or was ended from outside.
    pub error: String,
}

/// A message of a supervisor.
#[derive(Debug, Clone)]
pub enum Message {
    /// The command is executed.
    Started,
    /// Something that was asked for and is not done.
    Warning(String),
    /// Printed bytes.
    Stdout(Vec<u8>),
    /// Bytes that it complained with.
    Stderr(Vec<u8>),
    /// The end.
    Exit(End),
    /// An answer, or why there is none.
    Answer(Result<serde_json::Value, String>),
}

/// One to whom several threads send: each frame arrives whole.
pub(crate) struct Listener(Mutex<UnixStream>);

impl Listener {
    /// Takes the stream of one who listens.
    pub(crate) fn new(stream: UnixStream) -> Arc<Listener> {
        Arc::new(Listener(Mutex::new(stream)))
    }

    /// Sends a frame.
    pub(crate) fn send(&self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        send(&self.0.lock().unwrap_or_else(PoisonError::into_inner), kind, bytes)
    }

    /// Sends a value as a frame.
    pub(crate) fn send_value<T: Serialize>(&self, kind: u8, value: &T) -> io::Result<()> {
        self.send(kind, &serde_json::to_vec(value)?)
    }
}

/// Sends a frame.
pub(crate) fn send(mut stream: &UnixStream, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.push(kind);
    frame.extend_from_slice(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes());
    frame.extend_from_slice(bytes);
    stream.write_all(&frame)
}

/// Sends a value as a frame.
pub(crate) fn send_value<T: Serialize>(stream: &UnixStream, kind: u8, value: &T) -> io::Result<()> {
    send(stream, kind, &serde_json::to_vec(value)?)
}

/// Receives a frame; `None` at the end of the stream.
pub(crate) fn receive(mut stream: &UnixStream) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Some((head[0], bytes)))
}

/// Reads a size of a terminal.
pub(crate) fn size_of(bytes: &[u8]) -> Option<TerminalSize> {
    serde_json::from_slice(bytes).ok()
}
