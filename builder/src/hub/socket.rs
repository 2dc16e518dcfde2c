//! The socket that `docker` in a hook speaks to: command lines come in, output and an exit code go out.
//!
//! The other end is `builder/docker/main.rs`, in a container with hostile programs: whatever comes is bounded, and what it
//! says is a command line of that container and nothing more.

use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes that a command line with its environment may have.
const MAX_CALL: usize = 4 * 1024 * 1024;
/// Bytes of input that come at once.
const MAX_CHUNK: usize = 256 * 1024;
/// Command lines that are answered at once.
const MAX_CALLS: usize = 32;

/// A command line of a hook.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    /// The name that it was called by, and the arguments.
    pub arguments: Vec<String>,
    /// The directory that it was called in.
    pub directory: String,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

impl Call {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned());
        let (directory, count) = (fields.next()?, fields.next()?.parse().ok()?);
        let arguments: Vec<String> = fields.by_ref().take(count).collect();
        let pairs = fields.filter_map(|pair| Some(pair.split_once('=')).flatten().map(|(a, b)| (a.into(), b.into())));
        (arguments.len() == count && directory.starts_with('/')).then(|| Call {
            arguments,
            directory,
            environment: pairs.collect(),
        })
    }
}

/// The one who made a call.
pub(crate) struct Caller {
    stream: Mutex<UnixStream>,
    input: Mutex<Option<Receiver<Vec<u8>>>>,
    /// Ends what the call asked for: the build was cancelled, or the caller is gone.
    pub cancel: CancellationToken,
}

impl Caller {
    /// Prints to its standard output.
    pub(crate) fn print(&self, text: impl AsRef<[u8]>) {
        self.send(b'o', text.as_ref());
    }

    /// Prints to its standard error.
    pub(crate) fn complain(&self, text: impl AsRef<[u8]>) {
        self.send(b'e', text.as_ref());
    }

    /// Returns its standard input, once.
    pub(crate) fn input(&self) -> Input {
        let chunks = locked(&self.input).take();
        if chunks.is_some() {
            self.send(b'i', &[]);
        }
        Input { chunks, chunk: Vec::new(), at: 0 }
    }

    fn send(&self, kind: u8, bytes: &[u8]) {
        let mut stream = locked(&self.stream);
        let chunks = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(MAX_CHUNK).collect() };
        for chunk in chunks {
            let mut frame = vec![kind];
            frame.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
            frame.extend_from_slice(chunk);
            // A caller that is gone has ended its call.
            let _ = stream.write_all(&frame);
        }
    }
}

