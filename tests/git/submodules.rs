//! Submodules: they are part of the context, fetched as the repository is, and strangers reach nothing by them.

use crate::support::worker_pool::{Yard, git, hook_image, serve};
use crate::support::{git_server, push_base, run};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, middleware};
use database::BuildRequest;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The token of the operator that must turn up nowhere.
const TOKEN: &str = "canary-token-of-the-operator";

/// How a login with it is shown.
const LOGIN: &str = "Basic bWU6Y2FuYXJ5LXRva2VuLW9mLXRoZS1vcGVyYXRvcg==";

/// A submodule: where it stands, its URL, its commit.
type Module<'m> = (&'m str, &'m str, &'m str);

/// Makes the repository `name` with these files and submodules and returns its commit.
fn repository(directory: &Path, name: &str, files: &[(&str, &str)], modules: &[Module<'_>]) -> String {
    let (bare, work) = (directory.join(format!("git/{name}.git")), directory.join(format!("{name}.work")));
    if !bare.exists() {
        run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
        run(Command::new("git").args(["init", "-q", "-b", "main"]).arg(&work));
    }
    let listed = |(path, url, _): &Module<'_>| format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    std::fs::write(work.join(".gitmodules"), modules.iter().map(listed).collect::<String>()).unwrap();
    for (path, content) in files {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    git(&work, &["add", "-A"]);
    for (path, _, commit) in modules {
        git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
    }
    git(&work, &["commit", "-q", "--allow-empty", "-m", "A commit"]);
    git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), "HEAD:main"]);
    git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn dockerfile(steps: &str) -> String {
    format!("ARG BASE\nFROM ${{BASE}}\n{steps}\n")
}

