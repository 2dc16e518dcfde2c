//! People's tokens and sessions, service accounts, accounts with a password, logins of the command line, and the audit log.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::provider_sign_in::{REPOSITORY, sign_in, site};
use crate::service::sign_in::{Browser, location};
use crate::support::sign_in_server::SignInServer;
use crate::support::{Answer, Site, curl, run, shown, slipway, wait_for};
use serde_json::{Value, json};
use std::process::Stdio;

/// Asks the API with a token.
pub(crate) fn with_token(site: &Site, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let (header, url) = (format!("Authorization: Bearer {token}"), format!("{}{path}", site.url));
    let body = body.to_string();
    curl(&["-X", method, "-H", &header, "-H", "Content-Type: application/json", "-d", &body, &url])
}

/// Makes a token on the page of somebody's account and returns it.
pub(crate) fn made(browser: &Browser<'_>, name: &str, scope: &str, repositories: &str) -> String {
    let fields = [("name", name), ("scope", scope), ("repositories", repositories), ("days", "3")];
    let answer = browser.send("/account", "/account/tokens", &fields, &[]);
    let token = answer.text.split("slp_").nth(1).and_then(|rest| rest.split('<').next());
    format!("slp_{}", token.unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text)))
}

#[test]
fn a_token_has_at_most_the_rights_of_its_owner() {
    let server = SignInServer::start("gitea");
    let site = site(&server, "[sign_in]\nrefresh_seconds = 1\n");
    server.allow("ada", REPOSITORY, "admin");
    server.allow("ada", "Codertocat/Other", "read");
    let ada = Browser::new(&site, "ada");
    sign_in(&ada, &server, "ada");
    let (all, some) = (made(&ada, "all", "admin", ""), made(&ada, "some", "trigger", "team/o*"));
    let status = |token: &str, method: &str, path: &str| with_token(&site, token, method, path, &json!({})).status;
    assert_eq!(status(&all, "GET", "/v1/repos/team/app/secrets"), 200, "admin of it");
    assert_eq!(status(&all, "GET", "/v1/repos/team/other/secrets"), 403, "reads it");
    assert_eq!(status(&all, "POST", "/v1/queue/pause"), 403, "administers not all");
    assert_eq!(status(&all, "GET", "/v1/accounts"), 403);
    assert_eq!(status(&some, "GET", "/v1/repos/team/app"), 404, "not for it");
    assert_eq!(status(&some, "GET", "/v1/repos/team/other"), 200);
    assert_eq!(status(&some, "POST", "/v1/repos/team/other/builds"), 403, "its owner reads it");
    assert_eq!(status(&some, "GET", "/v1/tokens"), 403, "it may less than its owner");
    let change = json!({ "clone_url": "https://github.com/others/private.git" });
    assert_eq!(with_token(&site, &all, "PATCH", "/v1/repos/team/app", &change).status, 409, "of the file");
    // By the API, and revoked by it.
    let asked =
        json!({ "name": "api", "scope": "read", "repositories": ["team/*"], "expires_at": "2090-01-01T00:00:00Z" });
    let answer = with_token(&site, &all, "POST", "/v1/tokens", &asked);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let own = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(answer.json()["full_name"], "127.0.0.1/ada/api");
    assert_eq!(with_token(&site, &all, "POST", "/v1/tokens", &asked).json()["code"], "token_exists");
    for (key, value) in [
        ("scope", json!("all")),
        ("name", json!("a/b")),
        ("repositories", json!(["team"])),
        ("expires_at", json!("2001-01-01T00:00:00Z")),
    ] {
        let mut wrong = asked.clone();
        wrong[key] = value;
        assert_eq!(with_token(&site, &all, "POST", "/v1/tokens", &wrong).json()["code"], "invalid_token", "{key}");
    }
    assert_eq!(status(&own, "GET", "/v1/repos/team/app"), 200);
    assert_eq!(status(&all, "DELETE", "/v1/tokens/api"), 204);
    assert_eq!((status(&own, "GET", "/v1/repos/team/app"), status(&all, "DELETE", "/v1/tokens/api")), (401, 404));
    // Every token loses what the forge takes away.
    server.allow("ada", "Codertocat/Other", "");
    wait_for("the loss of a right", || (status(&some, "GET", "/v1/repos/team/other") == 404).then_some(()));
    // Builds show who asked for them.
    let started = with_token(&site, &all, "GET", "/v1/whoami", &json!({})).json();
    assert_eq!((&started["account"], &started["repositories"]), (&json!("127.0.0.1/ada"), &json!(["team/app"])));
}

