//! Comments on pull requests: one on each, posted once, kept up to date, on every forge.

use crate::service::api::{ADMIN, ask};
use crate::service::forges::{deliver, signed_with};
use crate::service::pull_requests::KEY;
use crate::support::forge_server::{ForgeServer, Mood, REPOSITORY};
use crate::support::worker_pool::git;
use crate::support::{Site, curl, wait_for};
use serde_json::{Value, json};

/// Token of the forges; it must appear nowhere.
const TOKEN: &str = "glpat-canary-77d25f1c0a";
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nCOPY file /file\n";

/// A service with one forge, and a repository that comments on its pull requests.
struct Place {
    forge: ForgeServer,
    site: Site,
}

impl Place {
    fn new(kind: &'static str) -> Place {
        let forge = ForgeServer::start(kind, TOKEN);
        let site = Site::start(&format!("{ADMIN}{}", forge.section("127.0.0.1")));
        site.push_base();
        let document = json!({
            "name": "pulls/app", "forge_name": format!("{}/{}", REPOSITORY.0, REPOSITORY.1), "secret": KEY,
            "clone_url": site.get("/v1/repos/team/app")["clone_url"], "image": format!("{}/pulls/app", site.registry),
            "pull_requests": "own", "pull_request_tag_days": 7, "pull_request_comments": true,
            "rules": [{ "name": "main", "branch": "main", "build_args": { "BASE": format!("{}/base/busybox", site.registry) } }],
        });
        let added = ask(&site, "POST", "/v1/repos", &document);
        assert_eq!(added.status, 201, "{}", added.text);
        site.commit(&[("Dockerfile", DOCKERFILE), ("file", "1")]);
        let place = Place { forge, site };
        let built = ask(&place.site, "POST", "/v1/repos/pulls/app/builds", &json!({ "ref": "main" })).json();
        place.site.succeeded(built["builds"][0]["id"].as_str().unwrap());
        place
    }

