//! GitHub Apps that are made on a page: from the form to the first check run, and forgotten again.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::sign_in::{Browser, location};
use crate::support::github_app::{APP, APP_SECRET, GithubApp};
use crate::support::{Site, TOKEN as READER, wait_for};
use serde_json::{Value, json};

/// Starts a site with a GitHub that has neither token nor App, and a repository there.
fn start() -> (GithubApp, Site, String) {
    let mut forge = GithubApp::start();
    let (git, api) = (forge.git, forge.address);
    let extra = format!(
        r#"{ADMIN}
        [[repositories]]
        name = "private/app"
        forge_name = "Codertocat/Hello-World"
        clone_url = "http://{git}/app.git"
        image = "@REGISTRY@/private/app"
        [[repositories.rules]]
        name = "main"
        branch = "main"
        tags = ["latest"]
        [forges."{git}"]
        kind = "github"
        url = "http://{api}"
        "#
    );
    let site = Site::start(&extra);
    forge.guard(site.path("git"));
    (forge, site, git.to_string())
}

/// Delivers a push of the private repository, signed with the secret of the App.
fn push(site: &Site, commit: &str) -> crate::support::Answer {
    let body = json!({
        "ref": "refs/heads/main", "before": "0".repeat(40), "after": commit,
        "head_commit": { "id": commit, "message": "m" }, "pusher": { "name": "writer" }, "commits": [],
        "repository": { "full_name": "Codertocat/Hello-World", "default_branch": "main" },
    });
    site.deliver("push", &format!("push-{commit}"), &body.to_string(), APP_SECRET)
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

#[test]
fn an_app_is_made_on_a_page_used_at_once_and_after_a_restart_and_forgotten() {
    let (forge, mut site, host) = start();
    let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    assert_eq!(push(&site, &commit).status, 401, "there is no App yet");
    let begin = format!("/forges/{host}/app");
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let list = browser.get("/forges").text;
    assert!(list.contains(&format!("action=\"{begin}\"")) && list.contains("without a token"), "{list}");
    // The page alone may post to the forge, and to nobody else.
    let page = browser.open(&format!("{begin}?organization=acme"));
    let policy = page.text.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
    assert!(policy.ends_with(&format!("form-action 'self' http://{}", forge.address)), "{policy}");
    assert!(browser.open("/forges").text.contains("form-action 'self'\r\n"));
    assert_eq!(browser.get(&format!("{begin}?organization=a/b")).status, 400);
    let action = page.text.split("<form action=\"http").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let address = format!("://{}/organizations/acme/settings/apps/new?state=", forge.address);
    let state = action.strip_prefix(&address).unwrap_or_else(|| panic!("{action}"));
    let manifest =
        page.text.split("name=\"manifest\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let manifest: Value = serde_json::from_str(&unescaped(manifest)).unwrap();
    assert_eq!(manifest["hook_attributes"], json!({ "url": format!("{}/hooks/github", site.url), "active": true }));
    assert_eq!(manifest["redirect_url"], json!(format!("{}{begin}/back", site.url)));
    assert_eq!((&manifest["public"], manifest["name"].as_str().map(str::len) <= Some(34)), (&json!(false), true));
    // GitHub sends the browser back; its cookie comes along with the second request.
    forge.give_code("canarycode1");
    let back = Browser::new(&site, "none").get(&format!("{begin}/back?code=canarycode1&state={state}"));
    let made = format!("{begin}/made?code=canarycode1&state={state}");
    assert!(back.status == 200 && unescaped(&back.text).contains(&format!("0; url={made}")), "{}", back.text);
    let stranger = Browser::signed_in(&site, "second", ADMIN_TOKEN).get(&made);
    assert!(stranger.status == 403 && stranger.text.contains("has not begun"), "{}", stranger.text);
    assert_eq!(Browser::signed_in(&site, "test", READER).get(&made).status, 403);
    assert_eq!(Browser::new(&site, "nobody").get(&made).status, 401);
    assert_eq!(browser.get(&format!("{begin}/made?code=wrong&state={state}")).status, 409);
    let done = browser.open(&made);
    assert_eq!((done.status, location(&done)), (303, "/forges"), "{}", done.text);
    assert_eq!(browser.get(&made).status, 409, "there is one already");
    let listed = ask(&site, "GET", "/v1/forges", &Value::Null);
    let app = json!({ "id": APP, "is_made": true, "name": "slipway test", "page": "https://github.com/apps/slipway-test", "made_by": "admin" });
    assert_eq!(listed.json()["forges"][0]["app"], app, "{}", listed.text);
    let build = |commit: &str| {
        let answer = push(&site, commit);
        assert_eq!(answer.status, 202, "{}", answer.text);
        let id = answer.json()["builds"][0]["id"].as_str().unwrap().to_owned();
        site.succeeded(&id);
        let is_done = |check: &Value| check["external_id"] == *id && check["conclusion"] == "success";
        wait_for("the check run", || forge.checks().into_iter().find(is_done))
    };
    build(&commit);
    site.server = None;
    site.serve();
    let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /a\n")]);
    let answer = push(&site, &commit);
    site.succeeded(answer.json()["builds"][0]["id"].as_str().unwrap());
    no_secret_lies_open(&forge, &site, &listed.text);
    // Its session outlives the restart.
    let browser = Browser::new(&site, "admin");
    let gone = browser.send("/forges", &format!("{begin}/remove"), &[], &[]);
    assert_eq!(gone.status, 303, "{}", gone.text);
    assert_eq!(push(&site, &"1".repeat(40)).status, 401);
    assert_eq!(ask(&site, "DELETE", &format!("/v1{begin}"), &Value::Null).status, 404);
    let audit = ask(&site, "GET", "/v1/audit", &Value::Null).text;
    assert!(audit.contains("forge_app_made") && audit.contains("forge_app_removed"), "{audit}");
}

/// Looks for the key, the secrets and the code of the App where they must not be.
fn no_secret_lies_open(forge: &GithubApp, site: &Site, listed: &str) {
    let key = std::fs::read_to_string(forge.key()).unwrap();
    let line = key.lines().nth(3).unwrap();
    let mut places =
        vec![("the log", std::fs::read(site.path("serve.log")).unwrap()), ("the list", listed.as_bytes().to_vec())];
    for entry in std::fs::read_dir(site.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slipway.db")) {
            places.push(("the database", std::fs::read(path).unwrap()));
        }
    }
    assert!(places.len() > 2);
    for (place, bytes) in places {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [line, APP_SECRET, "canary-client-secret", "canarycode1"] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
}
