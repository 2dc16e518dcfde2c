//! A PostgreSQL cluster of Debian's package for one run of a test program: private, on a socket in its own directory.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running cluster. A shell that waits for this process to end, however it does, stops and removes it.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    _keeper: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(1);

/// Returns the URL of a new, empty database.
pub(crate) fn new_database() -> String {
    CLUSTER.get_or_init(Cluster::start).create()
}

impl Cluster {
    /// Makes and starts a cluster. Fails, and says why, where Debian's package `postgresql` is not installed.
    pub(crate) fn start() -> Self {
        let programs = programs();
        let directory = tempfile::tempdir().unwrap().keep();
        // PostgreSQL refuses to be run by root.
        let user = directory_owner().eq(&0).then(unprivileged);
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group)).unwrap();
        }
        let keeper = keeper(&directory);
        let cluster = Cluster { directory, programs, user, _keeper: keeper };
        cluster.initialize();
        cluster.up();
        cluster
    }

    fn initialize(&self) {
        self.run("initdb", &["-D", "data", "-U", "slipway", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    }

    /// Starts the server.
    pub(crate) fn up(&self) {
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=400 -c shared_buffers=32MB",
            self.directory.display()
        );
        self.run("pg_ctl", &["-D", "data", "-l", "log", "-w", "-o", &settings, "start"]);
    }

    /// Ends the server as a power failure would.
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["-D", "data", "-w", "-m", "immediate", "stop"]);
    }

    /// Makes a database and returns its URL.
    pub(crate) fn create(&self) -> String {
        let name = format!("slipway{}", DATABASES.fetch_add(1, Ordering::SeqCst));
        let socket = self.directory.to_str().unwrap();
        self.run("createdb", &["-h", socket, "-U", "slipway", &name]);
        format!("postgres://slipway@localhost/{name}?host={socket}")
    }

    /// Returns the server's process.
    pub(crate) fn process(&self) -> String {
        let file = std::fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).stdout(Stdio::null());
        // The server keeps its standard error, so it must not be a pipe that somebody reads to the end.
        command.stderr(std::fs::File::create(self.directory.join(format!("{program}.err"))).unwrap());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap();
        let errors = std::fs::read_to_string(self.directory.join(format!("{program}.err"))).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?}: {status}: {errors}");
    }
}

/// Starts the shell that stops the cluster when this process ends: its standard input ends with it.
fn keeper(directory: &Path) -> Child {
    let script = format!(
        "trap '' INT TERM HUP; read end; pid=$(head -n 1 '{0}/data/postmaster.pid' 2>/dev/null) && kill -QUIT $pid && \
         while kill -0 $pid 2>/dev/null; do sleep 0.05; done; rm -rf '{0}'",
        directory.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().unwrap()
}

/// Returns the directory of the newest version's programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|entries| entries.flatten().collect::<Vec<_>>());
    let mut found: Vec<_> = versions.unwrap_or_default().iter().map(|entry| entry.path().join("bin")).collect();
    found.retain(|path| path.join("initdb").exists());
    found.sort();
    found.pop().expect("Debian's package `postgresql` is not installed: there is no /usr/lib/postgresql/*/bin/initdb")
}

fn directory_owner() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// Returns the user that Debian's package makes, or `nobody`.
fn unprivileged() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).unwrap_or((65534, 65534))
}
