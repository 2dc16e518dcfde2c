//! Workers without a server: a queue, a git host and a registry of the test's own, and worker processes that come and go.

use crate::support::{Process, git_server, push_base, run, slipway, wait_for};
use axum::serve::ListenerExt;
use database::{Accepted, Build, BuildId, BuildRequest, BuildSpec, Database, SecretKey, Trigger};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Stands in the environment of every worker and must turn up nowhere.
pub(crate) const CANARY: &str = "canary-of-the-service";

/// Everything that workers need, in a directory that is gone when the test ends.
pub(crate) struct Yard {
    /// The queue.
    pub database: Database,
    /// Address of the registry.
    pub registry: String,
    /// Address of the git host.
    pub git: String,
    /// Runs what is asynchronous.
    pub tokio: tokio::runtime::Runtime,
    /// Everything of the test; removed last, when nobody writes there any more.
    pub directory: TempDir,
}

impl Yard {
    /// Starts a yard; `configuration` is what its workers read.
    pub(crate) fn start(configuration: &str) -> Yard {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir_all(directory.path().join("git")).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(directory.path().join("slipway.toml"), configuration).unwrap();
        write_private(&data.join("secret.key"), &"07".repeat(32));
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let git = serve(&tokio, git_server::router(directory.path().join("git")));
        let store = image_store::Store::open(&data.join("images")).unwrap();
        let registry = serve(&tokio, registry::router(store, registry::Settings::new(registry::Access::Open)));
        let url = format!("sqlite://{}", data.join("slipway.db").display());
        let database = tokio.block_on(Database::open(&url)).unwrap().with_key(SecretKey::new([7; 32]));
        Yard { directory, database, registry, git, tokio }
    }

    /// Starts a yard that has the base image, and one worker.
    pub(crate) fn with_worker(configuration: &str) -> (Yard, Process) {
        let yard = Yard::start(configuration);
        push_base(&yard.path("data"), &yard.registry);
        let worker = yard.worker(&[]);
        (yard, worker)
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Process {
        self.worker_with(arguments, &[])
    }

    /// Starts a worker with variables in its environment.
    pub(crate) fn worker_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("worker.log")).unwrap();
        let mut command = slipway();
        command.env("SLIPWAY_TEST_CANARY", CANARY).envs(environment.iter().copied());
        command.arg("worker").arg("--data-dir").arg(self.path("data")).arg("--config").arg(self.path("slipway.toml"));
        let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Process(child)
    }

    /// Returns a path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Commits files to the main branch of `app.git` and returns the commit's hash.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        commit(self.directory.path(), files)
    }

    /// Returns a request to build `commit` of the main branch, as a push asks for it.
    pub(crate) fn request(&self, commit: &str) -> BuildRequest {
        let base = format!("{}/base/busybox", self.registry);
        BuildRequest {
            repository: "team/app".to_owned(),
            rule: "main".to_owned(),
            commit_message: "A commit".to_owned(),
            trigger: Trigger::Push { delivery: commit.to_owned(), by: "octocat".to_owned() },
            spec: BuildSpec {
                clone_url: format!("http://{}/app.git", self.git),
                git_ref: "refs/heads/main".to_owned(),
                commit: Some(commit.to_owned()),
                dockerfile: "Dockerfile".to_owned(),
                context: String::new(),
                target: None,
                build_args: [("BASE".to_owned(), base)].into(),
                tags: vec![format!("{}/team/app:latest", self.registry)],
                use_cache: true,
                push: true,
                options: database::BuildOptions::default(),
            },
        }
    }

    /// Queues a build.
    pub(crate) fn queue(&self, request: &BuildRequest) -> BuildId {
        let accepted = self.tokio.block_on(self.database.trigger(None, std::slice::from_ref(request))).unwrap();
        match accepted {
            Accepted::New(mut ids) => ids.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Queues a build of a commit with these files.
    pub(crate) fn push(&self, files: &[(&str, &str)]) -> BuildId {
        self.queue(&self.request(&self.commit(files)))
    }

    /// Returns a build.
    pub(crate) fn build(&self, id: &BuildId) -> Build {
        self.tokio.block_on(self.database.build(id)).unwrap().unwrap()
    }

    /// Returns a build's log.
    pub(crate) fn log(&self, id: &BuildId) -> String {
        let mut text = Vec::new();
        loop {
            let from = text.len() as i64;
            let chunks = self.tokio.block_on(self.database.logs(id, from, 1 << 20)).unwrap();
            if chunks.is_empty() {
                return String::from_utf8_lossy(&text).into_owned();
            }
            chunks.iter().for_each(|chunk| text.extend_from_slice(&chunk.text));
        }
    }

    /// Waits until a build's log holds `text`.
    pub(crate) fn wait_for_log(&self, id: &BuildId, text: &str) {
        wait_for(&format!("`{text}` in a log"), || {
            let build = self.build(id);
            assert!(!build.state.has_ended(), "{build:#?}\n{}", self.log(id));
            self.log(id).contains(text).then_some(())
        });
    }

    /// Waits for the end of a build.
    pub(crate) fn finished(&self, id: &BuildId) -> Build {
        wait_for("the end of a build", || Some(self.build(id)).filter(|build| build.state.has_ended()))
    }

    /// Waits until a build has ended well.
    pub(crate) fn succeeded(&self, id: &BuildId) -> Build {
        let build = self.finished(id);
        assert_eq!(build.state, database::BuildState::Succeeded, "{build:#?}\n{}", self.log(id));
        build
    }

    /// Waits for the end of a build that does not end well and returns its state's name, code and message.
    pub(crate) fn failed(&self, id: &BuildId) -> (String, String, String) {
        let build = self.finished(id);
        let reason = build.reason.unwrap_or_else(|| panic!("{:?} without a reason", build.state));
        (build.state.as_str().to_owned(), reason.code, reason.message)
    }

    /// Returns what is left of builds: processes, mounts, control groups, directories.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut left = processes(&|command| command.starts_with("slipway-sandbox") && self.is_ours(command));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let data = self.path("data");
        left.extend(mounts.lines().filter(|line| line.contains(data.to_str().unwrap())).map(str::to_owned));
        let attempts = std::fs::read_dir(data.join("sandbox/state/w")).into_iter().flatten().flatten();
        left.extend(attempts.filter(|entry| entry.path().is_dir()).map(|entry| entry.path().display().to_string()));
        left.extend(control_groups().into_iter().filter(|path| self.is_ours(path)));
        left
    }

    /// Waits until nothing is left of builds, as a janitor sees to it.
    pub(crate) fn nothing_left(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "still there: {left:#?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Tells whether `text` names an attempt of this yard: ids of builds are unique.
    fn is_ours(&self, text: &str) -> bool {
        let filter = database::BuildFilter { limit: 200, ..database::BuildFilter::default() };
        let builds = self.tokio.block_on(self.database.builds(&filter)).unwrap();
        builds.iter().any(|build| text.contains(build.id.as_str()))
    }
}

impl Drop for Yard {
    /// Shows what the workers said when a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.path("worker.log")).unwrap_or_default());
        }
    }
}

