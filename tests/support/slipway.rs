//! A running slipway with everything around it, in a directory of its own, gone when the test ends.

use super::git_server;
use axum::serve::ListenerExt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Key that deliveries to the test's repository are signed with.
pub(crate) const SECRET: &str = "It's a Secret to Everybody";
/// Token that may trigger builds.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Ports below it belong to well-known services.
const FIRST_PORT: u16 = 10_000;
/// How long a build of a test may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the program under test: the released one if the environment names it.
pub(crate) fn slipway() -> Command {
    let program =
        std::env::var_os("SLIPWAY_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_slipway")), PathBuf::from);
    let mut command = Command::new(program);
    command.env_remove("SLIPWAY_DATA_DIR");
    command
}

/// Returns a port that nothing listens at, for a program that is told where to listen.
///
/// It is none of those that the kernel hands out, else a connection of another test could be given it before the
/// program takes it; and none is returned twice.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let handed_out = range.split_whitespace().next().and_then(|first| first.parse::<u16>().ok()).unwrap();
    let Some(own) = handed_out.checked_sub(FIRST_PORT).filter(|ports| *ports > 0) else {
        // Where the kernel hands out all there are, one that is free now has to do.
        return TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    };
    // Test programs that run side by side begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(own)).unwrap();
    let mut tried = (0..own).map(|_| FIRST_PORT + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % own);
    tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port that nothing listens at")
}

/// Runs a command that must succeed and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", shown(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns what a command printed, both streams.
pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until `done` returns something.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with the test.
pub(crate) struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        // Asked first, so that it can clean up; a server that hangs is the test's failure, not the machine's.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..300 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answer to an HTTP request.
pub(crate) struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub text: String,
}

impl Answer {
    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Asks with curl; `arguments` are what curl takes.
pub(crate) fn curl(arguments: &[&str]) -> Answer {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "30", "-w", "\n%{http_code}"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("curl {arguments:?}: {}", shown(&output)));
    Answer { status: status.parse().unwrap_or(0), text: body.to_owned() }
}

/// Returns GitHub's own example payloads, which `make payloads` fetches.
pub(crate) fn examples(event: &str) -> Vec<serde_json::Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/target/payloads/package/api.github.com/index.json");
    let text = std::fs::read_to_string(file).expect("`make payloads` fetches the example payloads");
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let found = all.into_iter().find(|known| known["name"] == event).unwrap();
    found["examples"].as_array().unwrap().clone()
}

/// A server with a repository, its git host, and the registry that it embeds.
pub(crate) struct Site {
    /// Where webhooks, API and pages are.
    pub url: String,
    /// Where the registry is.
    pub registry: String,
    /// Where the git host is.
    pub git: String,
    /// The server; `None` while a test has it stopped.
    pub server: Option<Process>,
    _tokio: tokio::runtime::Runtime,
    /// Everything of the test; removed last, when nobody writes there any more.
    pub directory: TempDir,
}

impl Site {
    /// Starts a site; `extra` is added to its configuration, where `@REGISTRY@` stands for the embedded registry and `@GIT@` for the
    /// git host.
    pub(crate) fn start(extra: &str) -> Site {
        Site::start_with("", extra)
    }