    /// Commits to the branch of pull request 4; returns the commit.
    fn propose(&self, dockerfile: &str) -> String {
        let work = self.site.path("work");
        std::fs::write(work.join("Dockerfile"), dockerfile).unwrap();
        git(&work, &["commit", "-q", "-a", "--allow-empty", "-m", "A proposal"]);
        let bare = self.site.path("git/app.git");
        for name in ["refs/pull/4/head", "refs/merge-requests/4/head", "refs/heads/topic", "refs/pull-requests/4/from"]
        {
            git(&work, &["push", "-q", "--force", bare.to_str().unwrap(), &format!("HEAD:{name}")]);
        }
        git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Tells of the pull request as the forge does; returns the answer.
    fn tell(&self, commit: &str, is_open: bool) -> Value {
        let (path, body, event) = payload(self.forge.kind, commit, is_open);
        let signed = signed_with(KEY, &body);
        let id = format!("{commit}-{is_open}");
        let headers = match self.forge.kind {
            "gitlab" => vec![
                "X-Gitlab-Event: Merge Request Hook".to_owned(),
                format!("X-Gitlab-Token: {KEY}"),
                format!("Idempotency-Key: {id}"),
            ],
            "bitbucket" | "bitbucket-datacenter" => vec![
                format!("X-Event-Key: {event}"),
                format!("X-Request-UUID: {id}"),
                format!("X-Hub-Signature: sha256={signed}"),
            ],
            "github" => vec![
                "X-GitHub-Event: pull_request".to_owned(),
                format!("X-GitHub-Delivery: {id}"),
                format!("X-Hub-Signature-256: sha256={signed}"),
            ],
            _ => vec![
                "X-Gitea-Event: pull_request".to_owned(),
                format!("X-Gitea-Delivery: {id}"),
                format!("X-Gitea-Signature: {signed}"),
            ],
        };
        let (status, answer) = deliver(&self.site, path, &headers, &body);
        assert!(matches!(status, 200 | 202), "{answer}");
        answer
    }

    /// Builds a commit for the pull request, to its end.
    fn build(&self, commit: &str) -> Value {
        let answer = self.tell(commit, true);
        self.site.finished(answer["builds"][0]["id"].as_str().unwrap_or_else(|| panic!("{answer:#}")))
    }

    /// Waits until the one comment says something.
    fn comment(&self, part: &str) -> String {
        wait_for(&format!("the comment to say {part:?}"), || {
            let all = self.forge.comments().of(4);
            assert!(all.len() < 2, "one comment: {all:#?}");
            all.into_iter().find(|text| text.contains(part))
        })
    }
}

/// Returns the path and the body with which a forge tells of a pull request, and its event.
fn payload(kind: &str, commit: &str, is_open: bool) -> (&'static str, String, &'static str) {
    let name = format!("{}/{}", REPOSITORY.0, REPOSITORY.1);
    match kind {
        "gitlab" => (
            "/hooks/gitlab",
            json!({
                "object_kind": "merge_request", "project": { "path_with_namespace": name }, "user": { "username": "me" },
                "object_attributes": {
                    "iid": 4, "action": if is_open { "open" } else { "merge" }, "source_project_id": 1, "target_project_id": 1,
                    "target_branch": "main", "title": "A title", "last_commit": { "id": commit },
                },
            })
            .to_string(),
            "",
        ),
        "bitbucket" => {
            let side = |branch: &str| json!({ "branch": { "name": branch }, "commit": { "hash": &commit[..12] }, "repository": { "full_name": name } });
            let body = json!({
                "pullrequest": { "id": 4, "title": "A title", "source": side("topic"), "destination": side("main") },
                "repository": { "full_name": name }, "actor": { "nickname": "me" },
            });
            let event = if is_open { "pullrequest:created" } else { "pullrequest:fulfilled" };
            ("/hooks/bitbucket", body.to_string(), event)
        }
        "bitbucket-datacenter" => {
            let side = |branch: &str| {
                json!({
                    "id": format!("refs/heads/{branch}"), "displayId": branch, "latestCommit": commit,
                    "repository": { "slug": REPOSITORY.1, "project": { "key": REPOSITORY.0 } },
                })
            };
            let body = json!({
                "actor": { "name": "me" },
                "pullRequest": { "id": 4, "title": "A title", "fromRef": side("topic"), "toRef": side("main") },
            });
            ("/hooks/bitbucket", body.to_string(), if is_open { "pr:opened" } else { "pr:merged" })
        }
        "gogs" => {
            let body = json!({
                "action": if is_open { "opened" } else { "closed" }, "number": 4, "sender": { "login": "me" },
                "repository": { "id": 1, "full_name": name },
                "pull_request": {
                    "title": "A title", "body": commit, "head_branch": "topic", "head_repo": { "id": 1 },
                    "base_branch": "main", "base_repo": { "id": 1 },
                },
            });
            ("/hooks/gogs", body.to_string(), "")
        }
        kind => {
            let side = |branch: &str| json!({ "ref": branch, "sha": commit, "repo": { "id": 1 } });
            let body = json!({
                "action": if is_open { "opened" } else { "closed" }, "number": 4, "sender": { "login": "me" },
                "repository": { "id": 1, "full_name": name },
                "pull_request": { "title": "A title", "head": side("topic"), "base": side("main") },
            });
            (if kind == "github" { "/hooks/github" } else { "/hooks/gitea" }, body.to_string(), "")
        }
    }
}

/// Runs a pull request through a forge: opened, pushed to, broken, and merged.
fn flow(kind: &'static str) {
    let place = Place::new(kind);
    let grown = format!("{DOCKERFILE}RUN touch /su && chmod 4755 /su && head -c 300000 /dev/urandom > /noise\n");
    let first = place.build(&place.propose(&grown));
    assert_eq!(first["state"], "succeeded", "{first:#}");
    let text = place.comment("docker pull");
    let image = format!("{}/pulls/app:pr-4", place.site.registry);
    assert!(text.contains(&format!("docker pull {image}")), "{text}");
    assert!(text.contains("kB more against ` main `"), "{text}");
    assert!(text.contains("| ` /su ` | none | `4755`, owner 0:0 |"), "{text}");
    assert!(text.contains(first["id"].as_str().unwrap()), "{text}");
    // The same comment tells of the next commit, and of one that fails.
    place.build(&place.propose(&format!("{DOCKERFILE}RUN true\n")));
    let text = place.comment("the same size");
    assert!(!text.contains("/su"), "{text}");
    let failed = place.build(&place.propose(&format!("{DOCKERFILE}RUN exit 3\n")));
    let text = place.comment("failed: `");
    assert!(text.contains("exit code: 3") && text.contains(failed["id"].as_str().unwrap()), "{text}");
    // One that somebody removed is posted again.
    place.forge.comments().remove();
    let commit = place.propose(&grown);
    place.build(&commit);
    place.comment("docker pull");
    // The end is told, too.
    place.tell(&commit, false);
    let text = place.comment("its tags are removed");
    assert!(!text.contains("docker pull") && !text.contains(TOKEN), "{text}");
}

#[test]
fn github_has_one_comment_for_each_pull_request() {
    flow("github");
}

#[test]
fn gitlab_has_one_note_for_each_merge_request() {
    flow("gitlab");
}

#[test]
fn gitea_forgejo_and_gogs_have_one_comment_for_each_pull_request() {
    flow("gitea");
    flow("forgejo");
    flow("gogs");
}

#[test]
fn bitbucket_has_one_comment_for_each_pull_request() {
    flow("bitbucket");
    flow("bitbucket-datacenter");
}

#[test]
fn a_comment_whose_answer_was_lost_is_not_posted_twice() {
    for kind in ["github", "bitbucket-datacenter"] {
        let place = Place::new(kind);
        *place.forge.comments().lost.lock().unwrap() = 1;
        let build = place.build(&place.propose(&format!("{DOCKERFILE}RUN true\n")));
        place.comment("docker pull");
        let told =
            |id: &Value| place.site.get(&format!("/v1/builds/{}", id.as_str().unwrap()))["status_problem"].clone();
        wait_for("the answer", || told(&build["id"]).is_null().then_some(()));
        assert_eq!(place.forge.comments().of(4).len(), 1);
    }
}

#[test]
fn a_comment_that_the_forge_refuses_is_told_with_its_words() {
    let place = Place::new("gitea");
    let words = r#"{"message":"the issue is locked"}"#.to_owned();
    let commit = place.propose(&format!("{DOCKERFILE}RUN true\n"));
    place.forge.set_mood(Mood::Refusing(403, None, words));
    let build = place.build(&commit);
    let id = build["id"].as_str().unwrap();
    let problem = wait_for("the refusal", || {
        let told = place.site.get(&format!("/v1/builds/{id}"))["status_problem"]["problem"].clone();
        told.as_str().filter(|told| told.contains("the comment on pull request 4")).map(str::to_owned)
    });
    assert!(problem.contains("HTTP 403: the issue is locked") && !problem.contains(TOKEN), "{problem}");
    assert!(curl(&[&format!("{}/repos/pulls/app", place.site.url)]).text.contains("the issue is locked"));
}
