//! Sessions over ssh: the system's ssh client, told everything on its command line and nothing by files of this machine.
//!
//! It is the client that operators already keep up to date; the key and the known hosts are files in memory, which only
//! this process and its children can open, and the address that it connects to was looked up and checked before.

use super::access::SshAccess;
use super::address::SshAddress;
use bytes::{Bytes, BytesMut};
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Name under which the host's keys are looked up.
const ALIAS: &str = "git-server";
/// Directories that the client may be in.
const SEARCHED: &str = "/usr/local/bin:/usr/bin:/bin";
/// Bytes of what the client says that are read.
const MAX_SAID: u64 = 256 * 1024;
/// Bytes that are read at a time.
const CHUNK: usize = 64 * 1024;
/// Options that keep the client from everything but one command over one connection.
const OPTIONS: [&str; 24] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ControlMaster=no",
    "ControlPath=none",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "Compression=no",
    "ConnectTimeout=30",
    "ServerAliveInterval=30",
    "LogLevel=DEBUG1",
    "SendEnv=GIT_PROTOCOL",
];

/// Why a session did not begin.
#[derive(Debug)]
pub enum SshFailure {
    /// The host's key is not one that is trusted.
    HostKey {
        /// The kind and the fingerprint.
        found: String,
        /// Whether another one is trusted.
        is_known: bool,
    },
    /// The server does not let the key in.
    Denied {
        /// Whether it was shown a key.
        shown: bool,
    },
    /// The server does not have the repository.
    NotFound,
    /// Anything else, in the client's words.
    Other(String),
}

/// A session.
pub(crate) struct SshSession {
    child: Child,
    output: ChildStdout,
    errors: Option<ChildStderr>,
    /// Whether a key of the host is known.
    has_host_keys: bool,
    /// Whether the server is shown a key.
    has_key: bool,
    /// Whether the server has said anything.
    has_begun: bool,
    _files: Vec<File>,
}

impl SshSession {
    /// Starts git on the server at `address`, whose host has the address `ip`.
    pub(crate) fn start(address: &SshAddress, ip: IpAddr, access: &SshAccess) -> io::Result<Self> {
        let keys = access.hosts.of(&address.host, address.port);
        let known: String = keys.iter().map(|key| format!("{ALIAS} {key}\n")).collect();
        let mut files = vec![in_memory(known.as_bytes())?];
        let mut command = Command::new("ssh");
        command.env_clear().env("PATH", SEARCHED);
        command.env("GIT_PROTOCOL", "version=2").args(["-F", "none"]);
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", path(&files[0])));
        if let Some(key) = &access.key {
            files.push(in_memory(key.as_bytes())?);
            command.arg("-o").arg(format!("IdentityFile={}", path(&files[1])));
        } else {
            command.args(["-o", "IdentityFile=none"]);
        }
        command.arg("-o").arg(format!("HostKeyAlias={ALIAS}")).arg("-o").arg(format!("HostName={ip}"));
        command.arg("-p").arg(address.port.to_string()).arg("-l").arg(&address.user);
        command.arg("--").arg(ALIAS).arg(address.command());
        // Signals of a terminal to the group of this process must not end a fetch that may go on.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("ssh has no output"))?;
        let errors = child.stderr.take();
        let (has_host_keys, has_key) = (!keys.is_empty(), access.key.is_some());
        Ok(SshSession { child, output, errors, has_host_keys, has_key, has_begun: false, _files: files })
    }

    /// Sends a request, after which the server is asked nothing more.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(mut input) = self.child.stdin.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        input.write_all(request).await?;
        input.shutdown().await
    }

    /// Returns the next bytes of what the server says; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, SshFailure> {
        let mut bytes = BytesMut::with_capacity(CHUNK);
        match self.output.read_buf(&mut bytes).await {
            Ok(0) if !self.has_begun => Err(self.failure().await),
            Ok(0) => Ok(None),
            Ok(_) => {
                self.has_begun = true;
                Ok(Some(bytes.freeze()))
            }
            Err(error) => Err(SshFailure::Other(error.to_string())),
        }
    }

    /// Says why nothing came.
    async fn failure(&mut self) -> SshFailure {
        let mut said = Vec::new();
        if let Some(errors) = self.errors.take() {
            let _ = errors.take(MAX_SAID).read_to_end(&mut said).await;
        }
        explained(&String::from_utf8_lossy(&said), self.has_host_keys, self.has_key)
    }
}

/// Finds out from what the client says why it ended.
fn explained(said: &str, has_host_keys: bool, has_key: bool) -> SshFailure {
    let line = |start: &str| said.lines().map(str::trim).find_map(|line| line.strip_prefix(start).map(str::to_owned));
    if said.contains("Host key verification failed") {
        let found = line("debug1: Server host key: ").unwrap_or_else(|| "unknown".to_owned());
        return SshFailure::HostKey { found, is_known: has_host_keys };
    }
    if said.contains("Permission denied (") {
        return SshFailure::Denied { shown: has_key };
    }
    let words: Vec<_> =
        said.lines().map(str::trim).filter(|line| !line.starts_with("debug") && !line.is_empty()).collect();
    let lower = words.join("; ").to_lowercase();
    let is_missing =
        ["does not appear to be a git repository", "repository not found", "could not be found", "does not exist"];
    if is_missing.iter().any(|text| lower.contains(text)) {
        return SshFailure::NotFound;
    }
    let words: Vec<_> =
        words.into_iter().filter(|line| !line.starts_with("OpenSSH_") && !line.starts_with("Warning:")).collect();
    SshFailure::Other(if words.is_empty() { "it ends without a word".to_owned() } else { words.join("; ") })
}

/// Makes a file without a name that nobody else may read.
fn in_memory(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("slipway-ssh", MemfdFlags::CLOEXEC)?);
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(content)?;
    Ok(file)
}

/// Returns the path by which a child opens a file of this process.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_is_understood() {
        let unknown = "debug1: Server host key: ssh-ed25519 SHA256:abc\r\nNo ED25519 host key is known for git-server and you have requested strict checking.\r\nHost key verification failed.\r\n";
        let failure = explained(unknown, false, true);
        assert!(
            matches!(&failure, SshFailure::HostKey { found, is_known: false } if found == "ssh-ed25519 SHA256:abc"),
            "{failure:?}"
        );
        let denied = "git@git-server: Permission denied (publickey).\r\n";
        assert!(matches!(explained(denied, true, false), SshFailure::Denied { shown: false }));
        let missing = "debug1: x\nfatal: '/a' does not appear to be a git repository\n";
        assert!(matches!(explained(missing, true, true), SshFailure::NotFound));
        let other = "debug1: x\nssh: connect to host 127.0.0.1 port 1: Connection refused\r\n";
        assert!(matches!(explained(other, true, true), SshFailure::Other(said) if said.starts_with("ssh: connect")));
    }
}
