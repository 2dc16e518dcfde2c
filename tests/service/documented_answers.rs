//! Lists, logs and refusals of the API and the commands say what they are documented to say.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask, ask_as};
use crate::support::{Site, curl, shown, slipway};
use serde_json::{Value, json};
use std::process::{Output, Stdio};

const OF_TWO: &str = "aaaabbbbccccddddaaaabbbbccccdddd";
const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nRUN echo one; echo two; echo three\n";

/// Starts a site with three repositories, a token for two of them, and a build of each.
fn site() -> (Site, Vec<Value>) {
    let token = format!(
        "[[tokens]]\nname = \"two\"\ntoken = \"{OF_TWO}\"\nscopes = [\"read\"]\nrepositories = [\"team/app\", \"other/b\"]\n"
    );
    let site = Site::start_with("anonymous_read = false", &format!("{ADMIN}{token}"));
    let of_file = ask(&site, "GET", "/v1/repos/team/app", &Value::Null).json();
    for name in ["other/b", "other/c"] {
        let document = json!({
            "name": name, "clone_url": of_file["clone_url"], "image": format!("{}/{name}", site.registry),
            "secret": "a secret of sixteen letters", "rules": [{ "name": "main", "branch": "main", "tags": ["latest"] }],
        });
        let made = ask(&site, "POST", "/v1/repos", &document);
        assert_eq!(made.status, 201, "{}", made.text);
    }
    site.push_base();
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    let builds = ["team/app", "other/b", "other/c"].map(|name| {
        // US-11: the ref of the rule is meant, if it is for one.
        let body = match name {
            "team/app" => json!({ "ref": "main", "commit": commit }),
            _ => json!({ "rule": "main", "commit": commit }),
        };
        let asked = ask(&site, "POST", &format!("/v1/repos/{name}/builds?wait=60"), &body);
        assert!(asked.status == 200, "{}", asked.text);
        asked.json()["builds"][0].clone()
    });
    (site, builds.to_vec())
}

