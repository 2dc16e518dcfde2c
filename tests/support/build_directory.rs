//! A directory to build in, with a web server and a git server beside it.

use crate::support::{git_server, run, shown, slipway};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A web server, a git server and a data directory.
pub(crate) struct Place {
    pub web: String,
    pub served: Arc<Served>,
    _tokio: tokio::runtime::Runtime,
    pub directory: tempfile::TempDir,
}

#[derive(Default)]
pub(crate) struct Served {
    pub content: Mutex<Vec<u8>>,
    pub sent: AtomicUsize,
    pub asked: AtomicUsize,
}

impl Place {
    pub(crate) fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        for name in ["git", "context"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let served = Arc::new(Served::default());
        *served.content.lock().unwrap() = b"content".to_vec();
        let router = Router::new()
            .nest_service("/git", git_server::router(directory.path().join("git")))
            .fallback(web)
            .with_state(served.clone());
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let web = format!("http://{}", listener.local_addr().unwrap());
        tokio.spawn(async move { axum::serve(listener, router).await });
        Place { directory, web, served, _tokio: tokio }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = slipway();
        command.args(["build", "--progress", "plain", "--data-dir"]).arg(self.path("data"));
        command.env_remove("SOURCE_DATE_EPOCH").current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// Builds a Dockerfile in the context and returns the image's files: `mode size path`, with times.
    pub(crate) fn files(&self, dockerfile: &str, arguments: &[&str]) -> Result<String, String> {
        std::fs::write(self.path("context/Dockerfile"), dockerfile.replace("@WEB@", &self.web)).unwrap();
        let tar = self.path("out.tar");
        let _ = std::fs::remove_file(&tar);
        let mut command = self.command();
        command.arg("-o").arg(format!("type=tar,dest={}", tar.display())).args(arguments).arg("context");
        let output = command.output().unwrap();
        if !output.status.success() {
            return Err(shown(&output));
        }
        Ok(listed(&tar))
    }

    /// Makes a bare repository with a commit of these files.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)], prepare: &str) -> String {
        let work = self.path(&format!("{name}.work"));
        std::fs::create_dir(&work).unwrap();
        for (path, content) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let script = format!(
            "git init -q -b main . && {prepare} git add -A && git -c user.name=t -c user.email=t@t commit -q -m one && \
             git tag v1 && git clone -q --bare . ../git/{name}.git"
        );
        run(Command::new("sh").args(["-ec", &script]).current_dir(&work).env_remove("GIT_ALLOW_PROTOCOL"));
        run(Command::new("git").arg("-C").arg(&work).args(["rev-parse", "HEAD"])).trim().to_owned()
    }
}

/// Returns what is in a tar, one line for each entry but directories.
pub(crate) fn listed(tar: &Path) -> String {
    run(Command::new("tar").args(["--utc", "--full-time", "-tvf"]).arg(tar))
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

async fn web(State(served): State<Arc<Served>>, headers: HeaderMap, request: Request) -> Response {
    served.asked.fetch_add(1, Ordering::Relaxed);
    let content = served.content.lock().unwrap().clone();
    let tag = format!("\"{}\"", content.len());
    match request.uri().path() {
        "/missing" => StatusCode::NOT_FOUND.into_response(),
        "/redirect" => (StatusCode::FOUND, [(header::LOCATION, "/d/file.txt")]).into_response(),
        "/loop" => (StatusCode::FOUND, [(header::LOCATION, "/loop")]).into_response(),
        "/plain" => content.into_response(),
        _ if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => {
            served.sent.fetch_add(1, Ordering::Relaxed);
            let modified = "Wed, 21 Oct 2015 07:28:00 GMT".to_owned();
            ([(header::ETAG, tag), (header::LAST_MODIFIED, modified)], content).into_response()
        }
    }
}

/// Runs a command with something on standard input.
pub(crate) fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output
}
