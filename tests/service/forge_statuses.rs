//! Commit statuses on every forge: push, hook, build, status, told to servers that refuse what the forges would refuse.

use crate::service::api::{ADMIN, ask};
use crate::service::forges::{deliver, signature};
use crate::support::forge_server::{ForgeServer, Mood, REPOSITORY};
use crate::support::{SECRET, Site, curl, slipway, wait_for};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Token of the forges; it must appear nowhere.
const TOKEN: &str = "glpat-canary-5f1c0a77d2";
/// Steps of which the last one fails with words of its own.
const BROKEN: &str = "ARG BASE\nFROM ${BASE}\nRUN echo 'make: *** [build] Error 2' && exit 2\n";

/// Returns the path and the body with which a forge of this kind tells of a push to the main branch.
fn told_push(kind: &str, commit: &str) -> (&'static str, String) {
    let name = format!("{}/{}", REPOSITORY.0, REPOSITORY.1);
    let zero = "0".repeat(40);
    let like_github = json!({
        "ref": "refs/heads/main", "before": zero, "after": commit, "head_commit": { "id": commit, "message": "m" },
        "repository": { "full_name": name, "default_branch": "main" }, "pusher": { "login": "me" }, "commits": [],
    });
    let (path, body) = match kind {
        "gitlab" => (
            "/hooks/gitlab",
            json!({
                "object_kind": "push", "ref": "refs/heads/main", "before": zero, "after": commit, "checkout_sha": commit,
                "project": { "path_with_namespace": name }, "commits": [],
            }),
        ),
        "bitbucket" => (
            "/hooks/bitbucket",
            json!({
                "push": { "changes": [{ "old": null, "new": { "type": "branch", "name": "main", "target": { "hash": commit, "message": "m" } } }] },
                "repository": { "full_name": name }, "actor": { "nickname": "me" },
            }),
        ),
        "bitbucket-datacenter" => (
            "/hooks/bitbucket",
            json!({
                "changes": [{ "ref": { "id": "refs/heads/main" }, "fromHash": zero, "toHash": commit, "type": "UPDATE" }],
                "repository": { "slug": REPOSITORY.1, "project": { "key": REPOSITORY.0 } }, "actor": { "name": "me" },
            }),
        ),
        "github" => ("/hooks/github", like_github),
        _ => ("/hooks/gitea", like_github),
    };
    (path, body.to_string())
}

/// Returns the headers of that.
fn headers_of(kind: &str, commit: &str, signed: &str) -> Vec<String> {
    match kind {
        "gitlab" => vec![
            "X-Gitlab-Event: Push Hook".to_owned(),
            format!("X-Gitlab-Token: {SECRET}"),
            format!("Idempotency-Key: {commit}"),
        ],
        "bitbucket" => vec![
            "X-Event-Key: repo:push".to_owned(),
            format!("X-Request-UUID: {commit}"),
            format!("X-Hub-Signature: sha256={signed}"),
        ],
        "bitbucket-datacenter" => vec![
            "X-Event-Key: repo:refs_changed".to_owned(),
            format!("X-Request-Id: {commit}"),
            format!("X-Hub-Signature: sha256={signed}"),
        ],
        "github" => vec![
            "X-GitHub-Event: push".to_owned(),
            format!("X-GitHub-Delivery: {commit}"),
            format!("X-Hub-Signature-256: sha256={signed}"),
        ],
        _ => vec![
            "X-Gitea-Event: push".to_owned(),
            format!("X-Gitea-Delivery: {commit}"),
            format!("X-Gitea-Signature: {signed}"),
        ],
    }
}

/// Delivers a push to the main branch as a forge of this kind does.
fn push_as(site: &Site, kind: &str, commit: &str) -> String {
    let (path, body) = told_push(kind, commit);
    let headers = headers_of(kind, commit, &signature(&body));
    let (status, answer) = deliver(site, path, &headers, &body);
    assert_eq!(status, 202, "{answer}");
    answer["builds"][0]["id"].as_str().unwrap().to_owned()
}

