//! Pull requests: built by the rules of the branch that they want to change, never pushed; those of forks after approval.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::sign_in::Browser;
use crate::support::worker_pool::git;
use crate::support::{Answer, SECRET, Site, TOKEN, curl, examples, run, shown, slipway, wait_for};
use serde_json::{Value, json};
use std::process::Command;

/// Key that deliveries to the repository of these tests are signed with.
pub(crate) const KEY: &str = "key of the pull requests";
/// Must reach no build of a fork.
const HUSH: &str = "hush-hush-hush";

/// Adds a repository that builds pull requests as `settings` say.
pub(crate) fn add(site: &Site, settings: &Value) {
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].clone();
    let mut document = json!({
        "name": "pulls/app", "forge_name": "Codertocat/Pulls", "clone_url": clone_url, "secret": KEY,
        "image": format!("{}/pulls/app", site.registry),
        "rules": [
            { "name": "main", "branch": "main", "tags": ["latest"], "secrets": ["npm"], "env": { "TOKEN": HUSH },
              "build_args": { "BASE": format!("{}/base/busybox", site.registry) } },
            { "name": "other", "branch": "other" },
        ],
    });
    settings.as_object().unwrap().iter().for_each(|(key, value)| document[key] = value.clone());
    let added = ask(site, "POST", "/v1/repos", &document);
    assert_eq!(added.status, 201, "{}", added.text);
    let put = ask(site, "PUT", "/v1/repos/pulls/app/secrets/npm", &json!({ "value": HUSH }));
    assert!(put.status < 300, "{}", put.text);
}

