//! Deliveries of the other forges, as they send them.

use crate::service::api::ADMIN;
use crate::service::pull_requests::{KEY, add};
use crate::support::worker_pool::git;
use crate::support::{SECRET, Site, curl};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

pub(crate) fn signature(body: &str) -> String {
    signed_with(SECRET, body)
}

pub(crate) fn signed_with(key: &str, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn deliver(site: &Site, path: &str, headers: &[String], body: &str) -> (u16, serde_json::Value) {
    let url = format!("{}{path}", site.url);
    let mut arguments = vec!["-X", "POST", "-H", "Content-Type: application/json", "--data-binary", body];
    headers.iter().for_each(|header| arguments.extend(["-H", header.as_str()]));
    arguments.push(&url);
    let answer = curl(&arguments);
    (answer.status, answer.json())
}

#[test]
fn gitea_and_forgejo_are_understood_on_both_paths() {
    let site = Site::start("");
    let push = |after: &str| {
        json!({
            "ref": "refs/heads/main", "before": "0".repeat(40), "after": after, "head_commit": { "id": after, "message": "m" },
            "repository": { "full_name": "Codertocat/Hello-World", "default_branch": "main" },
            "pusher": { "login": "me", "username": "me" }, "commits": [],
        })
        .to_string()
    };
    for (path, kind, commit) in
        [("/hooks/gitea", "Gitea", "1"), ("/hooks/forgejo", "Forgejo", "2"), ("/hooks/github", "Gitea", "3")]
    {
        let body = push(&commit.repeat(40));
        let headers = |signature: &str| {
            vec![
                format!("X-{kind}-Event: push"),
                format!("X-{kind}-Delivery: d-{commit}"),
                format!("X-{kind}-Signature: {signature}"),
                "X-GitHub-Event: push".to_owned(),
                format!("X-GitHub-Delivery: d-{commit}"),
            ]
        };
        assert_eq!(deliver(&site, path, &headers("00"), &body).0, 401, "{path}");
        let (status, answer) = deliver(&site, path, &headers(&signature(&body)), &body);
        assert_eq!((status, answer["builds"].as_array().unwrap().len()), (202, 1), "{path}: {answer}");
    }
}

#[test]
fn gitlab_shows_its_token_and_bitbucket_pushes_several_refs() {
    let site = Site::start("");
    let body = json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": "1".repeat(40),
        "checkout_sha": "1".repeat(40), "project": { "path_with_namespace": "codertocat/hello-world" }, "commits": [],
    })
    .to_string();
    let headers = |token: &str| {
        vec![
            "X-Gitlab-Event: Push Hook".to_owned(),
            format!("X-Gitlab-Token: {token}"),
            "Idempotency-Key: g-1".to_owned(),
        ]
    };
    assert_eq!(deliver(&site, "/hooks/gitlab", &headers("guess"), &body).0, 401);
    let (status, first) = deliver(&site, "/hooks/gitlab", &headers(SECRET), &body);
    assert_eq!(status, 202, "{first}");
    let (status, again) = deliver(&site, "/hooks/gitlab", &headers(SECRET), &body);
    assert_eq!((status, &again["builds"][0]["id"]), (200, &first["builds"][0]["id"]));
    let new = |kind: &str, name: &str, commit: &str| json!({ "old": null, "new": { "type": kind, "name": name, "target": { "hash": commit.repeat(40), "message": "m" } } });
    let body = json!({
        "push": { "changes": [new("branch", "main", "2"), new("tag", "v1", "2"), { "old": null, "new": null }] },
        "repository": { "full_name": "Codertocat/Hello-World" }, "actor": { "nickname": "me" },
    })
    .to_string();
    let headers = [
        "X-Event-Key: repo:push".to_owned(),
        "X-Request-UUID: b-1".to_owned(),
        format!("X-Hub-Signature: sha256={}", signature(&body)),
    ];
    let (status, answer) = deliver(&site, "/hooks/bitbucket", &headers, &body);
    assert_eq!((status, answer["builds"].as_array().unwrap().len()), (202, 2), "{answer}");
    let (status, answer) = deliver(&site, "/hooks/sourceforge", &headers, &body);
    assert_eq!((status, &answer["code"]), (404, &json!("unknown_forge")));
}

#[test]
fn pull_requests_of_gitea_and_gitlab_are_held_like_github_s() {
    // WH-31
    let site = Site::start(ADMIN);
    add(&site, &json!({ "pull_requests": "all" }));
    let commit = "1".repeat(40);
    let side = |repo: u32| json!({ "ref": "main", "sha": commit, "repo": { "id": repo } });
    let gitea = json!({
        "action": "synchronized", "number": 4, "sender": { "login": "me" }, "repository": { "full_name": "Codertocat/Pulls" },
        "pull_request": { "title": "A title", "head": side(2), "base": side(1) },
    })
    .to_string();
    let gitlab = json!({
        "object_kind": "merge_request", "user": { "username": "me" }, "project": { "path_with_namespace": "Codertocat/Pulls" },
        "object_attributes": {
            "iid": 4, "action": "open", "source_project_id": 2, "target_project_id": 1, "target_branch": "main",
            "title": "A title", "last_commit": { "id": commit },
        },
    })
    .to_string();
    let signature = format!("X-Gitea-Signature: {}", signed_with(KEY, &gitea));
    let gitea_headers = ["X-Gitea-Event: pull_request".to_owned(), "X-Gitea-Delivery: pull".to_owned(), signature];
    let token = format!("X-Gitlab-Token: {KEY}");
    let gitlab_headers = ["X-Gitlab-Event: Merge Request Hook".to_owned(), "Idempotency-Key: pull".to_owned(), token];
    for (path, headers, body, git_ref) in [
        ("/hooks/gitea", gitea_headers, &gitea, "refs/pull/4/head"),
        ("/hooks/gitlab", gitlab_headers, &gitlab, "refs/merge-requests/4/head"),
    ] {
        let (status, answer) = deliver(&site, path, &headers, body);
        assert_eq!(status, 202, "{answer}");
        let build = site.get(&format!("/v1/builds/{}", answer["builds"][0]["id"].as_str().unwrap()));
        assert_eq!((&build["ref"], &build["commit"]), (&json!(git_ref), &json!(commit)), "{build:#}");
        assert_eq!((&build["held"], &build["trusted"], &build["push"]), (&json!(true), &json!(false), &json!(false)));
        assert_eq!((&build["trigger"]["by"], &build["commit_message"]), (&json!("me"), &json!("A title")));
    }
}

