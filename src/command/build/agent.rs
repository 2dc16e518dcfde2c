//! `--ssh`: agents that steps may ask, the user's own or one that holds the keys of files as long as the build runs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Runs an agent until its standard input ends: it does not outlive the process at the other end.
const SCRIPT: &str = "ssh-agent -D -a \"$1\" >/dev/null & agent=$!; cat; kill $agent; wait $agent";
/// How long an agent may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest file that is read as a key.
const MAX_KEY: u64 = 100 * 1024;

/// The agents of a build.
#[derive(Default)]
pub(crate) struct Agents {
    /// Their sockets by id.
    pub sockets: BTreeMap<String, PathBuf>,
    /// Those that run for this build alone.
    _own: Vec<Agent>,
}

impl Agents {
    /// Finds the agents given as `ID[=SOCKET|KEY[,KEY…]]`; without anything it is the one of `SSH_AUTH_SOCK`.
    pub(crate) fn new(arguments: &[String]) -> Result<Agents, String> {
        let mut agents = Agents::default();
        for argument in arguments {
            let (id, paths) = argument.split_once('=').map_or((argument.as_str(), None), |(id, path)| (id, Some(path)));
            if id.is_empty() {
                return Err(format!("--ssh `{argument}`: the id is empty; default[=SOCKET|KEY] is expected"));
            }
            let failed = |problem: String| format!("--ssh {id}: {problem}");
            let paths: Vec<PathBuf> = match paths {
                Some(paths) => paths.split(',').map(PathBuf::from).collect(),
                None => vec![std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).ok_or_else(|| {
                    failed(format!(
                        "no ssh agent runs (SSH_AUTH_SOCK is not set); start one, or give {id}=SOCKET or {id}=KEY"
                    ))
                })?],
            };
            let socket = agents.socket(&paths).map_err(failed)?;
            agents.sockets.insert(id.to_owned(), socket);
        }
        Ok(agents)
    }

    fn socket(&mut self, paths: &[PathBuf]) -> Result<PathBuf, String> {
        let mut sockets = 0;
        for path in paths {
            let known = std::fs::metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            sockets += usize::from(known.file_type().is_socket());
        }
        match (sockets, paths) {
            (1, [socket]) => std::path::absolute(socket).map_err(|error| format!("`{}`: {error}", socket.display())),
            (0, keys) => {
                let agent = Agent::start(&std::env::temp_dir())?;
                keys.iter().try_for_each(|key| agent.add(key))?;
                let socket = agent.socket();
                self._own.push(agent);
                Ok(socket)
            }
            _ => Err("one socket, or files of keys are expected, not both".to_owned()),
        }
    }
}

/// An agent that runs as long as this lives.
struct Agent {
    child: Child,
    directory: tempfile::TempDir,
}

impl Agent {
    /// Starts an agent with a socket below `parent`.
    fn start(parent: &Path) -> Result<Agent, String> {
        let failed = |error: std::io::Error| format!("starting an ssh agent for the keys: {error}");
        // The directory is this user's alone, so the socket is, too.
        let directory = tempfile::Builder::new().prefix("slipway-agent-").tempdir_in(parent).map_err(failed)?;
        let socket = directory.path().join("socket");
        if find("ssh-agent").is_none() || find("ssh-add").is_none() {
            let text = "starting an ssh agent for the keys: ssh-agent and ssh-add of OpenSSH are needed";
            return Err(text.to_owned());
        }
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&socket);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut agent = Agent { child: child.map_err(failed)?, directory };
        let complaint = first_line(agent.child.stderr.take());
        // A socket has its name before anybody listens there.
        let deadline = Instant::now() + START_TIMEOUT;
        while UnixStream::connect(&socket).is_err() {
            let wait = if Instant::now() > deadline { Duration::ZERO } else { Duration::from_millis(5) };
            let problem = match complaint.recv_timeout(wait) {
                Ok(said) => format!("ssh-agent says: {}", said.trim()),
                Err(RecvTimeoutError::Disconnected) => "it ended at once".to_owned(),
                Err(RecvTimeoutError::Timeout) if wait.is_zero() => {
                    format!("it did not listen within {} s", START_TIMEOUT.as_secs())
                }
                Err(RecvTimeoutError::Timeout) => continue,
            };
            return Err(format!("starting an ssh agent for the keys: {problem}"));
        }
        Ok(agent)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Adds the key of a file; it goes through a pipe, so that it need not be readable for its owner alone.
    fn add(&self, path: &Path) -> Result<(), String> {
        let failed = |problem: String| format!("reading the key `{}`: {problem}", path.display());
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if size > MAX_KEY {
            return Err(failed(format!("it has {size} bytes, which is not a key")));
        }
        let key = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new("ssh-add");
        // There is no prompt for a passphrase, whatever the terminal.
        command.args(["-q", "-"]).env("SSH_AUTH_SOCK", self.socket());
        command.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "false").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(format!("running ssh-add: {error}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Where it does not read it all, it says why.
            let _ = stdin.write_all(&key);
        }
        let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(failed(format!(
            "{said}: only private keys without a passphrase are read; ssh-add another to an agent and give its socket"
        )))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Returns what is said first, once it is; a thread waits for it as long as anybody may say something.
fn first_line(output: Option<ChildStderr>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if output.is_some_and(|output| BufReader::new(output).read_line(&mut line).is_ok_and(|length| length > 0)) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_and_no_socket_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("k");
        std::fs::write(&file, "no key").unwrap();
        let refused = |argument: String| Agents::new(&[argument]).err().unwrap();
        assert!(refused("=x".to_owned()).contains("the id is empty"));
        assert!(refused("default=/nosuch".to_owned()).contains("`/nosuch`"));
        let text = refused(format!("default={}", file.display()));
        assert!(text.contains("only private keys without a passphrase are read"), "{text}");
    }

    #[test]
    fn an_agent_that_does_not_start_says_why() {
        let directory = tempfile::tempdir().unwrap();
        // The name of a socket has at most 107 bytes.
        let long = directory.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let began = Instant::now();
        let text = Agent::start(&long).err().unwrap();
        assert!(text.contains("ssh-agent says: ") && text.contains("too long"), "{text}");
        assert!(began.elapsed() < START_TIMEOUT, "it is not waited for");
    }
}