#[test]
fn a_submodule_s_directory_holds_its_files() {
    // hub-feedback#1089, #718
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let place = yard.directory.path();
    let inner = repository(place, "inner", &[("g", "inner")], &[]);
    let lib = |content: &str| {
        let files = [("f", content), ("docs/d", "1"), ("Dockerfile", "FROM scratch\nCOPY f g /\n"), ("g", "own")];
        repository(place, "lib", &files, &[("inner", "./../inner.git", &inner)])
    };
    let steps = "COPY . /c\nRUN test $(cat /c/lib/f) = 1 && test $(cat /c/lib/inner/g) = inner && ! test -e /c/lib/docs\n\
                 RUN --mount=type=bind,source=other/lib/inner,target=/m test $(cat /m/g) = inner";
    let app = |lib: &str, steps: &str| {
        let absolute = format!("http://{}/lib.git", yard.git);
        let modules = [("lib", "../lib.git", lib), ("other/lib", absolute.as_str(), lib)];
        repository(place, "app", &[("Dockerfile", &dockerfile(steps)), (".dockerignore", "lib/docs\n")], &modules)
    };
    let first = lib("1");
    let request = yard.request(&app(&first, steps));
    let built = yard.queue(&request);
    yard.succeeded(&built);
    // The same commit of the submodule by another commit of the repository: the content decides.
    let again = yard.queue(&yard.request(&app(&first, steps)));
    yard.succeeded(&again);
    let layers = |id| {
        let steps = yard.tokio.block_on(yard.database.steps(id)).unwrap();
        steps.into_iter().filter_map(|step| Some((step.layer_digest?, step.cached))).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (old, new) = (layers(&built), layers(&again));
    assert!(old.0.len() >= 2 && old.0 == new.0 && new.1.iter().all(|cached| *cached), "{old:?} {new:?}");
    // Another commit of it is another context.
    let (_, code, _) = yard.failed(&yard.queue(&yard.request(&app(&lib("2"), steps))));
    assert_eq!(code, "step_failed");
    // The context and the Dockerfile may lie in it.
    let mut request = yard.request(&app(&first, "RUN true"));
    (request.spec.context, request.spec.dockerfile) = ("lib".to_owned(), "lib/Dockerfile".to_owned());
    yard.succeeded(&yard.queue(&request));
}

#[test]
fn a_submodule_that_cannot_be_fetched_fails_the_build_and_says_why() {
    // SV-33
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let place = yard.directory.path();
    let lib = repository(place, "lib", &[("f", "1")], &[]);
    let gone = "1".repeat(40);
    let ends = |module: Module<'_>, ignored: &str, change: &dyn Fn(&mut BuildRequest)| {
        let file = dockerfile("COPY . /c");
        let commit = repository(place, "app", &[("Dockerfile", &file), (".dockerignore", ignored)], &[module]);
        let mut request = yard.request(&commit);
        change(&mut request);
        yard.queue(&request)
    };
    let as_it_is = |_: &mut BuildRequest| ();
    for (module, reason) in [
        (("d/lib", "../missing.git", lib.as_str()), "is not a git repository"),
        (("d/lib", "../lib.git", &gone), "the branch was rewritten or the commit never pushed"),
        (("d/lib", "file:///etc", &lib), "only http, https and ssh"),
        (("d/lib", "-u;x", &lib), "is not a URL"),
        (("d/lib", "http://me:hush@127.0.0.1:1/lib.git", &lib), "not public"),
    ] {
        let id = ends(module, "", &as_it_is);
        let (state, code, message) = yard.failed(&id);
        assert_eq!((state.as_str(), code.as_str()), ("failed", "submodule_not_fetched"), "{message}");
        assert!(message.contains("`d/lib`") && message.contains(reason) && !message.contains("hush"), "{message}");
        assert!(message.contains(&module.2[..12]) && yard.build(&id).attempt == 1, "{message}");
    }
    let module = ("d/lib", "../missing.git", lib.as_str());
    yard.succeeded(&ends(module, "d\n", &as_it_is));
    // A rule that leaves them out fails where one is taken.
    let left_out = |request: &mut BuildRequest| request.spec.options.submodules = false;
    let id = ends(("d/lib", "../lib.git", &lib), "", &left_out);
    let (_, code, message) = yard.failed(&id);
    assert_eq!(code, "submodule_not_fetched", "{message}");
    assert!(message.contains("take other directories") && yard.log(&id).contains("submodules are not fetched"));
    // A chain of repositories ends.
    let mut inner = repository(place, "loop", &[("f", "0")], &[]);
    for _ in 0..9 {
        inner = repository(place, "loop", &[], &[("again", "./", &inner)]);
    }
    let (_, code, message) = yard.failed(&ends(("loop", "../loop.git", &inner), "", &as_it_is));
    assert!(code == "invalid_clone_url" && message.contains("8 levels"), "{code}: {message}");
}

/// Requests: path, and the login that was shown.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// Returns a git server that gives repositories only to those who know the token.
fn private(directory: &Path, asked: &Asked) -> Router {
    let asked = asked.clone();
    git_server::router(directory.join("git")).layer(middleware::from_fn(
        move |request: Request, next: middleware::Next| {
            let shown = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            asked.lock().unwrap().push((request.uri().path().to_owned(), shown.clone()));
            let allowed = shown.is_some_and(|shown| shown == LOGIN);
            async move { if allowed { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() } }
        },
    ))
}