    /// Starts a site with more settings of its server, where `@URL@` stands for its own.
    pub(crate) fn start_with(server: &str, extra: &str) -> Site {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("git")).unwrap();
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let git = listener.local_addr().unwrap();
        let router = git_server::router(directory.path().join("git"));
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        tokio.spawn(async move { axum::serve(listener, router).await });
        let (listen, registry) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let configuration = format!(
            r#"
            [server]
            listen = "127.0.0.1:{listen}"
            registry_listen = "{registry}"
            {server}
            [[tokens]]
            name = "test"
            token = "{TOKEN}"
            scopes = ["trigger"]
            [[repositories]]
            name = "team/app"
            github = "Codertocat/Hello-World"
            clone_url = "http://{git}/app.git"
            secret = "{SECRET}"
            image = "{registry}/team/app"
            [[repositories.rules]]
            name = "main"
            branch = "/^(main|master)$/"
            tags = ["latest", "{{sha7}}"]
            build_args = {{ BASE = "{registry}/base/busybox" }}
            [[repositories.rules]]
            name = "tags"
            tag = '/.*/'
            tags = ["{{sourceref}}"]
            build_args = {{ BASE = "{registry}/base/busybox" }}
            {}
            "#,
            extra.replace("@REGISTRY@", &registry).replace("@GIT@", &git.to_string())
        );
        let configuration = configuration.replace("@URL@", &format!("http://127.0.0.1:{listen}"));
        std::fs::write(directory.path().join("slipway.toml"), configuration).unwrap();
        let (url, git) = (format!("http://127.0.0.1:{listen}"), git.to_string());
        let mut site = Site { directory, url, registry, git, server: None, _tokio: tokio };
        site.serve();
        site
    }

    /// Starts the server.
    pub(crate) fn serve(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("serve.log")).unwrap();
        let mut command = slipway();
        command.arg("serve").arg("--data-dir").arg(self.path("data")).arg("--config").arg(self.path("slipway.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.server = Some(Process(child));
        let health = format!("{}/healthz", self.url);
        wait_for("the server", || {
            let output = Command::new("curl").args(["-sf", "--max-time", "5", &health]).output().unwrap();
            output.status.success().then_some(())
        });
    }

    /// Returns a path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Pushes an image of busybox to the embedded registry.
    pub(crate) fn push_base(&self) {
        push_base(&self.path("data"), &self.registry);
    }

    /// Commits files to the repository and returns the commit's hash.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        crate::support::worker_pool::commit(self.directory.path(), files)
    }

    /// Delivers a body as GitHub does, signed with `secret`.
    pub(crate) fn deliver(&self, event: &str, id: &str, body: &str, secret: &str) -> Answer {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("X-Hub-Signature-256: sha256={}", hex::encode(mac.finalize().into_bytes()));
        let file = self.path(&format!("delivery-{id}"));
        std::fs::write(&file, body).unwrap();
        curl(&[
            "-H",
            "Content-Type: application/json",
            "-H",
            &format!("X-GitHub-Event: {event}"),
            "-H",
            &format!("X-GitHub-Delivery: {id}"),
            "-H",
            &signature,
            "--data-binary",
            &format!("@{}", file.display()),
            &format!("{}/hooks/github", self.url),
        ])
    }

    /// Delivers a push of `commit` to the main branch, as GitHub tells of it, and returns the build's id.
    pub(crate) fn push(&self, commit: &str) -> String {
        let mut body = examples("push").into_iter().find(|push| push["deleted"] == false).unwrap();
        body["ref"] = "refs/heads/main".into();
        body["after"] = commit.into();
        body["head_commit"] = serde_json::json!({ "id": commit, "message": "A commit" });
        let answer = self.deliver("push", &format!("push-{commit}"), &body.to_string(), SECRET);
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a path of the API as JSON.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        let answer = curl(&[&format!("{}{path}", self.url)]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Returns a build's log.
    pub(crate) fn log(&self, id: &str) -> String {
        curl(&[&format!("{}/v1/builds/{id}/logs", self.url)]).text
    }

    /// Waits for the end of a build.
    pub(crate) fn finished(&self, id: &str) -> serde_json::Value {
        wait_for("the end of a build", || {
            let build = self.get(&format!("/v1/builds/{id}"));
            (!build["finished_at"].is_null()).then_some(build)
        })
    }

    /// Waits until a build has ended well.
    pub(crate) fn succeeded(&self, id: &str) -> serde_json::Value {
        let build = self.finished(id);
        assert_eq!(build["state"], "succeeded", "{build:#}\n{}", self.log(id));
        build
    }
}

impl Drop for Site {
    /// Shows what the server said when a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.path("serve.log")).unwrap_or_default());
        }
    }
}

/// Builds an image of Debian's static busybox and pushes it as `base/busybox`.
pub(crate) fn push_base(data: &Path, registry: &str) {
    let context = tempfile::tempdir().unwrap();
    std::fs::copy("/bin/busybox", context.path().join("busybox")).expect("busybox-static is installed");
    let dockerfile = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/base/Dockerfile");
    std::fs::copy(dockerfile, context.path().join("Dockerfile")).unwrap();
    let tag = format!("{registry}/base/busybox");
    run(slipway()
        .args(["build", "--progress", "plain", "--push", "-t", &tag, "--data-dir"])
        .arg(data)
        .arg(context.path()));
}

/// Returns a directory whose `context` holds busybox and a Dockerfile.
pub(crate) fn busybox_context(dockerfile: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let context = directory.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::copy("/bin/busybox", context.join("busybox")).expect("busybox-static is installed");
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    directory
}

/// Unpacks an image that `skopeo` can pull and runs a command in it; returns what it printed.
pub(crate) fn pull_and_run(skopeo: &[&str], image: &str, command: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("image");
    run(Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false"])
        .args(skopeo)
        .arg(format!("docker://{image}"))
        .arg(format!("dir:{}", layout.display())));
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("manifest.json")).unwrap()).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = layout.join(layer["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        run(Command::new("tar").args(["--no-same-owner", "-xzf"]).arg(blob).arg("-C").arg(&root));
    }
    let mut inside = if is_root() { Command::new("chroot") } else { Command::new("unshare") };
    if !is_root() {
        inside.args(["-r", "chroot"]);
    }
    run(inside.arg(&root).args(command))
}

/// Tells whether the tests run as root.
pub(crate) fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}