#[test]
fn sessions_end_one_by_one_and_all_at_once() {
    let server = SignInServer::start("github");
    let site = site(&server, "");
    server.allow("ada", REPOSITORY, "read");
    let browsers: Vec<_> = ["one", "two", "three"].iter().map(|name| Browser::new(&site, name)).collect();
    browsers.iter().for_each(|browser| drop(sign_in(browser, &server, "ada")));
    let page = browsers[0].get("/account").text;
    assert_eq!(page.matches("Sign out</button>").count(), 4, "three sessions and the menu: {page}");
    let other = page.split("action=\"/account/sessions/").skip(2).find_map(|rest| rest.split('"').next());
    let other = format!("/account/sessions/{}", other.unwrap());
    assert_eq!(location(&browsers[0].send("/account", &other, &[], &[])), "/account");
    let good = |browser: &Browser<'_>| browser.get("/repos").status == 200;
    assert_eq!(browsers.iter().filter(|browser| good(browser)).count(), 2);
    browsers[0].send("/account", "/account/sessions/end", &[], &[]);
    assert_eq!(browsers.iter().filter(|browser| good(browser)).count(), 0);
}

#[test]
fn service_accounts_have_the_rights_that_administrators_give() {
    let site = Site::start_with("anonymous_read = false", ADMIN);
    let body = json!({ "name": "deploy", "rights": [{ "repositories": "team/*", "scope": "trigger" }] });
    let account = ask(&site, "POST", "/v1/accounts", &body);
    assert_eq!(account.status, 201, "{}", account.text);
    let id = account.json()["id"].as_i64().unwrap();
    assert_eq!(ask(&site, "POST", "/v1/accounts", &body).json()["code"], "account_exists");
    let token = json!({ "name": "ci", "scope": "admin" });
    let token = ask(&site, "POST", &format!("/v1/accounts/{id}/tokens"), &token).json();
    let token = token["token"].as_str().unwrap();
    let status = |method: &str, path: &str| with_token(&site, token, method, path, &json!({})).status;
    assert_eq!((status("GET", "/v1/repos/team/app"), status("GET", "/v1/repos/team/app/secrets")), (200, 403));
    let rights = json!({ "rights": [{ "repositories": "other/**", "scope": "admin" }] });
    assert_eq!(ask(&site, "PUT", &format!("/v1/accounts/{id}/rights"), &rights).status, 200);
    assert_eq!(status("GET", "/v1/repos/team/app"), 404);
    let wrong = json!({ "rights": [{ "repositories": "team", "scope": "read" }] });
    assert_eq!(ask(&site, "PUT", &format!("/v1/accounts/{id}/rights"), &wrong).json()["code"], "invalid_account");
    assert_eq!(ask(&site, "DELETE", &format!("/v1/accounts/{id}"), &json!({})).status, 204);
    assert_eq!(
        (status("GET", "/v1/whoami"), ask(&site, "DELETE", &format!("/v1/accounts/{id}"), &json!({})).status),
        (401, 404)
    );
    let log = ask(&site, "GET", "/v1/audit?actor=admin", &json!({})).json();
    let deeds: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(deeds, ["account_removed", "rights_changed", "token_made", "account_added"]);
    assert_eq!(log["entries"][2]["subject"], "service/deploy/ci");
    let first = with_token(&site, ADMIN_TOKEN, "GET", "/v1/audit?limit=1", &json!({}));
    assert!(!first.json()["next_cursor"].is_null());
}