/// Runs two pushes through a forge: one whose build succeeds, one whose build fails.
fn flow(kind: &'static str, begun: &str, words: [&str; 2]) {
    let forge = ForgeServer::start(kind, TOKEN);
    let site = Site::start(&forge.section("127.0.0.1"));
    site.push_base();
    for (dockerfile, last) in [("ARG BASE\nFROM ${BASE}\nRUN true\n", words[0]), (BROKEN, words[1])] {
        let commit = site.commit(&[("Dockerfile", dockerfile)]);
        let id = push_as(&site, kind, &commit);
        site.finished(&id);
        wait_for("the last status", || (forge.states(&commit).last().map(String::as_str) == Some(last)).then_some(()));
        assert_eq!(forge.states(&commit).first().map(String::as_str), Some(begun));
        let told = forge.told().pop().unwrap();
        assert_eq!((told.name.as_str(), told.url), ("slipway/main", format!("{}/builds/{id}", site.url)));
        match dockerfile == BROKEN {
            true => assert_eq!(told.description, "RUN (Dockerfile:3) exit 2: make: *** [build] Error 2"),
            false => {
                let (start, rest) = told.description.split_once(": ").unwrap();
                assert_eq!(start, format!("latest, {}", &commit[..7]));
                assert!(rest.contains("B in ") && rest.ends_with(" of 1 steps cached"), "{rest}");
            }
        }
        let named = match kind {
            "gitlab" | "bitbucket" => Some("main"),
            "bitbucket-datacenter" => Some("refs/heads/main"),
            _ => None,
        };
        assert_eq!(told.git_ref.as_deref(), named);
        assert_eq!(site.get(&format!("/v1/builds/{id}"))["status_problem"], Value::Null);
    }
}

#[test]
fn github_enterprise_is_told() {
    flow("github", "pending", ["success", "failure"]);
}

#[test]
fn gitlab_is_told() {
    flow("gitlab", "pending", ["success", "failed"]);
}

#[test]
fn gitea_and_forgejo_are_told() {
    flow("gitea", "pending", ["success", "failure"]);
    flow("forgejo", "pending", ["success", "failure"]);
}

#[test]
fn bitbucket_is_told() {
    flow("bitbucket", "INPROGRESS", ["SUCCESSFUL", "FAILED"]);
    flow("bitbucket-datacenter", "INPROGRESS", ["SUCCESSFUL", "FAILED"]);
}

/// Commits a Dockerfile that cannot be built, pushes it as a forge of this kind and returns the build at its end.
fn fail(site: &Site, kind: &str) -> Value {
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    let id = push_as(site, kind, &commit);
    site.finished(&id)
}

/// Waits until a build says what its forge answered.
fn problem(site: &Site, build: &Value) -> String {
    wait_for("the problem", || {
        let build = site.get(&format!("/v1/builds/{}", build["id"].as_str().unwrap()));
        build["status_problem"]["problem"].as_str().map(str::to_owned)
    })
}

#[test]
fn gogs_takes_no_statuses_and_the_build_says_so() {
    let forge = ForgeServer::start("gogs", TOKEN);
    let site = Site::start(&forge.section("127.0.0.1"));
    let build = fail(&site, "gogs");
    assert_eq!(problem(&site, &build), "Gogs has no API for commit statuses: nothing was sent");
    assert_eq!(forge.asked().len(), 0);
}

#[test]
fn nothing_is_sent_to_a_forge_that_did_not_sign_the_delivery() {
    let (forge, other) = (ForgeServer::start("github", TOKEN), ForgeServer::start("gitlab", "another-token"));
    let site = Site::start(&format!("{}{}", forge.section("127.0.0.1"), other.section("gitlab.example.com")));
    let build = fail(&site, "gitlab");
    let said = problem(&site, &build);
    assert!(said.contains("`127.0.0.1` is a github") && said.contains("nothing was sent"), "{said}");
    assert_eq!((forge.asked().len(), other.asked().len()), (0, 0));
}

/// Returns the files of the site that hold the text, and answers of its API and pages that do.
pub(crate) fn places_of(site: &Site, text: &str, paths: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![site.path("data")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => directories.push(path),
                false => found.extend(
                    std::fs::read(&path)
                        .ok()
                        .filter(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
                        .map(|_| path.display().to_string()),
                ),
            }
        }
    }
    let log = std::fs::read_to_string(site.path("serve.log")).unwrap_or_default();
    found.extend(log.contains(text).then(|| "serve.log".to_owned()));
    let shown = paths.iter().filter(|path| curl(&[&format!("{}{path}", site.url)]).text.contains(text));
    found.extend(shown.cloned());
    found
}

