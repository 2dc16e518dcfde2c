//! Fetches in a process of their own: a pack that explodes takes that process with it, and a silent server is left.
//!
//! It is this program, started again: see [`enter_if_asked`].

use super::mirror::{CommitId, FetchSettings, Mirror, Wanted};
use super::{SourceError, WireError};
use registry_client::Reach;
use runtime::Cancel;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Name by which the program knows that it is to fetch.
const FETCHER: &str = "slipway-fetch";
/// Memory that a fetch may allocate; files that are mapped do not count.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// Number of the signal that a process sends itself to end.
const SIGABRT: i32 = 6;
/// How often waiting looks whether the build was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// What is to be fetched.
#[derive(Serialize, Deserialize)]
struct Errand {
    path: PathBuf,
    url: String,
    wanted: Wanted,
    credentials: Option<(String, String)>,
    public_only: bool,
}

type Answer = Result<String, WireError>;

/// Fetches and ends if the program was started for that; returns otherwise.
pub fn enter_if_asked() {
    if std::env::args_os().next().is_some_and(|name| name == FETCHER) {
        runtime::limit_child(MEMORY);
        let code = i32::from(serve().is_err());
        std::process::exit(code);
    }
}

fn serve() -> io::Result<()> {
    let errand: Errand = serde_json::from_reader(io::stdin().lock())?;
    let settings = FetchSettings {
        credentials: errand.credentials,
        timeout: Duration::MAX,
        cancel: Cancel::new(),
        reach: if errand.public_only { Reach::PublicOnly } else { Reach::Anywhere },
        apart: false,
    };
    let fetched = Mirror::at(errand.path, errand.url).fetch_now(&errand.wanted, &settings);
    let answer: Answer = fetched.map(|id| id.as_str().to_owned()).map_err(|error| WireError::of(&error));
    io::stdout().write_all(&serde_json::to_vec(&answer)?)
}

/// Fetches `wanted` into `mirror` in a process of its own, which is killed when it is cancelled or too slow.
pub fn fetch(mirror: &Mirror, wanted: &Wanted, settings: &FetchSettings) -> Result<CommitId, SourceError> {
    let (path, url) = mirror.place();
    let errand = Errand {
        path,
        url,
        wanted: wanted.clone(),
        credentials: settings.credentials.clone(),
        public_only: settings.reach == Reach::PublicOnly,
    };
    let failed = |cause: io::Error| SourceError::Mirror { url: mirror.shown(), cause: cause.into() };
    let mut child = start(&errand).map_err(failed)?;
    let answer = follow(&mut child, mirror, settings);
    // An answer or not: nobody needs the process any more.
    let _ = child.kill();
    let ended = child.wait().ok();
    let Ok(answer) = serde_json::from_slice::<Answer>(&answer?) else {
        // Rust ends a process by this signal that can allocate no more.
        return Err(match ended.and_then(|status| status.signal()) {
            Some(SIGABRT) => SourceError::TooLarge { url: mirror.shown() },
            _ => mirror.stopped("the process that fetched is gone"),
        });
    };
    let id = answer.map_err(|error| error.of_repository(mirror.shown()))?;
    CommitId::parse(&id).ok_or_else(|| mirror.stopped("the process that fetched named no commit"))
}

fn start(errand: &Errand) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    if errand.url.starts_with("http://") {
        // Nobody's certificate is looked at, other schemes are not followed, and reading all authorities takes longer
        // than the fetch.
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
    }
    let mut child = command.arg0(FETCHER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let sent = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(&serde_json::to_vec(errand)?));
    if let Err(error) = sent {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// Waits for what the process answers; its answer is empty if it died.
fn follow(child: &mut Child, mirror: &Mirror, settings: &FetchSettings) -> Result<Vec<u8>, SourceError> {
    let (sender, receiver) = channel();
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = output.map(|mut output| output.read_to_end(&mut answer));
        let _ = sender.send(answer);
    });
    let deadline = Instant::now() + settings.timeout;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            Err(RecvTimeoutError::Timeout) if settings.cancel.is_cancelled() => {
                return Err(mirror.stopped("the build was cancelled"));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                return Err(mirror.too_slow(settings.timeout));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
