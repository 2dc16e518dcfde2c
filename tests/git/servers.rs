//! Servers that speak git in their own way: what they redirect, what they can do, whom they let in.

use crate::git::bad_repositories::fetch;
use crate::support::build_directory::Place;
use crate::support::scripted_git::{Hostile, Reply};
use crate::support::worker_pool::{Yard, serve};
use crate::support::{git_server, run};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use builder::git::{Checkout, FetchSettings, Fetching, GitContext, Revision, SourceError};
use database::BuildRequest;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> Revision {
    Revision::Ref("main".to_owned())
}

/// Answers requests below `/team/app` with redirects of a status to `target`, as a forge does that wants `.git`.
fn redirects(status: u16, target: &str) -> Router {
    let target = target.to_owned();
    Router::new().fallback(move |request: Request| {
        let moved = request.method() == Method::GET && request.uri().path() == "/team/app/info/refs";
        let location = format!("{target}/info/refs?{}", request.uri().query().unwrap_or_default());
        let status = if moved { StatusCode::from_u16(status).unwrap() } else { StatusCode::NOT_FOUND };
        async move { (status, [(header::LOCATION, location)]).into_response() }
    })
}

#[test]
fn a_redirect_of_the_first_request_is_where_the_others_go() {
    // SV-30
    let place = Place::new();
    let commit = place.repository("app", &[("f", "1")], "");
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let fetched = |address: &str| {
        let mirrors = tempfile::tempdir().unwrap();
        let of_ref = fetch(mirrors.path(), &format!("http://{address}/team/app"), &main(), TIMEOUT);
        let mirrors = tempfile::tempdir().unwrap();
        let wanted = Revision::Commit { id: commit.clone(), git_ref: Some("refs/heads/main".to_owned()) };
        let of_commit = fetch(mirrors.path(), &format!("http://{address}/team/app/"), &wanted, TIMEOUT);
        of_ref.and_then(|one| of_commit.map(|other| [one, other]))
    };
    for status in [301, 302, 303, 307, 308] {
        let here = redirects(status, "/git/app.git").nest_service("/git", git_server::router(place.path("git")));
        assert_eq!(fetched(&serve(&tokio, here)).unwrap(), [commit.clone(), commit.clone()], "{status}");
        let elsewhere = redirects(status, &format!("{}/git/app.git", place.web));
        assert_eq!(fetched(&serve(&tokio, elsewhere)).unwrap(), [commit.clone(), commit.clone()], "{status}");
    }
    // A server that loses the question on the way, or that keeps it.
    let lost = Router::new()
        .route("/team/app/info/refs", axum::routing::get(|| async { redirect("/git/app.git/info/refs") }))
        .nest_service("/git", git_server::router(place.path("git")));
    assert_eq!(fetched(&serve(&tokio, lost)).unwrap().len(), 2);
    for (target, code) in
        [("/team/app", "invalid_clone_url"), ("/users/sign_in?x=", "fetch_failed"), ("http://", "invalid_clone_url")]
    {
        let target = target.to_owned();
        let server = Router::new()
            .route("/users/sign_in", axum::routing::any(|| async { "log in" }))
            .fallback(move || async move { redirect(&target) });
        let error = fetched(&serve(&tokio, server)).unwrap_err();
        assert_eq!(error.code(), code, "{error}: {:?}", std::error::Error::source(&error));
    }
}

fn redirect(target: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, target.to_owned())]).into_response()
}

/// Returns a git server of version 0 that hides what it can do, and refuses requests without `multi_ack`.
fn old_server(directory: &Path, hidden: &'static [&'static str]) -> Router {
    git_server::router(directory.to_owned()).layer(middleware::from_fn(
        move |request: Request, next: middleware::Next| async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.remove("git-protocol");
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let asks = parts.method == Method::POST;
            if asks && hidden.is_empty() && !String::from_utf8_lossy(&body).contains("multi_ack") {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            if asks {
                return response;
            }
            let (parts, body) = response.into_parts();
            let mut bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
            for name in hidden {
                // Of the same length, so that the packet stays one.
                while let Some(at) = bytes.windows(name.len()).position(|bytes| bytes == name.as_bytes()) {
                    bytes[at] = b'X';
                }
            }
            Response::from_parts(parts, Body::from(Bytes::from(bytes)))
        },
    ))
}

#[test]
fn servers_of_version_0_are_asked_for_what_they_can_do() {
    // SV-31
    let place = Place::new();
    let commit = place.repository("app", &[("d/f", "1"), ("g", "2")], "");
    let tokio = tokio::runtime::Runtime::new().unwrap();
    for hidden in [
        &[][..],
        &["multi_ack_detailed"],
        &["multi_ack_detailed", "multi_ack"],
        &["side-band-64k"],
        &["side-band-64k", "side-band"],
        &["side-band-64k", "side-band", "shallow"],
        &["shallow", "ofs-delta"],
        &["ofs-delta", "thin-pack", "no-done", "agent", "include-tag"],
        &["allow-tip-sha1-in-want", "allow-reachable-sha1-in-want"],
    ] {
        let address = serve(&tokio, old_server(&place.path("git"), hidden));
        let mirrors = tempfile::tempdir().unwrap();
        let url = format!("http://{address}/app.git");
        assert_eq!(fetch(mirrors.path(), &url, &main(), TIMEOUT).unwrap(), commit, "{hidden:?}");
        let mirrors = tempfile::tempdir().unwrap();
        let wanted = Revision::Commit { id: commit.clone(), git_ref: Some("refs/heads/main".to_owned()) };
        assert_eq!(fetch(mirrors.path(), &url, &wanted, TIMEOUT).unwrap(), commit, "{hidden:?}");
    }
}