/// Commits files to a branch of somebody's, of which the repository knows as a pull request alone.
pub(crate) fn propose(site: &Site, number: u32, files: &[(&str, &str)]) -> String {
    let (bare, fork) = (site.path("git/app.git"), site.path(&format!("fork-{number}")));
    if !fork.exists() {
        run(Command::new("git").args(["clone", "-q"]).arg(&bare).arg(&fork));
    }
    files.iter().for_each(|(name, content)| std::fs::write(fork.join(name), content).unwrap());
    git(&fork, &["add", "-A"]);
    git(&fork, &["commit", "-q", "--allow-empty", "-m", "A proposal"]);
    git(&fork, &["push", "-q", bare.to_str().unwrap(), &format!("HEAD:refs/pull/{number}/head")]);
    git(&fork, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// Returns what GitHub says of a pull request: its own example with another commit.
pub(crate) fn payload(action: &str, number: u32, commit: &str, is_fork: bool) -> Value {
    let mut body = examples("pull_request").into_iter().find(|known| known["action"] == action).unwrap();
    body["number"] = number.into();
    body["repository"]["full_name"] = "Codertocat/Pulls".into();
    body["pull_request"]["base"]["ref"] = "main".into();
    body["pull_request"]["head"]["sha"] = commit.into();
    if is_fork {
        body["pull_request"]["head"]["repo"]["id"] = 4711.into();
        body["pull_request"]["head"]["repo"]["full_name"] = "stranger/fork".into();
    }
    body
}

pub(crate) fn deliver(site: &Site, body: &Value) -> Value {
    let id = format!("{}-{}-{}", body["action"], body["number"], body["pull_request"]["head"]["sha"]).replace('"', "");
    let answer = site.deliver("pull_request", &id, &body.to_string(), KEY);
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
    answer.json()
}

/// Returns the id of the one build of a delivery.
pub(crate) fn only(answer: &Value) -> String {
    assert_eq!(answer["builds"].as_array().map(Vec::len), Some(1), "{answer:#}");
    answer["builds"][0]["id"].as_str().unwrap().to_owned()
}

fn approve(site: &Site, token: Option<&str>, id: &str) -> Answer {
    let url = format!("{}/v1/builds/{id}/approve", site.url);
    let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
    let mut arguments = vec!["-X", "POST", url.as_str()];
    bearer.iter().for_each(|bearer| arguments.extend(["-H", bearer]));
    curl(&arguments)
}

/// Returns how the registry answers for the image of these tests.
fn pushed(site: &Site) -> u16 {
    curl(&[&format!("http://{}/v2/pulls/app/tags/list", site.registry)]).status
}

#[test]
fn a_pull_request_of_one_s_own_is_built_at_once_and_not_pushed() {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    add(&site, &json!({ "pull_requests": "own" }));
    let dockerfile = "ARG BASE\nFROM ${BASE}\nARG TOKEN\nRUN --mount=type=secret,id=npm,required test \"$(cat /run/secrets/npm)\" = \"$TOKEN\"\n";
    let commit = propose(&site, 3, &[("Dockerfile", dockerfile)]);
    let id = only(&deliver(&site, &payload("opened", 3, &commit, false)));
    let build = site.succeeded(&id);
    assert_eq!((&build["ref"], &build["commit"]), (&json!("refs/pull/3/head"), &json!(commit)));
    assert_eq!((&build["tags"], &build["image"]["tags"], &build["push"]), (&json!([]), &json!([]), &json!(false)));
    assert_eq!(build["trigger"]["kind"], "pull_request");
    assert_eq!((&build["trusted"], &build["held"]), (&json!(true), &json!(false)));
    assert_eq!(pushed(&site), 404, "nothing is pushed");
    assert_eq!(site.get("/badges/pulls/app.json")["message"], "unknown", "badges are about the repository");
    assert_eq!(approve(&site, Some(ADMIN_TOKEN), &id).json()["code"], "not_held");
    // The same delivery makes no second build, and other events of a pull request make none at all.
    assert_eq!(deliver(&site, &payload("opened", 3, &commit, false))["duplicate"], true);
    assert_eq!(deliver(&site, &payload("labeled", 3, &commit, false))["ignored"], true);
    let fork = deliver(&site, &payload("opened", 4, &commit, true));
    assert_eq!(fork["reason"], "pull_request_of_fork", "{fork:#}");
    // The repository of the configuration says nothing of pull requests.
    let mut body = payload("opened", 3, &commit, false);
    body["repository"]["full_name"] = "Codertocat/Hello-World".into();
    let off = site.deliver("pull_request", "off", &body.to_string(), SECRET).json();
    assert_eq!(off["reason"], "pull_requests_off", "{off:#}");
}

#[test]
fn a_fork_s_build_waits_for_approval_and_gets_nothing_of_the_repository() {
    // WH-31, SEC-05
    let site = Site::start(&format!(
        "{ADMIN}[[tokens]]\nname = \"reader\"\ntoken = \"{}\"\nscopes = [\"read\"]\n\
         [[tokens]]\nname = \"elsewhere\"\ntoken = \"{}\"\nscopes = [\"trigger\"]\nrepositories = [\"team/app\"]\n",
        "r".repeat(32),
        "e".repeat(32)
    ));
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    add(&site, &json!({ "pull_requests": "all" }));
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN echo shared\nARG TOKEN=none\n\
        RUN --mount=type=secret,id=npm echo \"token <$TOKEN> secret <$(cat /run/secrets/npm 2>/dev/null)>\"\n";
    let commit = propose(&site, 5, &[("Dockerfile", dockerfile)]);
    let id = only(&deliver(&site, &payload("opened", 5, &commit, true)));

    let held = site.get(&format!("/v1/builds/{id}"));
    assert_eq!((&held["held"], &held["trusted"], &held["state"]), (&json!(true), &json!(false), &json!("queued")));
    assert_eq!((&held["queue"]["waiting_for"], &held["queue"]["position"]), (&json!("approval"), &Value::Null));
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains(&format!("slipway approve {id}")), "{page}");
    assert!(curl(&[&format!("{}/queue", site.url)]).text.contains("approval"));
    // Others are built meanwhile.
    site.succeeded(&site.push(&site.commit(&[("other", "")])));
    assert_eq!(site.get(&format!("/v1/builds/{id}"))["attempt"], 0, "nobody was given it");

    // API-17: no token, one that may only read, one for another repository.
    assert_eq!(approve(&site, None, &id).status, 401);
    assert_eq!(approve(&site, Some(&"r".repeat(32)), &id).status, 403);
    assert_eq!(approve(&site, Some(&"e".repeat(32)), &id).status, 404);
    assert_eq!(site.get(&format!("/v1/builds/{id}"))["held"], true);
    let first = approve(&site, Some(TOKEN), &id);
    assert_eq!((first.status, &first.json()["approved_by"]), (202, &json!("test")), "{}", first.text);
    let again = approve(&site, Some(ADMIN_TOKEN), &id);
    assert_eq!((again.status, &again.json()["approved_by"]), (200, &json!("test")), "{}", again.text);
    let build = site.succeeded(&id);
    let log = site.log(&id);
    assert!(log.contains("token <none> secret <>") && !log.contains(HUSH), "{log}");
    assert_eq!((&build["trusted"], &build["image"]["tags"]), (&json!(false), &json!([])));
    assert!(!build.to_string().contains(HUSH), "{build:#}");
    assert_eq!(pushed(&site), 404, "nothing is pushed");
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains("from a fork") && page.contains("Approved by"), "{page}");

    // Results of the fork are not shared: the same steps run again for the branch.
    let merged = site.commit(&[("Dockerfile", dockerfile)]);
    let body = crate::support::raw_http::push("refs/heads/main", &merged, "merged")
        .replace("Codertocat/Hello-World", "Codertocat/Pulls");
    let main = only(&site.deliver("push", "merged", &body, KEY).json());
    let main = site.succeeded(&main);
    let steps = main["steps"].as_array().unwrap();
    let shared = steps.iter().find(|step| step["instruction"] == "RUN echo shared");
    assert_eq!(shared.map(|step| &step["cached"]), Some(&json!(false)), "{steps:#?}");
    assert_eq!(pushed(&site), 200);
}