/// Pushes an image that hooks can run in, and names it in the configuration of the workers that start from now on.
pub(crate) fn hook_image(yard: &Yard) {
    let context = tempfile::tempdir().unwrap();
    let bash = "#!/bin/sh\nexec /bin/sh \"$@\"\n";
    std::fs::write(context.path().join("bash"), bash).unwrap();
    let dockerfile = format!("FROM {}/base/busybox\nCOPY --chmod=755 bash /bin/bash\n", yard.registry);
    std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    let image = format!("{}/base/hook", yard.registry);
    let mut build = slipway();
    build.args(["build", "--progress", "plain", "--push", "-t", &image, "--data-dir"]).arg(yard.path("data"));
    run(build.arg(context.path()));
    let mut configuration = std::fs::read_to_string(yard.path("slipway.toml")).unwrap();
    configuration.push_str(&format!("\n[hub]\nimage = \"{image}\"\n"));
    std::fs::write(yard.path("slipway.toml"), configuration).unwrap();
}

/// Serves `router` on a free port and returns the address.
pub(crate) fn serve(tokio: &tokio::runtime::Runtime, router: axum::Router) -> String {
    let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio.spawn(async move { axum::serve(listener, router).await });
    address
}

/// Commits files to the main branch of `git/app.git` below `directory` and returns the commit's hash.
pub(crate) fn commit(directory: &Path, files: &[(&str, &str)]) -> String {
    let (bare, work) = (directory.join("git/app.git"), directory.join("work"));
    if !bare.exists() {
        run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
        run(Command::new("git").args(["init", "-q", "-b", "main"]).arg(&work));
    }
    for (name, content) in files {
        let path = work.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "A commit"]);
    git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), "HEAD:main"]);
    git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// Runs git in a work tree.
pub(crate) fn git(work: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    run(Command::new("git").arg("-C").arg(work).args(who).args(arguments))
}

/// Returns the processes whose command line is `wanted`: their numbers and command lines.
pub(crate) fn processes(wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| {
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&bytes).replace('\0', " ");
        wanted(&command).then(|| format!("{} {command}", entry.file_name().to_string_lossy()))
    });
    commands.collect()
}

/// Returns the control groups of all builds of this machine.
pub(crate) fn control_groups() -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("slipway-") {
                    found.push(entry.path().display().to_string());
                }
                waiting.push(entry.path());
            }
        }
    }
    found
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