#[test]
fn repositories_with_other_names_of_objects_are_refused_in_plain_words() {
    // SV-31
    let place = Place::new();
    let script = "git init -q --object-format=sha256 -b main w && cd w && echo 1 > f && git add f && \
                  git -c user.name=t -c user.email=t@t commit -q -m one && git clone -q --bare . ../git/sha.git";
    run(Command::new("sh").args(["-ec", script]).current_dir(place.directory.path()));
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let old = serve(&tokio, old_server(&place.path("git"), &["none"]));
    for url in [format!("{}/git/sha.git", place.web), format!("http://{old}/sha.git")] {
        for wanted in [main(), Revision::Commit { id: "1".repeat(64), git_ref: None }] {
            let mirrors = tempfile::tempdir().unwrap();
            let error = fetch(mirrors.path(), &url, &wanted, TIMEOUT).unwrap_err();
            assert_eq!(error.code(), "repository_unsupported", "{url}: {error}");
            assert!(error.to_string().contains("SHA-256") && !error.is_transient(), "{error}");
        }
    }
}

#[test]
fn the_login_of_a_host_and_port_is_used_and_errors_say_whether_one_was() {
    // US-09
    let server = Hostile::start(|_| Reply::status(401, "WWW-Authenticate: Basic realm=\"x\"\r\n"));
    let (host, port) = server.address.split_once(':').unwrap();
    let failed = |configuration: &str| {
        let yard = Yard::start(configuration);
        let _worker = yard.worker(&[]);
        let mut request: BuildRequest = yard.request(&"1".repeat(40));
        request.spec.clone_url = format!("http://{}/app.git", server.address);
        let (state, code, message) = yard.failed(&yard.queue(&request));
        assert_eq!((state.as_str(), code.as_str()), ("failed", "source_auth"), "{message}");
        message
    };
    let login = |host: &str, user: &str| format!("[git.\"{host}\"]\nusername = \"{user}\"\npassword = \"pw\"\n");
    let none = failed(&login("example.com", "other"));
    assert!(none.contains(&format!("no login is configured for {host}:{port}")), "{none}");
    assert!(!server.asked().contains("authorization"), "nothing was sent");
    let other = failed(&login(&format!("{host}:1"), "other"));
    assert!(other.contains("no login is configured"), "{other}");
    let both = failed(&(login(host, "plain") + &login(&format!("{host}:{port}"), "with-port")));
    assert!(both.contains(&format!("the login for {host}:{port} was refused")), "{both}");
    let sent = "d2l0aC1wb3J0OnB3";
    assert!(server.asked().contains(sent), "{}", server.asked());
}

/// Returns a git server that writes down whether each request had a login.
fn noting(directory: &Path, logins: &Arc<Mutex<Vec<(String, bool)>>>) -> Router {
    let logins = logins.clone();
    git_server::router(directory.to_owned()).layer(middleware::from_fn(
        move |request: Request, next: middleware::Next| {
            let has_login = |headers: &HeaderMap| headers.contains_key(header::AUTHORIZATION);
            let note = (request.uri().path().to_owned(), has_login(request.headers()));
            logins.lock().unwrap().push(note);
            async move { next.run(request).await }
        },
    ))
}

#[test]
fn no_login_goes_to_what_a_submodule_of_another_host_names() {
    // US-09: the outer repository is on one host, its submodule on another, and that one's on the first again
    let place = Place::new();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let (first, second) = (Arc::default(), Arc::default());
    let one = serve(&tokio, noting(&place.path("git"), &first));
    let two = serve(&tokio, noting(&place.path("git"), &second));
    let with = |inner: &str, address: &str| {
        format!("git -c protocol.http.allow=always submodule add -q http://{address}/{inner}.git {inner} && ")
    };
    place.repository("inner", &[("f", "1")], "");
    place.repository("middle", &[("f", "2")], &with("inner", &one));
    place.repository("beside", &[("f", "3")], "");
    let modules = with("middle", &two) + &with("beside", &one);
    place.repository("outer", &[("f", "4")], &modules);
    let [first, second]: [&Mutex<Vec<(String, bool)>>; 2] = [&first, &second];
    first.lock().unwrap().clear();
    second.lock().unwrap().clear();
    let settings = FetchSettings {
        client: registry_client::Client::new(registry_client::Settings::default()).unwrap(),
        tokio: tokio.handle().clone(),
        credentials: Some(("me".to_owned(), "secret".to_owned())),
        ssh: None,
        timeout: TIMEOUT,
        cancel: runtime::CancellationToken::new(),
        reach: registry_client::Reach::Anywhere,
        elsewhere: registry_client::Reach::Anywhere,
        apart: false,
    };
    let fetching = Fetching { mirrors: place.path("mirrors"), settings, lfs: None, max_paths: 1000 };
    let git = GitContext::parse(&format!("http://{one}/outer.git#main")).unwrap().unwrap();
    Checkout::fetch(&git, &fetching, false).map_err(|error: SourceError| format!("{error:?}")).unwrap();
    let shown = |notes: &Mutex<Vec<(String, bool)>>, name: &str| {
        let notes = notes.lock().unwrap();
        let of_name: Vec<_> =
            notes.iter().filter(|(path, _)| path.starts_with(name)).map(|(_, login)| *login).collect();
        assert!(!of_name.is_empty(), "{name}: {notes:?}");
        of_name.into_iter().any(|login| login)
    };
    assert!(shown(first, "/outer.git") && shown(first, "/beside.git"), "the same host");
    assert!(!shown(second, "/middle.git"), "another host");
    assert!(!shown(first, "/inner.git"), "the first host, named by another");
}
