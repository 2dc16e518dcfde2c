//! Git over HTTP: every request is handed to `git http-backend`, which is what web servers do.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Largest request that is taken.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Returns a router for the bare repositories in `directory`.
pub(crate) fn router(directory: PathBuf) -> Router {
    Router::new().fallback(serve).with_state(directory)
}

async fn serve(State(directory): State<PathBuf>, request: Request) -> Response<Body> {
    match answer(directory, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(format!("{error}\n")));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

async fn answer(directory: PathBuf, request: Request) -> std::io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.map_err(std::io::Error::other)?;
    let header = |name: &str| header(&parts.headers, name);
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or(""))
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Its messages go to the client as well; here they would stand in the middle of others' lines.
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = backend.stdin.take() {
        tokio::spawn(async move {
            let _ = input.write_all(&body).await;
        });
    }
    let output = backend.wait_with_output().await?.stdout;
    Ok(parse(&output))
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
}

/// Takes a CGI answer apart: headers, an empty line, the body.
fn parse(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let (head, body) = output.split_at(end);
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(head).lines() {
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("status") => {
                response = response.status(value.split_whitespace().next().unwrap_or("500"));
            }
            Some((name, value)) => response = response.header(name.trim(), value.trim()),
            None => {}
        }
    }
    response.body(Body::from(body.get(4..).unwrap_or(&[]).to_vec())).unwrap_or_default()
}