#[test]
fn accounts_with_a_password_sign_in_and_every_deed_is_recorded() {
    let site = Site::start_with("anonymous_read = false", &format!("{ADMIN}[sign_in]\nlocal = true\n"));
    let user = json!({ "name": "eve", "password": "correct horse" });
    assert_eq!(ask(&site, "POST", "/v1/registry/users", &user).status, 201);
    let rights = json!({ "name": "eve", "local": true, "rights": [{ "repositories": "team/app", "scope": "admin" }] });
    assert_eq!(ask(&site, "POST", "/v1/accounts", &rights).status, 201);
    let eve = Browser::new(&site, "eve");
    eve.get("/login");
    let wrong = eve.send("/login", "/login", &[("name", "eve"), ("password", "wrong horse")], &[]);
    assert!(wrong.status == 401 && wrong.text.contains("The name or the password is wrong"), "{}", wrong.text);
    let unknown = eve.send("/login", "/login", &[("name", "nobody"), ("password", "correct horse")], &[]);
    assert_eq!(unknown.status, 401);
    let right =
        eve.send("/login", "/login", &[("name", "eve"), ("password", "correct horse"), ("next", "/repos")], &[]);
    assert_eq!(location(&right), "/repos");
    assert!(eve.get("/repos/team/app").text.contains("Account: local/eve"));
    let token = made(&eve, "mine", "admin", "");
    let secret = json!({ "value": "secret-canary" });
    assert_eq!(with_token(&site, &token, "PUT", "/v1/repos/team/app/secrets/npm", &secret).status, 200);
    assert_eq!(eve.get("/audit").status, 403, "administrators see it");
    let admin = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let page = admin.get("/audit?repo=team/app").text;
    assert!(page.contains("secret written") && page.contains("local/eve/mine") && page.contains("npm"), "{page}");
    assert!(!admin.get("/audit").text.contains("canary"));
    assert!(admin.get("/audit").text.contains("sign in"));
    // Another password ends the sessions, and the end of the account its tokens.
    let password = json!({ "password": "another horse" });
    assert_eq!(ask(&site, "PUT", "/v1/registry/users/eve/password", &password).status, 200);
    assert_eq!(eve.get("/repos").status, 401);
    assert_eq!(ask(&site, "DELETE", "/v1/registry/users/eve", &json!({})).status, 204);
    assert_eq!(with_token(&site, &token, "GET", "/v1/whoami", &json!({})).status, 401);
}

#[test]
fn a_login_of_the_command_line_is_confirmed_on_a_page() {
    let server = SignInServer::start("gitlab");
    let site = site(&server, "");
    server.allow("ada", REPOSITORY, "push");
    let ada = Browser::new(&site, "ada");
    sign_in(&ada, &server, "ada");
    let home = site.path("home");
    let mut command = slipway();
    command.args(["sign-in", &site.url]).env("HOME", &home).env_remove("XDG_CONFIG_HOME");
    let mut login = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let shown_on = |path: &str| ada.get(path).text;
    let mut stderr = std::io::BufReader::new(login.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    let code = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(shown_on("/account/device?code=ZZZZ-ZZZZ").contains("No login waits with the code"));
    let page = format!("/account/device?code={}", code.to_lowercase());
    assert!(shown_on(&page).contains("wants to act as"), "{line}");
    let fields = [("code", code.as_str()), ("answer", "confirm")];
    assert_eq!(location(&ada.send(&page, "/account/device", &fields, &[])), "/account");
    let output = login.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let file = home.join(".config/slipway/logins.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let with_login = |arguments: &[&str]| {
        let mut command = slipway();
        command.args(arguments).env("HOME", &home).env("SLIPWAY_URL", &site.url).env_remove("XDG_CONFIG_HOME");
        command
    };
    let listed = run(&mut with_login(&["repo", "list"]));
    assert!(listed.contains("team/app") && !listed.contains("team/other"), "{listed}");
    let token: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let token = token[&site.url].as_str().unwrap().to_owned();
    run(&mut with_login(&["sign-out", &site.url]));
    assert_eq!(with_token(&site, &token, "GET", "/v1/whoami", &json!({})).status, 401);
    let refused = with_login(&["repo", "list"]).output().unwrap();
    assert!(!refused.status.success() && shown(&refused).contains("slipway sign-in"), "{}", shown(&refused));
}