#[test]
fn a_stranger_s_submodules_reach_nothing_that_the_operator_may() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let (own, other): (Asked, Asked) = Default::default();
    let servers = tempfile::tempdir().unwrap();
    std::fs::create_dir(servers.path().join("git")).unwrap();
    let own_host = serve(&tokio, private(servers.path(), &own));
    let other_host = serve(&tokio, private(servers.path(), &other));
    let login = |host: &str| format!("[git.\"{host}\"]\nusername = \"me\"\npassword = \"{TOKEN}\"\n");
    let yard =
        Yard::start(&format!("[network]\nallow = [\"127.0.0.0/8\"]\n{}{}", login(&own_host), login(&other_host)));
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let place = servers.path();
    let secret = repository(place, "secret", &[("f", "secret")], &[]);
    // The inner one of another server names a repository of the first.
    let back = format!("http://{own_host}/secret.git");
    let middle = repository(place, "middle", &[("f", "1")], &[("back", &back, &secret)]);
    let elsewhere = format!("http://{other_host}/secret.git");
    let ends = |module: Module<'_>, trusted: bool| {
        [&own, &other].iter().for_each(|asked| asked.lock().unwrap().clear());
        let file = dockerfile("COPY . /c");
        let mut request = yard.request(&repository(place, "app", &[("Dockerfile", &file)], &[module]));
        request.spec.clone_url = format!("http://{own_host}/app.git");
        request.spec.options.trusted = trusted;
        request.spec.push = trusted;
        yard.queue(&request)
    };
    let shown = || {
        let asked = [own.lock().unwrap().clone(), other.lock().unwrap().clone()].concat();
        asked.into_iter().filter(|(path, login)| !path.starts_with("/app.git") && login.is_some()).count()
    };
    let same = ("lib", "../secret.git", secret.as_str());
    yard.succeeded(&ends(same, true));
    assert!(shown() > 0, "the repository's own people use the login");
    yard.succeeded(&ends(("lib", &elsewhere, &secret), true));
    assert!(shown() > 0, "of each server its own");
    // A stranger does not have the commits that the builds before fetched.
    let climbing = format!("../../../..//{own_host}/secret.git");
    for (module, reason) in [
        (same, "fetches submodules without logins"),
        (("lib", back.as_str(), &secret), "fetches submodules without logins"),
        (("lib", elsewhere.as_str(), &secret), "not public"),
        (("lib", climbing.as_str(), &secret), "fetches submodules without logins"),
    ] {
        let (_, code, message) = yard.failed(&ends(module, false));
        assert_eq!((code.as_str(), shown()), ("submodule_not_fetched", 0), "{message}");
        assert!(message.contains(reason), "{message}");
    }
    let nested = format!("http://{other_host}/middle.git");
    let (_, code, message) = yard.failed(&ends(("lib", &nested, &middle), true));
    assert!(code == "submodule_not_fetched" && message.contains("`lib/back`"), "{message}");
    let of_own: Vec<_> = own.lock().unwrap().iter().filter(|(path, _)| path.starts_with("/secret")).cloned().collect();
    assert!(!of_own.is_empty() && of_own.iter().all(|(_, login)| login.is_none()), "{of_own:?}");
    found_nowhere(&yard.path("data"));
    assert!(!std::fs::read_to_string(yard.path("worker.log")).unwrap().contains(TOKEN));
}

/// Checks that the token is in no file below `directory`: database, mirrors, notes, layers.
fn found_nowhere(directory: &Path) {
    let found = Command::new("grep").args(["-rlaF", TOKEN]).arg(directory).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn hooks_find_the_files_of_submodules() {
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    hook_image(&yard);
    let _worker = yard.worker(&[]);
    let place = yard.directory.path();
    let inner = repository(place, "inner", &[("g", "inner")], &[]);
    let lib = repository(place, "lib", &[("f", "lib")], &[("inner", "./../inner.git", &inner)]);
    let steps = dockerfile("COPY made lib/inner/g /");
    let hook = "#!/bin/sh\nset -e\ntest $(cat docs/f) = lib\ncat lib/f lib/inner/g > made\n";
    // A hook sees the whole clone, whatever the ignore file leaves out of the context.
    let files = [("Dockerfile", steps.as_str()), (".dockerignore", "docs\n"), ("hooks/pre_build", hook)];
    let modules = [("lib", "../lib.git", lib.as_str()), ("docs", "../lib.git", lib.as_str())];
    let mut request = yard.request(&repository(place, "app", &files, &modules));
    request.spec.options.hub_hooks = true;
    yard.succeeded(&yard.queue(&request));

    // A rule that wants none has empty directories, as a clone that is not recursive.
    request.spec.options.submodules = false;
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "hook_failed"), "{message}");
}