#[test]
fn a_refusal_is_shown_in_the_forge_s_words_and_without_any_secret() {
    let forge = ForgeServer::start("gitlab", TOKEN);
    let words = format!("{{\"message\":{{\"token\":[\"{TOKEN} has not the scope api\"]}}}}");
    forge.set_mood(Mood::Refusing(403, None, words));
    let site = Site::start(&forge.section("127.0.0.1"));
    let build = fail(&site, "gitlab");
    assert_eq!(problem(&site, &build), "HTTP 403: token: *** has not the scope api");
    let id = build["id"].as_str().unwrap();
    let paths =
        [format!("/v1/builds/{id}"), format!("/builds/{id}"), "/v1/repos/team/app".into(), "/repos/team/app".into()];
    for path in &paths {
        let page = curl(&[&format!("{}{path}", site.url)]).text;
        assert!(page.contains("has not the scope api"), "{path}: {page}");
    }
    // A redirect is not followed, whatever else is there.
    let thief = ForgeServer::start("gitlab", TOKEN);
    let location = Some(("location", format!("http://{}/api/v4/x", thief.address)));
    forge.set_mood(Mood::Refusing(307, location, String::new()));
    let build = fail(&site, "gitlab");
    let said = wait_for("the redirect", || Some(problem(&site, &build)).filter(|said| said.contains("307")));
    assert!(said.contains("redirects are not followed"), "{said}");
    assert_eq!(thief.asked().len(), 0);
    let everywhere =
        [&paths[..], &["/metrics".into(), "/v1/openapi.json".into(), "/v1/deliveries".into(), "/deliveries".into()]]
            .concat();
    assert_eq!(places_of(&site, TOKEN, &everywhere), Vec::<String>::new());
    let shown = slipway().args(["status", id, "--server", &site.url]).output().unwrap();
    assert!(!String::from_utf8_lossy(&shown.stdout).contains(TOKEN));
}

#[test]
fn statuses_come_in_order_after_a_limit_and_a_restart() {
    let forge = ForgeServer::start("gitea", TOKEN);
    forge.set_mood(Mood::Refusing(
        429,
        Some(("retry-after", "2".to_owned())),
        "{\"message\":\"slow down\"}".to_owned(),
    ));
    let mut site = Site::start(&forge.section("127.0.0.1"));
    let build = fail(&site, "gitea");
    assert_eq!(problem(&site, &build), "HTTP 429: slow down");
    let first = forge.asked()[0].0;
    wait_for("the next try", || (forge.asked().len() > 1).then_some(()));
    assert!(forge.asked()[1].0 - first >= Duration::from_secs(2), "the forge said when it may be asked");
    site.server = None;
    forge.set_mood(Mood::Well);
    site.serve();
    let commit = build["commit"].as_str().unwrap();
    wait_for("the last status", || (forge.states(commit).last().map(String::as_str) == Some("failure")).then_some(()));
    let states = forge.states(commit);
    assert!(states.len() > 1 && states[..states.len() - 1].iter().all(|state| state == "pending"), "{states:?}");
    wait_for("the problem to be solved", || {
        site.get(&format!("/v1/builds/{}", build["id"].as_str().unwrap()))["status_problem"].is_null().then_some(())
    });
}

#[test]
fn a_forge_that_does_not_answer_delays_no_other() {
    let (dead, alive) = (ForgeServer::start("gitlab", TOKEN), ForgeServer::start("gitea", "another-token"));
    dead.set_mood(Mood::Silent);
    let second = "[[repositories]]\nname = \"dead/app\"\nforge_name = \"dead/app\"\nforge = \"dead.example.com\"\n\
        clone_url = \"http://127.0.0.1:9/app.git\"\nsecret = \"key of the dead one\"\nimage = \"@REGISTRY@/dead/app\"\n";
    let sections = format!("{}{}", dead.section("dead.example.com"), alive.section("127.0.0.1"));
    let site = Site::start(&format!("{sections}{second}"));
    for number in 0..5 {
        let body = json!({
            "object_kind": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": format!("{number:040}").replace('0', "a"),
            "project": { "path_with_namespace": "dead/app" }, "commits": [],
        });
        let headers = [
            "X-Gitlab-Event: Push Hook".to_owned(),
            "X-Gitlab-Token: key of the dead one".to_owned(),
            format!("Idempotency-Key: {number}"),
        ];
        assert_eq!(deliver(&site, "/hooks/gitlab", &headers, &body.to_string()).0, 202);
    }
    wait_for("the dead forge to be asked", || (!dead.asked().is_empty()).then_some(()));
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    let pushed = Instant::now();
    push_as(&site, "gitea", &commit);
    wait_for("the first status", || (!alive.states(&commit).is_empty()).then_some(()));
    assert!(pushed.elapsed() < Duration::from_secs(3), "{:?}", pushed.elapsed());
    wait_for("the last status", || (alive.states(&commit).last().map(String::as_str) == Some("failure")).then_some(()));
    assert_eq!(dead.asked().len(), 1, "one at a time");
}

