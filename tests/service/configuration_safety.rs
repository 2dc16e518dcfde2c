//! Safety of configurations, of stored secrets, and of what forges are told.

use crate::support::raw_http::push;
use crate::support::{SECRET, Site, TOKEN, curl, slipway, wait_for};
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ADMIN: &str = "0123456789abcdef-admin";

fn admin() -> String {
    format!("[[tokens]]\nname = \"admin\"\ntoken = \"{ADMIN}\"\nscopes = [\"admin\"]\n")
}

fn ask(site: &Site, method: &str, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Authorization: Bearer {ADMIN}");
    let url = format!("{}{path}", site.url);
    let answer = curl(&["-X", method, "-H", &bearer, "-H", "Content-Type: application/json", "-d", body, &url]);
    (answer.status, answer.json())
}

#[test]
fn the_data_directory_is_its_account_s_alone() {
    // SEC-M4
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(data.join("git")).unwrap();
    std::fs::write(data.join("slipway.db"), b"").unwrap();
    for (path, mode) in [("", 0o755), ("git", 0o755), ("slipway.db", 0o644)] {
        std::fs::set_permissions(data.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let created = slipway().args(["token", "create", "--scope", "read", "--data-dir"]).arg(&data).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("git")), mode(&data.join("slipway.db"))), (0o700, 0o700, 0o600));
    let site = Site::start("");
    site.push_base();
    let commit =
        site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN umask > /mask && test \"$(cat /mask)\" = 0022\n")]);
    site.succeeded(&site.push(&commit));
    let mut left = vec![site.path("data")];
    while let Some(path) = left.pop() {
        // Files unpacked for steps have the modes of the image, behind directories that no other account enters.
        if path.ends_with("sandbox/state") {
            continue;
        }
        let known = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(site.path("data")).unwrap().to_string_lossy().into_owned();
        if name.is_empty() || ["git", "slipway.db", "secret.key"].iter().any(|start| name.starts_with(start)) {
            assert!(known.is_symlink() || known.permissions().mode() & 0o077 == 0, "{name}");
        }
        if known.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(std::fs::read_to_string("packaging/slipway.service").unwrap().contains("UMask=0077"));
}

