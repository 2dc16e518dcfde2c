//! A GitHub App: tokens for private repositories, check runs in place of statuses, and requests that people make at them.

use crate::service::forge_statuses::places_of;
use crate::support::github_app::{APP, APP_SECRET, GithubApp, TOKEN_START};
use crate::support::worker_pool::git;
use crate::support::{SECRET, Site, examples, run, wait_for};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// A step that fails with words of its own.
const BROKEN: &str = "ARG BASE\nFROM ${BASE}\nRUN echo 'make: *** [build] Error 2' && exit 2\n";

/// Starts a site with a private repository on a GitHub that has an App.
fn start() -> (GithubApp, Site) {
    let mut forge = GithubApp::start();
    let (key, git, api) = (forge.key(), forge.git, forge.address);
    let extra = format!(
        r#"
        [[repositories]]
        name = "private/app"
        forge_name = "Codertocat/Hello-World"
        clone_url = "http://{git}/app.git"
        image = "@REGISTRY@/private/app"
        pull_requests = "all"
        [[repositories.rules]]
        name = "main"
        branch = "main"
        tags = ["latest"]
        build_args = {{ BASE = "@REGISTRY@/base/busybox" }}
        [forges."{git}"]
        kind = "github"
        url = "http://{api}"
        app = {{ id = {APP}, private_key = {{ file = "{}" }}, webhook_secret = "{APP_SECRET}" }}
        "#,
        key.display()
    );
    let site = Site::start(&extra);
    forge.guard(site.path("git"));
    site.push_base();
    (forge, site)
}