#[test]
fn broken_rules_of_a_repository_are_a_status() {
    let forge = ForgeServer::start("gitlab", TOKEN);
    let own = "[[repositories]]\nname = \"own/app\"\nforge_name = \"Codertocat/Hello-World\"\nclone_url = \"http://127.0.0.1:PORT/app.git\"\n\
        secret = \"key of the own rules\"\nimage = \"@REGISTRY@/own/app\"\n[repositories.own_rules]\n";
    let mut site = Site::start(&forge.section("127.0.0.1"));
    let path = site.path("slipway.toml");
    let port = site.git.rsplit(':').next().unwrap().to_owned();
    let text =
        std::fs::read_to_string(&path).unwrap() + &own.replace("PORT", &port).replace("@REGISTRY@", &site.registry);
    std::fs::write(&path, text).unwrap();
    site.server = None;
    site.serve();
    let commit = site.commit(&[("slipway.toml", "[[rules]]\nbranhc = \"main\"\n")]);
    let body = json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": commit, "checkout_sha": commit,
        "project": { "path_with_namespace": "Codertocat/Hello-World" }, "commits": [],
    });
    let headers = [
        "X-Gitlab-Event: Push Hook".to_owned(),
        "X-Gitlab-Token: key of the own rules".to_owned(),
        "Idempotency-Key: own".to_owned(),
    ];
    assert_eq!(deliver(&site, "/hooks/gitlab", &headers, &body.to_string()).0, 202);
    let told = wait_for("the status", || forge.told().pop());
    assert_eq!((told.state.as_str(), told.name.as_str(), told.commit), ("failed", "slipway/own/app", commit));
    assert!(told.description.contains("did you mean `branch`?"), "{}", told.description);
}

#[test]
fn two_images_of_one_repository_have_statuses_of_their_own() {
    // SV-26
    let forge = ForgeServer::start("gitea", TOKEN);
    let second = format!(
        "[[repositories]]\nname = \"team/other\"\nforge_name = \"Codertocat/Hello-World\"\nclone_url = \"http://127.0.0.1:9/app.git\"\n\
         secret = \"{SECRET}\"\nimage = \"@REGISTRY@/team/other\"\n[[repositories.rules]]\nname = \"main\"\nbranch = \"main\"\n"
    );
    let site = Site::start(&format!("{}{second}", forge.section("127.0.0.1")));
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    push_as(&site, "gitea", &commit);
    let names = || {
        let mut names: Vec<String> = forge.told().into_iter().map(|told| told.name).collect();
        names.sort();
        names.dedup();
        names
    };
    wait_for("both statuses", || (names().len() == 2).then_some(()));
    assert_eq!(names(), ["slipway/team/app/main", "slipway/team/other/main"]);
}

#[test]
fn a_repository_of_the_api_names_a_forge_that_there_is() {
    let forge = ForgeServer::start("gitea", TOKEN);
    let site = Site::start(&format!("{ADMIN}{}", forge.section("git.example.com")));
    let document = |forge: &str| {
        json!({
            "name": "team/mirror", "clone_url": format!("http://{}/app.git", site.git), "image": format!("{}/team/mirror", site.registry),
            "forge": forge, "forge_name": "Codertocat/Hello-World", "rules": [{ "name": "main", "branch": "main" }],
        })
    };
    let refused = ask(&site, "POST", "/v1/repos", &document("git.exmaple.com"));
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("invalid_repository")), "{}", refused.text);
    assert!(refused.text.contains("did you mean `git.example.com`?"), "{}", refused.text);
    assert_eq!(ask(&site, "POST", "/v1/repos", &document("git.example.com")).status, 201);
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    let asked = ask(&site, "POST", "/v1/repos/team/mirror/builds", &json!({ "ref": "main", "commit": commit }));
    assert_eq!(asked.status, 202, "{}", asked.text);
    wait_for("the status", || (forge.states(&commit).last().map(String::as_str) == Some("failure")).then_some(()));
}