/// The standard input of a caller.
pub(crate) struct Input {
    chunks: Option<Receiver<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            self.chunk = self.chunks.as_ref().and_then(|chunks| chunks.recv().ok()).unwrap_or_default();
            self.at = 0;
            if self.chunk.is_empty() {
                self.chunks = None;
            }
        }
        let taken = buffer.len().min(self.chunk.len() - self.at);
        buffer[..taken].copy_from_slice(&self.chunk[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Answers a call and returns its exit code.
pub(crate) type Answer = dyn Fn(&Call, &Caller) -> u8 + Send + Sync;

/// A socket at which calls are answered; it ends when it is dropped.
pub(crate) struct Socket {
    directory: tempfile::TempDir,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Socket {
    /// Listens; `cancel` ends all calls.
    pub(crate) fn open(cancel: &CancellationToken, answer: Arc<Answer>) -> io::Result<Self> {
        // Nobody but this account may enter the directory, and no sandbox sees it.
        let directory = tempfile::Builder::new().prefix("slipway-hook-").tempdir()?;
        let listener = UnixListener::bind(directory.path().join("docker.sock"))?;
        let (ends, cancel) = (Arc::new(AtomicBool::new(false)), cancel.clone());
        let asked = ends.clone();
        let thread = std::thread::spawn(move || accept(&listener, &asked, &cancel, &answer));
        Ok(Socket { directory, ends, thread: Some(thread) })
    }

    /// Returns where it is on this machine.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        wake(&self.path());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn wake(path: &Path) {
    let _ = UnixStream::connect(path);
}

fn accept(listener: &UnixListener, ends: &AtomicBool, cancel: &CancellationToken, answer: &Arc<Answer>) {
    let running = Arc::new(());
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let all = cancel.child_token();
    while let Ok((stream, _)) = listener.accept() {
        if ends.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        if Arc::strong_count(&running) > MAX_CALLS {
            continue;
        }
        let (cancel, answer, running) = (all.child_token(), answer.clone(), running.clone());
        threads.push(std::thread::spawn(move || {
            let _ = serve(stream, cancel, &answer);
            drop(running);
        }));
    }
    all.cancel();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

fn serve(mut stream: UnixStream, cancel: CancellationToken, answer: &Arc<Answer>) -> io::Result<()> {
    let (kind, bytes) = receive(&mut stream, MAX_CALL)?;
    let call = Call::parse(&bytes).filter(|_| kind == b'c').ok_or_else(|| io::Error::other("no command line"))?;
    let (sender, receiver) = sync_channel(4);
    let (mut typed, gone) = (stream.try_clone()?, cancel.clone());
    let caller = Caller { stream: Mutex::new(stream.try_clone()?), input: Mutex::new(Some(receiver)), cancel };
    let reader = std::thread::spawn(move || {
        // An empty chunk is the end of the input; the end of the stream that of the caller.
        while let Ok((b'i', chunk)) = receive(&mut typed, MAX_CHUNK) {
            let _ = sender.send(chunk);
        }
        gone.cancel();
    });
    let code = answer(&call, &caller);
    caller.send(b'x', &[code]);
    let _ = stream.shutdown(std::net::Shutdown::Both);
    drop(caller);
    let _ = reader.join();
    Ok(())
}

fn receive(stream: &mut UnixStream, most: usize) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > most {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok((head[0], bytes))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(socket: &Socket, fields: &[&str]) -> UnixStream {
        let mut stream = UnixStream::connect(socket.path()).unwrap();
        let bytes = fields.join("\0").into_bytes();
        stream.write_all(&[&b"c"[..], &(bytes.len() as u32).to_le_bytes(), &bytes].concat()).unwrap();
        stream
    }

    #[test]
    fn a_call_gets_its_output_and_its_code() {
        let answer = Arc::new(|call: &Call, caller: &Caller| {
            caller.print(format!("{:?} in {}", call.arguments, call.directory));
            caller.complain(&call.environment["A"]);
            7
        });
        let socket = Socket::open(&CancellationToken::new(), answer).unwrap();
        let mut stream = call(&socket, &["/src", "2", "docker", "ps", "A=b=c", "odd"]);
        let mut frames = Vec::new();
        while let Ok((kind, bytes)) = receive(&mut stream, 1000) {
            frames.push((kind, String::from_utf8_lossy(&bytes).into_owned()));
        }
        let expected = [(b'o', r#"["docker", "ps"] in /src"#), (b'e', "b=c"), (b'x', "\u{7}")];
        assert_eq!(frames, expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn calls_end_with_their_caller_and_with_the_socket() {
        let answer = Arc::new(|_: &Call, caller: &Caller| {
            while !caller.cancel.is_cancelled() {
                caller.cancel.wait_timeout(std::time::Duration::from_millis(50));
            }
            0
        });
        let socket = Socket::open(&CancellationToken::new(), answer).unwrap();
        drop(call(&socket, &["/", "1", "docker"]));
        let _stays = call(&socket, &["/", "1", "docker"]);
        let path = socket.path();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_command_line_is_not_answered() {
        for fields in [&["src", "1", "docker"][..], &["/", "2", "docker"], &["/", "-1"], &["/"]] {
            assert!(Call::parse(fields.join("\0").as_bytes()).is_none(), "{fields:?}");
        }
    }
}