/// Delivers a push as the App's webhook does; returns the build of the private repository.
fn push(site: &Site, commit: &str) -> String {
    let body = json!({
        "ref": "refs/heads/main", "before": "0".repeat(40), "after": commit,
        "head_commit": { "id": commit, "message": "m" }, "pusher": { "name": "writer" }, "commits": [],
        "repository": { "full_name": "Codertocat/Hello-World", "default_branch": "main" },
    });
    let answer = site.deliver("push", &format!("push-{commit}"), &body.to_string(), APP_SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((answer["builds"].as_array().unwrap().len(), &answer["builds"][0]["repo"]), (1, &json!("private/app")));
    answer["builds"][0]["id"].as_str().unwrap().to_owned()
}

/// Waits for the check run of a build to be completed.
fn completed(forge: &GithubApp, build: &str) -> Value {
    let is_done = |check: &Value| check["external_id"] == build && check["status"] == "completed";
    wait_for("the check run", || forge.checks().into_iter().rfind(is_done))
}

/// Delivers what GitHub says when somebody asks for something at a check run.
fn ask(site: &Site, id: &str, check: &Value, request: &Value, secret: &str) -> (u16, Value) {
    let mut body = json!({
        "action": "requested_action", "check_run": check, "sender": { "login": "writer" },
        "repository": { "full_name": "Codertocat/Hello-World" }, "installation": { "id": 99 },
    });
    request.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
    let answer = site.deliver("check_run", id, &body.to_string(), secret);
    (answer.status, answer.json())
}

#[test]
fn a_private_repository_is_built_with_the_app_s_tokens_and_shown_as_check_runs() {
    let (forge, site) = start();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n")]);
    // The forge wants a pause first: the check runs come in order all the same, and none twice.
    forge.be_busy(2);
    let good = push(&site, &commit);
    site.succeeded(&good);
    let check = completed(&forge, &good);
    assert_eq!((&check["conclusion"], &check["name"]), (&json!("success"), &json!("slipway/main")));
    assert_eq!(
        (&check["head_sha"], &check["details_url"]),
        (&json!(commit), &json!(format!("{}/builds/{good}", site.url)))
    );
    assert!(check["output"]["summary"].as_str().unwrap().contains("of 1 steps cached"), "{check:#}");
    assert!(check["completed_at"].is_string() && check["actions"] == json!([]));
    let states: Vec<_> = forge.writes().iter().map(|write| write["status"].as_str().unwrap().to_owned()).collect();
    assert_eq!((states.first().unwrap().as_str(), states.last().unwrap().as_str()), ("queued", "completed"));
    assert!(states.iter().any(|state| state == "in_progress"), "{states:?}");
    let tokens = forge.tokens();
    // Tokens are renewed when they have ended, and when they are about to.
    forge.revoke();
    forge.set_lifetime(Duration::from_secs(300));
    let commit = site.commit(&[("Dockerfile", BROKEN)]);
    let bad = push(&site, &commit);
    site.finished(&bad);
    let check = completed(&forge, &bad);
    assert_eq!(check["conclusion"], "failure");
    let words = "make: *** [build] Error 2";
    assert_eq!(check["output"]["title"], format!("RUN (Dockerfile:3) exit 2: {words}"));
    assert!(check["output"]["summary"].as_str().unwrap().contains(words), "{check:#}");
    let annotation = &check["output"]["annotations"][0];
    assert_eq!((&annotation["path"], &annotation["start_line"]), (&json!("Dockerfile"), &json!(3)));
    assert!(annotation["message"].as_str().unwrap().contains(words), "{annotation:#}");
    assert_eq!(check["actions"][0]["identifier"], "retry");
    assert_eq!(forge.checks().len(), 2, "one for each build");
    assert!(tokens >= 2 && forge.tokens() > tokens + 1, "{tokens} {}", forge.tokens());
    assert_eq!(site.get(&format!("/v1/builds/{bad}"))["status_problem"], Value::Null);
    let paths = [format!("/v1/builds/{bad}"), format!("/builds/{bad}"), format!("/v1/builds/{good}/logs")];
    for canary in [TOKEN_START, "BEGIN RSA PRIVATE KEY", APP_SECRET] {
        assert_eq!(places_of(&site, canary, &paths), Vec::<String>::new());
    }
}

#[test]
fn buttons_of_check_runs_work_for_those_who_may_push() {
    let (forge, site) = start();
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    let first = push(&site, &commit);
    let check = completed(&forge, &first);
    let annotation = &check["output"]["annotations"][0];
    assert_eq!((&annotation["path"], &annotation["start_line"]), (&json!("Dockerfile"), &json!(1)), "{check:#}");
    let retry = json!({ "requested_action": { "identifier": "retry" } });
    let builds = || site.get("/v1/builds?repo=private/app")["builds"].as_array().unwrap().len();
    // A secret of a repository is not that of the App; neither is another App's check run one of ours.
    assert_eq!(ask(&site, "stolen", &check, &retry, SECRET).0, 401);
    let mut foreign = check.clone();
    foreign["app"]["id"] = 1.into();
    let answer = ask(&site, "foreign", &foreign, &retry, APP_SECRET);
    assert_eq!((answer.0, &answer.1["reason"]), (200, &json!("check_request")), "{}", answer.1);
    for user in ["reader", "stranger"] {
        let mut request = retry.clone();
        request["sender"] = json!({ "login": user });
        let answer = ask(&site, user, &check, &request, APP_SECRET);
        assert_eq!((answer.0, &answer.1["reason"]), (200, &json!("not_allowed")), "{}", answer.1);
    }
    let unknown = ask(&site, "unknown", &check, &json!({ "requested_action": { "identifier": "deploy" } }), APP_SECRET);
    assert_eq!(unknown.1["reason"], "unknown_event", "{}", unknown.1);
    assert_eq!(ask(&site, "own", &check, &json!({ "action": "created" }), APP_SECRET).1["ignored"], true);
    assert_eq!(builds(), 1);
    let (status, answer) = ask(&site, "retry", &check, &retry, APP_SECRET);
    assert_eq!(status, 202, "{answer}");
    let second = answer["builds"][0]["id"].as_str().unwrap().to_owned();
    completed(&forge, &second);
    assert_eq!(ask(&site, "retry", &check, &retry, APP_SECRET).0, 200, "the same delivery does it once");
    assert_eq!((builds(), forge.checks().len()), (2, 2));
    let body = json!({
        "action": "rerequested", "check_suite": { "head_sha": commit, "app": { "id": APP } },
        "sender": { "login": "writer" }, "repository": { "full_name": "Codertocat/Hello-World" },
    });
    let answer = site.deliver("check_suite", "suite", &body.to_string(), APP_SECRET);
    assert_eq!((answer.status, answer.json()["builds"].as_array().unwrap().len()), (202, 1), "{}", answer.text);
}

#[test]
fn a_pull_request_of_a_fork_is_approved_at_its_check_run() {
    let (forge, site) = start();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    let (bare, fork) = (site.path("git/app.git"), site.path("fork"));
    run(Command::new("git").args(["clone", "-q"]).arg(&bare).arg(&fork));
    git(&fork, &["commit", "-q", "--allow-empty", "-m", "A proposal"]);
    git(&fork, &["push", "-q", bare.to_str().unwrap(), "HEAD:refs/pull/7/head"]);
    let commit = git(&fork, &["rev-parse", "HEAD"]).trim().to_owned();
    let mut body = examples("pull_request").into_iter().find(|known| known["action"] == "opened").unwrap();
    body["number"] = 7.into();
    body["pull_request"]["base"]["ref"] = "main".into();
    body["pull_request"]["head"]["sha"] = commit.as_str().into();
    body["pull_request"]["head"]["repo"]["id"] = 1.into();
    let answer = site.deliver("pull_request", "opened", &body.to_string(), APP_SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let id = answer.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    let check = completed(&forge, &id);
    assert_eq!(
        (&check["conclusion"], &check["actions"][0]["identifier"]),
        (&json!("action_required"), &json!("approve"))
    );
    let (status, answer) =
        ask(&site, "go", &check, &json!({ "requested_action": { "identifier": "approve" } }), APP_SECRET);
    assert_eq!((status, &answer["builds"][0]["id"]), (202, &json!(id)), "{answer}");
    let build = site.succeeded(&id);
    assert_eq!((&build["approved_by"], &build["trusted"]), (&json!("writer"), &json!(false)));
    wait_for("the end of the check run", || {
        forge.checks().into_iter().find(|check| check["external_id"] == *id && check["conclusion"] == "success")
    });
    assert_eq!(forge.checks().len(), 2, "one that asked for the approval, one of the build");
}

#[test]
fn what_the_app_may_not_do_is_told_and_a_restart_makes_no_second_check_run() {
    let (forge, mut site) = start();
    forge.grant(&["contents", "metadata"]);
    let commit = site.commit(&[("Dockerfile", "RUNN x\n")]);
    let id = push(&site, &commit);
    let said = wait_for("the problem", || {
        site.get(&format!("/v1/builds/{id}"))["status_problem"]["problem"].as_str().map(str::to_owned)
    });
    assert!(said.contains("the App gets no token") && said.contains("not granted to this installation"), "{said}");
    forge.grant(&["contents", "metadata", "checks"]);
    let commit = site.commit(&[("Dockerfile", "RUNM x\n")]);
    forge.be_busy(3);
    let id = push(&site, &commit);
    site.server = None;
    site.serve();
    completed(&forge, &id);
    site.server = None;
    site.serve();
    assert_eq!(forge.checks().iter().filter(|check| check["external_id"] == *id).count(), 1);
}