/// Returns what Bitbucket's cloud says of a pull request from a branch of `from`.
fn cloud_pull(from: &str, commit: &str) -> String {
    let side = |branch: &str, commit: &str, name: &str| json!({ "branch": { "name": branch }, "commit": { "hash": commit }, "repository": { "full_name": name } });
    json!({
        "pullrequest": {
            "id": 4, "title": "A title", "source": side("topic", &commit[..12], from),
            "destination": side("main", "ce5965ddd289", "Codertocat/Pulls"),
        },
        "repository": { "full_name": "Codertocat/Pulls" }, "actor": { "nickname": "me" },
    })
    .to_string()
}

#[test]
fn pull_requests_of_bitbucket_s_cloud_are_built_from_their_branch() {
    // WH-31
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    add(&site, &json!({ "pull_requests": "all" }));
    let work = site.path("work");
    let propose = |content: &str| {
        std::fs::write(work.join("file"), content).unwrap();
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", "A proposal"]);
        git(&work, &["push", "-q", "--force", site.path("git/app.git").to_str().unwrap(), "HEAD:topic"]);
        git(&work, &["rev-parse", "HEAD"]).trim().to_owned()
    };
    let told = |event: &str, id: &str, body: &str| {
        let headers = [
            format!("X-Event-Key: {event}"),
            format!("X-Request-UUID: {id}"),
            format!("X-Hub-Signature: sha256={}", signed_with(KEY, body)),
        ];
        deliver(&site, "/hooks/bitbucket", &headers, body)
    };
    for (event, id, content) in [("pullrequest:created", "1", "one"), ("pullrequest:updated", "2", "two")] {
        let commit = propose(content);
        let (status, answer) = told(event, id, &cloud_pull("Codertocat/Pulls", &commit));
        assert_eq!(status, 202, "{answer}");
        let build = site.succeeded(answer["builds"][0]["id"].as_str().unwrap());
        assert_eq!((&build["ref"], &build["commit"]), (&json!("refs/pull-requests/4/from"), &json!(commit)));
        assert_eq!((&build["trusted"], &build["push"], &build["tags"]), (&json!(true), &json!(false), &json!([])));
        // The cloud tells of a new title with the same event.
        let titled = cloud_pull("Codertocat/Pulls", &commit).replace("A title", "Another title");
        let (status, answer) = told("pullrequest:updated", &format!("{id}-title"), &titled);
        assert_eq!((status, &answer["reason"]), (200, &json!("no_change")), "{answer}");
    }
    let (_, fork) = told("pullrequest:created", "fork", &cloud_pull("stranger/fork", &"1".repeat(40)));
    assert_eq!(fork["reason"], "pull_request_of_fork", "{fork}");
    assert!(fork["explain"][0].as_str().unwrap().contains("no ref"), "{fork}");
    let (_, closed) = told("pullrequest:fulfilled", "closed", &cloud_pull("Codertocat/Pulls", &"1".repeat(40)));
    assert_eq!(closed["reason"], "pull_request_closed");
}

#[test]
fn pull_requests_of_bitbucket_data_center_are_built_from_their_ref() {
    // WH-31
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    add(&site, &json!({ "pull_requests": "all" }));
    let work = site.path("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "A proposal"]);
    git(&work, &["push", "-q", site.path("git/app.git").to_str().unwrap(), "HEAD:refs/pull-requests/9/from"]);
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    for (key, trusted) in [("Codertocat", true), ("~STRANGER", false)] {
        let side = |branch: &str, key: &str| {
            json!({
                "id": format!("refs/heads/{branch}"), "displayId": branch, "latestCommit": commit,
                "repository": { "slug": if key == "Codertocat" { "Pulls" } else { "fork" }, "project": { "key": key } },
            })
        };
        let body = json!({
            "eventKey": "pr:opened", "actor": { "name": "me" },
            "pullRequest": { "id": 9, "title": "A title", "fromRef": side("topic", key), "toRef": side("main", "Codertocat") },
        })
        .to_string();
        let headers = [
            "X-Event-Key: pr:opened".to_owned(),
            format!("X-Request-Id: {trusted}"),
            format!("X-Hub-Signature: sha256={}", signed_with(KEY, &body)),
        ];
        let (status, answer) = deliver(&site, "/hooks/bitbucket", &headers, &body);
        assert_eq!(status, 202, "{answer}");
        let id = answer["builds"][0]["id"].as_str().unwrap().to_owned();
        let build = if trusted { site.succeeded(&id) } else { site.get(&format!("/v1/builds/{id}")) };
        assert_eq!((&build["ref"], &build["commit"]), (&json!("refs/pull-requests/9/from"), &json!(commit)));
        assert_eq!((&build["trusted"], &build["held"]), (&json!(trusted), &json!(!trusted)));
    }
}
