//! A process of a container and those who listen to it.

use super::frames::{End, kind, receive, send, send_value, size_of};
use super::log::Log;
use runtime::{ContainerStreams, Error, Exit, RunningContainer, resize_terminal};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a listener may take no bytes before it is let go.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// Those who listen to a process.
#[derive(Default)]
pub struct Listeners {
    /// Those who get what is printed, and the end.
    attached: Mutex<Vec<UnixStream>>,
    /// Those who get the end.
    waiting: Mutex<Vec<UnixStream>>,
}

impl Listeners {
    /// Adds one who gets what is printed.
    pub fn attach(&self, stream: UnixStream) {
        let _ = stream.set_write_timeout(Some(SEND_TIMEOUT));
        self.attached.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    /// Adds one who gets the end.
    pub fn wait(&self, stream: UnixStream) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    fn print(&self, kind: u8, bytes: &[u8]) {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        attached.retain(|stream| send(stream, kind, bytes).is_ok());
    }

    /// Tells all of the end.
    pub fn end(&self, end: &End) {
        for list in [&self.attached, &self.waiting] {
            for stream in list.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                let _ = send_value(&stream, kind::EXIT, end);
            }
        }
    }
}

/// The way to type.
#[derive(Clone, Default)]
pub struct Typing {
    input: Arc<Mutex<Option<File>>>,
    is_terminal: bool,
}

impl Typing {
    /// Passes on what `stream` types until it ends; `signal` is called with signals.
    pub fn follow(&self, stream: &UnixStream, mut signal: impl FnMut(i32)) {
        while let Ok(Some((kind, bytes))) = receive(stream) {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            match (kind, input.as_mut()) {
                (kind::INPUT, Some(file)) => drop(file.write_all(&bytes)),
                (kind::END, _) if !self.is_terminal => drop(input.take()),
                // The end of what is typed, as a terminal says it.
                (kind::END, Some(file)) => drop(file.write_all(&[4])),
                (kind::RESIZE, Some(file)) if self.is_terminal => {
                    if let Some(size) = size_of(&bytes) {
                        let _ = resize_terminal(&*file, size);
                    }
                }
                (kind::SIGNAL, _) => {
                    drop(input);
                    if let Ok(number) = serde_json::from_slice(&bytes) {
                        signal(number);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Begins to pass on what the process prints; returns the way to type, and the threads that end with the output.
pub fn pass_on(
    process: &mut RunningContainer,
    interactive: bool,
    listeners: &Arc<Listeners>,
    log: Option<&Arc<Mutex<Log>>>,
) -> (Typing, Vec<JoinHandle<()>>) {
    let read = |file: File, stream: usize| {
        let (listeners, log) = (listeners.clone(), log.cloned());
        std::thread::spawn(move || read_all(file, stream, &listeners, log.as_deref()))
    };
    match process.streams() {
        None => (Typing::default(), Vec::new()),
        Some(ContainerStreams::Terminal(terminal)) => {
            let input = terminal.try_clone().ok();
            (Typing { input: Arc::new(Mutex::new(input)), is_terminal: true }, vec![read(terminal, 0)])
        }
        Some(ContainerStreams::Pipes(input, output, error)) => {
            let input = Some(input).filter(|_| interactive);
            let typing = Typing { input: Arc::new(Mutex::new(input)), is_terminal: false };
            (typing, vec![read(output, 0), read(error, 1)])
        }
    }
}

fn read_all(mut file: File, stream: usize, listeners: &Listeners, log: Option<&Mutex<Log>>) {
    let mut buffer = vec![0; BLOCK];
    // A terminal whose last user is gone says so with an error.
    while let Ok(got @ 1..) = file.read(&mut buffer) {
        if let Some(log) = log
            && let Err(error) = log.lock().unwrap_or_else(PoisonError::into_inner).write(stream, &buffer[..got])
        {
            tracing::warn!(%error, "the log of a container is not written");
        }
        listeners.print(if stream == 0 { kind::STDOUT } else { kind::STDERR }, &buffer[..got]);
    }
}

/// Returns exit code and error of an end, as docker has them.
pub fn end_of(ended: Result<Exit, Error>) -> End {
    let plain = |code: i32| End { code, error: String::new() };
    match ended {
        Ok(Exit::Code(code)) => plain(code),
        Ok(Exit::Signal(signal)) => plain(128 + signal),
        Ok(Exit::Killed | Exit::Cancelled) => plain(137),
        Ok(Exit::OutOfMemory(_)) => End { code: 137, error: "out of memory".to_owned() },
        Ok(Exit::DiskFull(full)) => End { code: 137, error: full.to_string() },
        Ok(Exit::TimedOut) => End { code: 137, error: "it took too long".to_owned() },
        Err(Error::NotExecuted { text, code }) => End { code, error: text },
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            End { code: 125, error: format!("{error}{cause}") }
        }
    }
}