#[test]
fn nothing_that_is_secret_lies_in_the_database_as_it_is() {
    // SEC-M4
    let site = Site::start(&admin());
    let document = json!({
        "name": "team/sealed", "clone_url": format!("http://{}/app.git", site.git), "secret": "a secret of deliveries",
        "image": format!("{}/team/sealed", site.registry), "rules": [{ "branch": "main", "env": { "KEY": "canary-of-env" } }],
        "webhooks": [{ "name": "chat", "url": "https://140.82.121.4/canary-of-url", "secret": "canary-of-key" }],
    });
    let (status, answer) = ask(&site, "POST", "/v1/repos", &document.to_string());
    assert_eq!(status, 201, "{answer}");
    let (status, answer) =
        ask(&site, "POST", "/v1/repos/team/sealed/builds", r#"{"ref":"main","build_args":{"X":"canary-of-argument"}}"#);
    assert_eq!(status, 202, "{answer}");
    let (_, shown) = ask(&site, "GET", "/v1/repos/team/sealed", "");
    assert_eq!(shown["rules"][0]["env"]["KEY"], "canary-of-env", "who administers it sees it: {shown}");
    for file in ["data/slipway.db", "data/slipway.db-wal"] {
        let bytes = std::fs::read(site.path(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        for canary in
            ["canary-of-env", "canary-of-url", "canary-of-key", "canary-of-argument", "a secret of deliveries"]
        {
            assert!(!text.contains(canary), "{file} holds {canary}");
        }
    }
}

#[test]
fn bodies_of_the_api_are_objects_with_each_key_once() {
    // SEC-m7
    let site = Site::start(&admin());
    let deep = format!("{{\"ref\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let bad = [
        "[]",
        "null",
        "\"x\"",
        "1",
        "true",
        "[{}]",
        r#"{"ref":"main","ref":"x"}"#,
        r#"{"nosuch":1}"#,
        r#"{"ref":1}"#,
        r#"{"build_args":[]}"#,
        r#"{"build_args":{"A":1}}"#,
        r#"{"build_args":{"A":"1","A":"2"}}"#,
        r#"{"ref":"main"} x"#,
        "{",
        &deep,
    ];
    let paths = [
        ("POST", "/v1/repos/team/app/builds"),
        ("POST", "/v1/repos/team/app/rules:test"),
        ("POST", "/v1/repos"),
        ("PUT", "/v1/repos/team/new"),
        ("PUT", "/v1/repos/team/app/secrets/npm"),
        ("POST", &format!("/u/team/app/trigger/{ADMIN}")),
    ];
    for (method, path) in paths {
        for body in bad {
            let (status, answer) = ask(&site, method, path, body);
            assert!(matches!(status, 400 | 422), "{method} {path} {body:.60}: {status} {answer}");
            assert!(answer["detail"].as_str().is_some_and(|detail| !detail.contains("struct")), "{answer}");
        }
    }
    assert_eq!(
        ask(&site, "POST", "/v1/repos/team/app/builds", r#"{"platforms":["linux/foo"]}"#).1["code"],
        "invalid_platforms"
    );
    assert_eq!(site.get("/v1/builds")["builds"], json!([]), "nothing of it was queued");
}

#[test]
fn configurations_that_mean_nothing_are_refused_with_the_nearest_value() {
    // US-14, SV-37
    let directory = tempfile::tempdir().unwrap();
    let repository = "[[repositories]]\nname = \"team/app\"\nclone_url = \"https://example.com/app.git\"\nsecret = \"long enough\"\nimage = \"r.example.com/a\"\n";
    let rule = |keys: &str| format!("{repository}[[repositories.rules]]\n{keys}");
    let token = |names: &str| {
        let server = "[server]\nlisten = \"127.0.0.1:0\"\nregistry_listen = \"127.0.0.1:0\"\nworkers = 0\n";
        format!(
            "{server}{repository}[[tokens]]\nname = \"t\"\ntoken = \"0123456789abcdef\"\nscopes = [\"read\"]\nrepositories = [{names}]\n"
        )
    };
    let cases = [
        (rule("branch = \"main\"\nplatforms = [\"linux/amd46\"]"), "did you mean `linux/amd64`?"),
        (rule("tag = '/^v(.+)$/'\ntags = ['{\\2}']"), "has one group"),
        (rule("branch = 'main'\nbuild_args = { A = '{\\1}' }"), "is a name and no expression"),
        (rule("branch = 'main'\npaths = [\"[a\"]"), "is not closed"),
        ("[sandbox]\nallow_unprotected = [\"netwrk\"]".to_owned(), "did you mean `network`?"),
        (
            "[registries.\"https://r.example.com/v2/\"]\nusername = \"u\"\npassword = \"p\"".to_owned(),
            "write `r.example.com`",
        ),
        ("[git.\"https://example.com\"]\nusername = \"u\"\npassword = \"p\"".to_owned(), "write `example.com`"),
        (repository.replace("long enough", "abc"), "guessed too easily"),
        (token("\"team/ap\""), "did you mean `team/app`?"),
        (repository.replace("https://", "https://bot:hush@"), "clone_url holds credentials"),
        ("[server]\npublic_url = \"https://bot:hush@example.com\"".to_owned(), "holds a login"),
        ("server = []".to_owned(), "an object"),
    ];
    for (text, expected) in cases {
        let config = directory.path().join("slipway.toml");
        std::fs::write(&config, &text).unwrap();
        let output = slipway()
            .arg("serve")
            .arg("--data-dir")
            .arg(directory.path())
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected) && !said.contains("hush"), "{text}\n{said}");
    }
}

#[test]
fn tokens_are_for_repositories_that_there_are() {
    // US-14
    let site = Site::start("");
    let create = |name: &str| {
        let mut command = slipway();
        command.args(["token", "create", "--scope", "read", "--repo", name, "--data-dir"]).arg(site.path("data"));
        let output = command.arg("--config").arg(site.path("slipway.toml")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(create("team/app").0);
    for (name, expected) in [("team/ap", "did you mean `team/app`?"), ("app", "namespace/name")] {
        let (created, said) = create(name);
        assert!(!created && said.contains(expected), "{said}");
    }
    let (created, said) = create("quite/different");
    assert!(created && said.contains("no repository `quite/different` yet"), "{said}");
}

#[test]
fn a_tag_is_built_whatever_its_commit_says_and_links_lie_below_the_path() {
    // SV-23, SV-40
    let site = Site::start_with("public_url = \"https://host.example/ci\"", &admin());
    let marked = "chore(release): 1.2.3 [skip ci]";
    let deliver = |id: &str, git_ref: &str, message: &str| {
        site.deliver("push", id, &push(git_ref, &"1".repeat(40), message), SECRET)
    };
    assert_eq!(deliver("1", "refs/heads/main", marked).json()["reason"], "skip_marker");
    assert_eq!(deliver("2", "refs/tags/v1.2.3", marked).status, 202);
    let squash =
        deliver("3", "refs/heads/main", "Merge (#7)\n\n* chore: x [skip ci]\n\n* fix: y\n\nCo-authored-by: a <b@c>");
    assert_eq!(squash.status, 202, "{}", squash.text);
    let id = squash.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    assert!(
        squash.json()["builds"][0]["status_url"].as_str().unwrap().starts_with("https://host.example/ci/v1/builds/")
    );
    site.finished(&id);
    let forge = format!("http://{}/app/", site.git);
    for path in [
        "/",
        "/login",
        "/queue",
        "/repos",
        "/repos/team/app",
        "/deliveries",
        &format!("/builds/{id}"),
        &format!("/builds/{id}/explain"),
        "/nosuch",
    ] {
        let page = curl(&["-H", "Accept: text/html", &format!("{}{path}", site.url)]).text;
        let links: Vec<&str> = ["href=\"", "src=\"", "action=\"", "data-follow=\""]
            .iter()
            .flat_map(|name| page.split(name).skip(1).map(|rest| rest.split('"').next().unwrap()))
            .collect();
        assert!(links.len() > 4, "{path}: {page}");
        for link in links {
            assert!(link.starts_with("/ci/") || link.starts_with(&forge) || link.starts_with('#'), "{path}: {link}");
        }
    }
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let head = curl(&[
        "-i",
        "-X",
        "POST",
        "-H",
        &bearer,
        "-d",
        r#"{"ref":"main"}"#,
        &format!("{}/v1/repos/team/app/builds", site.url),
    ])
    .text;
    let location =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("location: ").map(str::to_owned)).unwrap();
    assert!(location.contains("/ci/v1/builds/"), "{location}");
}

#[test]
fn a_badge_is_of_the_default_branch() {
    // US-13
    let site = Site::start("");
    site.push_base();
    let badge =
        |query: &str| site.get(&format!("/badges/team/app.json{query}"))["message"].as_str().unwrap().to_owned();
    let good = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    site.succeeded(&site.push(&good));
    assert_eq!(badge(""), "passing");
    let other = site.deliver("push", "other", &push("refs/heads/master", &"8".repeat(40), "m"), SECRET).json();
    site.finished(other["builds"][0]["id"].as_str().unwrap());
    // Pages that had a badge of Docker Hub's change the host alone.
    for path in ["/docker/cloud/build/team/app", "/docker/build/team/app.svg"] {
        let picture = curl(&[&format!("{}{path}", site.url)]);
        assert!(picture.status == 200 && picture.text.contains("docker build: passing"), "{path}: {}", picture.text);
    }
    assert_eq!(site.get("/docker/cloud/build/team/app.json")["message"], "passing");
    // The forge says that the default branch is main.
    assert_eq!((badge("").as_str(), badge("?branch=master").as_str()), ("passing", "failing"));
    let bad = site.deliver("push", "tag", &push("refs/tags/v9", &"9".repeat(40), "m"), SECRET).json();
    site.finished(bad["builds"][0]["id"].as_str().unwrap());
    assert_eq!(
        (badge("").as_str(), badge("?tag=v9").as_str(), badge("?branch=nosuch").as_str()),
        ("passing", "failing", "unknown")
    );
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Starts a GitHub that refuses every status in words of its own, and a site that tells it of builds.
fn refusing() -> (Seen, tokio::runtime::Runtime, Site) {
    let seen: Seen = Arc::default();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let (api, noted) = (listener.local_addr().unwrap(), seen.clone());
    let router = Router::new().fallback(move |uri: Uri, body: String| {
        noted.lock().unwrap().push(format!("{} {body}", uri.path()));
        async {
            let answer =
                json!({ "message": "Resource not accessible by personal access token", "documentation_url": "x" });
            (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(answer))
        }
    });
    tokio.spawn(async move { axum::serve(listener, router).await });
    let site = Site::start(&format!("[github]\napi_url = \"http://{api}/\"\ntoken = \"forge-token\"\n{}", admin()));
    (seen, tokio, site)
}

#[test]
fn statuses_go_to_the_forge_of_the_repository_alone_and_refusals_are_shown() {
    // US-22, and nothing is sent to GitHub for other forges
    let (seen, _tokio, site) = refusing();
    let body = json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": "a".repeat(40), "checkout_sha": "a".repeat(40),
        "project": { "path_with_namespace": "Codertocat/Hello-World" }, "commits": [],
    });
    let (token, hook) = (format!("X-Gitlab-Token: {SECRET}"), format!("{}/hooks/gitlab", site.url));
    let gitlab = curl(&[
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-Gitlab-Event: Push Hook",
        "-H",
        &token,
        "-H",
        "Idempotency-Key: 1",
        "-d",
        &body.to_string(),
        &hook,
    ]);
    assert_eq!(gitlab.status, 202, "{}", gitlab.text);
    let id = gitlab.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    site.finished(&id);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(seen.lock().unwrap().is_empty(), "{:?}", seen.lock().unwrap());
    let said = site.get(&format!("/v1/builds/{id}"))["status_problem"]["problem"].clone();
    assert!(said.as_str().is_some_and(|said| said.contains("nothing was sent")), "{said}");
    let github = site.deliver("push", "1", &push("refs/heads/main", &"b".repeat(40), "m"), SECRET).json();
    let id = github["builds"][0]["id"].as_str().unwrap().to_owned();
    let words = "Resource not accessible by personal access token";
    wait_for("the refusal", || {
        let build = site.get(&format!("/v1/builds/{id}"));
        build["status_problem"]["problem"].as_str().is_some_and(|text| text.contains(words)).then_some(())
    });
    assert!(site.get("/v1/repos/team/app")["meta"]["status_problem"]["problem"].as_str().unwrap().contains(words));
    for path in [format!("/builds/{id}"), "/repos/team/app".to_owned()] {
        assert!(curl(&[&format!("{}{path}", site.url)]).text.contains(words), "{path}");
    }
    assert!(std::fs::read_to_string(site.path("serve.log")).unwrap().contains(words));
}

#[test]
fn a_broken_file_of_own_rules_fails_its_commit() {
    // US-22
    let (seen, _tokio, site) = refusing();
    let document = json!({
        "name": "own/app", "forge_name": "Codertocat/Own", "clone_url": format!("http://{}/app.git", site.git),
        "secret": "the secret of its own", "image": format!("{}/own/app", site.registry), "own_rules": {},
    });
    assert_eq!(ask(&site, "POST", "/v1/repos", &document.to_string()).0, 201);
    let commit = site.commit(&[("Dockerfile", "FROM scratch\n"), ("slipway.toml", "[[rules]]\nbranhc = \"main\"\n")]);
    let body = push("refs/heads/main", &commit, "m").replace("Codertocat/Hello-World", "Codertocat/Own");
    let answer = site.deliver("push", "own", &body, "the secret of its own");
    assert_eq!(answer.status, 202, "{}", answer.text);
    wait_for("the failing status", || {
        let seen = seen.lock().unwrap();
        let path = format!("/repos/Codertocat/Own/statuses/{commit} ");
        seen.iter().any(|one| one.starts_with(&path) && one.contains("failure") && one.contains("branhc")).then_some(())
    });
    let shown = site.get("/v1/repos/own/app");
    assert!(shown["meta"]["own_rules_problem"].as_str().unwrap().contains("branhc"), "{shown}");
    assert!(curl(&[&format!("{}/repos/own/app", site.url)]).text.contains("branhc"));
}

#[test]
fn what_docker_hub_would_have_executed_is_said() {
    let site = Site::start("");
    site.push_base();
    let commit = site.commit(&[
        ("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n"),
        ("hooks/pre_build", "#!/bin/sh\n"),
        ("docker-compose.test.yml", "sut:\n"),
    ]);
    let id = site.push(&commit);
    let build = site.succeeded(&id);
    let warnings: Vec<&str> = build["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(warnings.iter().any(|text| text.contains("`hooks/pre_build` not executed")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("`docker-compose.test.yml` not executed")), "{warnings:?}");
    assert!(curl(&[&format!("{}/builds/{id}", site.url)]).text.contains("hooks/pre_build"));
    assert!(site.log(&id).contains("WARNING: `hooks/pre_build`"));
}