#[test]
fn a_fork_s_build_is_approved_or_rejected_by_a_button() {
    let site = Site::start(ADMIN);
    add(&site, &json!({ "pull_requests": "all" }));
    site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let [first, second] = [1, 2].map(|number| {
        let commit = propose(&site, number, &[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\nLABEL by=stranger\n")]);
        only(&deliver(&site, &payload("opened", number, &commit, true)))
    });
    let browser = Browser::signed_in(&site, "maintainer", TOKEN);
    let list = browser.get("/?state=held").text;
    assert!(list.matches("<li class=\"row hold\"").count() == 2 && list.contains("Needs approval"), "{list}");
    let page = format!("/builds/{first}");
    let shown = browser.get(&page).text;
    assert!(shown.contains("<title>⏸ pulls/app #1 · slipway</title>") && shown.contains("Reject"), "{shown}");
    assert_eq!(browser.send(&page, &format!("{page}/approve"), &[], &[]).status, 303);
    assert_eq!(site.finished(&first)["approved_by"], "test");
    let page = format!("/builds/{second}");
    assert_eq!(browser.send(&page, &format!("{page}/cancel"), &[], &[]).status, 303);
    assert_eq!(site.finished(&second)["state"], "cancelled");
    assert!(!browser.get(&page).text.contains("/approve\""), "nothing is left to approve");
}

#[test]
fn newer_commits_and_the_end_of_a_pull_request_end_its_waiting_builds() {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    add(&site, &json!({ "pull_requests": "all" }));
    let commits: Vec<_> = (0..3).map(|_| propose(&site, 6, &[])).collect();
    let first = only(&deliver(&site, &payload("opened", 6, &commits[0], true)));
    let mut body = payload("synchronize", 6, &commits[1], true);
    (body["before"], body["after"]) = (commits[0].as_str().into(), commits[1].as_str().into());
    let second = only(&deliver(&site, &body));
    let state = |id: &str| site.get(&format!("/v1/builds/{id}"))["state"].clone();
    assert_eq!((state(&first), state(&second)), (json!("superseded"), json!("queued")));
    let closed = deliver(&site, &payload("closed", 6, &commits[1], true));
    assert_eq!((&closed["reason"], state(&second)), (&json!("pull_request_closed"), json!("superseded")));
    // Opened again it waits again; the command approves it by its number, and a repetition needs no approval of its own.
    let third = only(&deliver(&site, &payload("reopened", 6, &commits[1], true)));
    let command = |arguments: &[&str]| {
        let output =
            slipway().args(arguments).env("SLIPWAY_URL", &site.url).env("SLIPWAY_TOKEN", ADMIN_TOKEN).output().unwrap();
        (output.status.success(), shown(&output))
    };
    let (_, text) = command(&["status", &third]);
    assert!(text.contains("queue   waits for approval\n") && text.contains("by pull_request"), "{text}");
    let (fine, text) = command(&["approve", "pulls/app#3"]);
    assert!(fine && text.contains(&format!("{third} is approved by admin")), "{text}");
    site.succeeded(&third);
    let (fine, text) = command(&["retry", &third]);
    assert!(fine, "{text}");
    let newest = site.get("/v1/builds?repo=pulls/app&limit=1")["builds"][0]["id"].as_str().unwrap().to_owned();
    let repeated = site.succeeded(&newest);
    assert_eq!((&repeated["trusted"], &repeated["push"]), (&json!(false), &json!(false)));
    // One that waits is cancelled like any other, and is then not to be approved any more.
    let mut body = payload("synchronize", 6, &commits[2], true);
    (body["before"], body["after"]) = (commits[1].as_str().into(), commits[2].as_str().into());
    let last = only(&deliver(&site, &body));
    assert!(command(&["cancel", &last]).0 && state(&last) == "cancelled");
    let (fine, text) = command(&["approve", &last]);
    assert!(!fine && text.contains("already_finished"), "{text}");
}

#[test]
fn a_pull_request_does_not_say_by_which_rules_it_is_built() {
    let site = Site::start(ADMIN);
    site.push_base();
    let rules = format!(
        "[[rules]]\nname = \"own\"\nbranch = \"main\"\nbuild_args = {{ BASE = \"{}/base/busybox\" }}\n",
        site.registry
    );
    let base = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN true\n"), ("slipway.toml", &rules)]);
    let settings =
        json!({ "pull_requests": "all", "pull_requests_need_approval": false, "own_rules": { "secrets": ["npm"] } });
    add(&site, &settings);
    let theirs = rules.replace("\"own\"", "\"theirs\"\nsecrets = [\"npm\"]");
    let commit = propose(&site, 8, &[("slipway.toml", &theirs)]);
    let mut body = payload("opened", 8, &commit, true);
    body["pull_request"]["base"]["sha"] = base.as_str().into();
    assert_eq!(deliver(&site, &body)["pending"], "rules");
    let build =
        wait_for("the build", || site.get("/v1/builds?repo=pulls/app")["builds"].as_array().unwrap().first().cloned());
    let build = site.succeeded(build["id"].as_str().unwrap());
    assert_eq!((&build["rule"], &build["commit"]), (&json!("own"), &json!(commit)), "{build:#}");
    assert_eq!((&build["trusted"], &build["held"], &build["push"]), (&json!(false), &json!(false), &json!(false)));
}

#[test]
fn sec_m1_a_fork_s_build_reads_public_images_and_its_repository_s_own() {
    for server in ["", "registry_users = { ci = \"hush-hush\" }"] {
        let site = Site::start_with(server, ADMIN);
        site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /own\n")]);
        add(
            &site,
            &json!({ "pull_requests": "all", "pull_requests_need_approval": false,
            "may_read": [format!("{}/team/app", site.registry)] }),
        );
        let registry = &site.registry;
        let commit = site.commit(&[("a", "1")]);
        // team/app is another repository's image, pulls/app its own.
        site.succeeded(&site.push(&commit));
        let body = crate::support::raw_http::push("refs/heads/main", &commit, "x")
            .replace("Codertocat/Hello-World", "Codertocat/Pulls");
        site.succeeded(&only(&site.deliver("push", "own", &body, KEY).json()));
        for (number, (base, expected)) in [
            (format!("FROM {registry}/pulls/app\n"), "succeeded"),
            (format!("FROM {registry}/team/app\n"), "failed"),
            (format!("FROM scratch\nCOPY --from={registry}/team/app /own /x\n"), "failed"),
        ]
        .into_iter()
        .enumerate()
        {
            let number = 20 + number as u32;
            let commit = propose(&site, number, &[("Dockerfile", &base)]);
            let build = site.finished(&only(&deliver(&site, &payload("opened", number, &commit, true))));
            assert_eq!(build["state"], expected, "{server} {base} {build:#}");
            if expected == "failed" {
                assert_eq!(build["reason"]["code"], "image_not_allowed", "{build:#}");
            }
        }
    }
}
