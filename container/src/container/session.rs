//! A process of a container and those who listen to it.

use super::frames::{End, Listener, kind, receive, size_of};
use super::log::Log;
use runtime::{ContainerStreams, Error, Exit, RunningContainer, resize_terminal};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// Those who listen to a process.
#[derive(Default)]
pub(crate) struct Listeners {
    /// Those who get what is printed, and the end.
    attached: Mutex<Vec<Arc<Listener>>>,
    /// Those who get the end.
    waiting: Mutex<Vec<Arc<Listener>>>,
    /// Whether the container stays when it ends, even if it was to go.
    is_kept: AtomicBool,
}

impl Listeners {
    /// Adds one who gets what is printed.
    pub(crate) fn attach(&self, listener: Arc<Listener>) {
        locked(&self.attached).push(listener);
    }

    /// Adds one who gets the end.
    pub(crate) fn wait(&self, listener: Arc<Listener>) {
        locked(&self.waiting).push(listener);
    }

    /// Makes the container stay when it ends.
    pub(crate) fn keep(&self) {
        self.is_kept.store(true, Ordering::SeqCst);
    }

    /// Tells whether the container stays when it ends.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::SeqCst)
    }

    /// Sends what is printed, however long that takes: a person may read it slowly.
    fn print(&self, kind: u8, bytes: &[u8]) {
        let attached = locked(&self.attached).clone();
        for listener in attached {
            if listener.send(kind, bytes).is_err() {
                locked(&self.attached).retain(|other| !Arc::ptr_eq(other, &listener));
            }
        }
    }

    /// Tells those of the end who wait for nothing else.
    pub(crate) fn end_waiting(&self, end: &End) {
        tell(&self.waiting, end);
    }

    /// Tells those of the end who got all that was printed.
    pub(crate) fn end_attached(&self, end: &End) {
        tell(&self.attached, end);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(list: &Mutex<Vec<Arc<Listener>>>, end: &End) {
    for listener in std::mem::take(&mut *locked(list)) {
        let _ = listener.send_value(kind::EXIT, end);
    }
}

/// The way to type.
#[derive(Clone, Default)]
pub(crate) struct Typing {
    input: Arc<Mutex<Option<File>>>,
    is_terminal: bool,
}

impl Typing {
    /// Passes on what `stream` types until it ends.
    pub(crate) fn follow(&self, stream: &UnixStream) {
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
                _ => {}
            }
        }
    }
}

/// A thread that passes on what a process prints.
pub(crate) struct Reader {
    thread: JoinHandle<()>,
    /// Since when it has waited for output; `None` while it passes some on.
    idle_since: Arc<Mutex<Option<Instant>>>,
}

impl Reader {
    /// Tells whether the output has ended, or nothing more came for `time`: somebody else may hold it open.
    pub(crate) fn is_done(&self, time: Duration) -> bool {
        self.thread.is_finished() || locked(&self.idle_since).is_some_and(|since| since.elapsed() >= time)
    }

    /// Tells whether the output has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the output.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

/// Begins to pass on what the process prints; returns the way to type, and the threads that end with the output.
pub(crate) fn pass_on(
    process: &mut RunningContainer,
    interactive: bool,
    listeners: &Arc<Listeners>,
    log: Option<&Arc<Mutex<Log>>>,
) -> (Typing, Vec<Reader>) {
    let read = |file: File, stream: usize| {
        let (listeners, log) = (listeners.clone(), log.cloned());
        let idle_since = Arc::new(Mutex::new(None));
        let idle = idle_since.clone();
        let thread = std::thread::spawn(move || read_all(file, stream, &listeners, log.as_deref(), &idle));
        Reader { thread, idle_since }
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

fn read_all(
    mut file: File,
    stream: usize,
    listeners: &Listeners,
    log: Option<&Mutex<Log>>,
    idle: &Mutex<Option<Instant>>,
) {
    let mut buffer = vec![0; BLOCK];
    loop {
        *locked(idle) = Some(Instant::now());
        let read = file.read(&mut buffer);
        *locked(idle) = None;
        // A terminal whose last user is gone says so with an error.
        let Ok(got @ 1..) = read else { return };
        if let Some(log) = log
            && let Err(error) = locked(log).write(stream, &buffer[..got])
        {
            tracing::warn!(%error, "the log of a container is not written");
        }
        listeners.print(if stream == 0 { kind::STDOUT } else { kind::STDERR }, &buffer[..got]);
    }
}

/// Returns exit code and error of an end, as docker has them.
pub(crate) fn end_of(ended: Result<Exit, Error>) -> End {
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