fn names(answer: &Value, list: &str) -> Vec<String> {
    let all = answer[list].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut names: Vec<String> = all.iter().map(|one| one["repo"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_token_for_two_repositories_lists_both() {
    // US-04
    let (site, _) = site();
    let get = |path: &str| ask_as(&site, OF_TWO, "GET", path, &[], &Value::Null).json();
    assert_eq!(names(&get("/v1/builds"), "builds"), ["other/b", "team/app"]);
    assert_eq!(names(&get("/v1/builds?limit=1"), "builds"), ["other/b"]);
    assert_eq!(names(&get("/v1/builds?repo=team/app"), "builds"), ["team/app"]);
    assert_eq!(names(&get("/v1/builds?repo=other/c"), "builds"), [""; 0]);
    for page in ["/", "/repos"] {
        let credentials = format!("x:{OF_TWO}");
        let text = curl(&["-u", &credentials, &format!("{}{page}", site.url)]).text;
        assert!(text.contains("team/app") && text.contains("other/b") && !text.contains("other/c"), "{page}: {text}");
    }
}

#[test]
fn lists_and_logs_answer_as_documented() {
    // US-11
    let (site, builds) = site();
    let get = |path: &str| ask(&site, "GET", path, &Value::Null);
    let id = builds[0]["id"].as_str().unwrap();
    let tail = get(&format!("/v1/builds/{id}/logs?format=ndjson&tail=2")).text;
    let lines: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text: String = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(text.lines().count(), 2, "{tail}");
    assert!(lines.iter().all(|line| line["offset"].is_i64() && line["at"].is_string()), "{tail}");
    let whole = get(&format!("/v1/builds/{id}/logs")).text;
    assert!(whole.ends_with(&text), "{text}: {whole}");
    let commit = builds[0]["commit"].as_str().unwrap();
    for digits in [&commit[..7], &commit[..4].to_uppercase(), commit] {
        assert_eq!(names(&get(&format!("/v1/builds?commit={digits}")).json(), "builds").len(), 3, "{digits}");
    }
    for digits in ["zzzzzzz", "abc", "main"] {
        assert_eq!(get(&format!("/v1/builds?commit={digits}")).json()["code"], "invalid_commit", "{digits}");
    }
    let images = get("/v1/repos/team/app/base-images").json();
    assert!(images["rebuild"] == false && images["base_images"][0]["ref"].is_string(), "{images}");
    let head = |path: &str| curl(&["-i", "-u", &format!("x:{ADMIN_TOKEN}"), &format!("{}{path}", site.url)]).text;
    let etag = |text: String| text.lines().find_map(|line| line.strip_prefix("etag: ").map(str::to_owned)).unwrap();
    assert_eq!(etag(head("/v1/repos/team/app/usage")), etag(head("/v1/repos/team/app/usage")));
    let next = head("/v1/builds?limit=1&repo=team/app&state=succeeded");
    assert!(next.contains("</v1/builds?limit=1&repo=team/app&state=succeeded&cursor=bld_"), "{next}");
    let next = head("/v1/repos?limit=1");
    assert!(next.contains("</v1/repos?limit=1&cursor=other/b>"), "{next}");
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    // US-11, US-23
    let (site, _) = site();
    let trigger = |body: Value| ask(&site, "POST", "/v1/repos/team/app/builds", &body).json();
    let written = ask(&site, "PUT", "/v1/repos/team/app/secrets/npm", &json!({ "value": "hush hush hush" }));
    assert_eq!(written.status, 200, "{}", written.text);
    for (problem, code, part) in [
        (trigger(json!({ "secrets": ["nmp"] })), "invalid_secrets", "has no secret `nmp`; did you mean `npm`?"),
        (trigger(json!({ "rule": "mian" })), "no_rule_matched", "did you mean `main`?"),
        (ask(&site, "GET", "/v1/builds?state=succeded", &Value::Null).json(), "invalid_state", "`succeeded`?"),
        (
            ask(&site, "GET", "/v1/repos/team/ap", &Value::Null).json(),
            "repository_not_found",
            "did you mean `team/app`?",
        ),
        (ask(&site, "DELETE", "/v1/builds", &Value::Null).json(), "method_not_allowed", "it takes GET"),
        (ask(&site, "POST", "/v1/repos/api/builds", &json!({})).json(), "method_not_allowed", "PUT"),
    ] {
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    assert_eq!(trigger(json!({ "ref": "main", "secrets": ["npm"], "dry_run": true }))["would_build"], true);
}

fn command(site: &Site, arguments: &[&str], token: &str) -> Output {
    let mut command = slipway();
    command.args(arguments).env("SLIPWAY_URL", &site.url).env("SLIPWAY_TOKEN", token);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn commands_take_one_form_and_name_what_is_wrong() {
    // US-23, US-27
    let (site, _) = site();
    let said = |arguments: &[&str]| {
        let output = command(&site, arguments, ADMIN_TOKEN);
        (output.status.code(), shown(&output))
    };
    for arguments in [
        ["rules", "test", "team/app", "main"].as_slice(),
        &["rules", "test", "main", "--repo", "team/app"],
        &["status", "team/app"],
        &["status", "--repo", "team/app"],
        &["status", "team/app#latest"],
        &["deliveries"],
        &["deliveries", "team/app"],
        &["queue"],
        &["workers"],
        &["version"],
    ] {
        let (code, text) = said(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
    }
    assert!(said(&["status", "team/app"]).1.contains("team/app#1"));
    for (arguments, part) in [
        (["status", "--repo", "team/typo"].as_slice(), "`team/typo` is not built here"),
        (&["status", "team/ap"], "did you mean `team/app`?"),
        (&["deliveries", "team/ap"], "did you mean `team/app`?"),
        (&["trigger", "api"], "a repository is named namespace/name"),
        (&["secret", "list", "api"], "a repository is named namespace/name"),
        (&["rules", "test", "main"], "REPOSITORY REF"),
    ] {
        let (code, text) = said(arguments);
        assert!(code != Some(0) && text.contains(part), "{arguments:?}: {text}");
    }
    // An empty variable means that there is no token.
    let none = command(&site, &["status"], "");
    assert!(shown(&none).contains("a token is needed") && shown(&none).contains("SLIPWAY_TOKEN"), "{}", shown(&none));
}
