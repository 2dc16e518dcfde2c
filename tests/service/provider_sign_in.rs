//! The sign-in at forges and at a provider of OpenID Connect, as a browser and a forge play it, and what people may then.

use crate::service::sign_in::{Browser, location};
use crate::support::sign_in_server::{CLIENT_SECRET, SignInServer};
use crate::support::{Answer, SECRET, Site, curl, wait_for};
use serde_json::json;

/// The name of the test's repository on a forge.
pub(crate) const REPOSITORY: &str = "Codertocat/Hello-World";
/// Kinds of forges at which people sign in.
const FORGES: [&str; 4] = ["github", "gitlab", "gitea", "forgejo"];

/// Starts a site whose people sign in at a server.
pub(crate) fn site(server: &SignInServer, more: &str) -> Site {
    let keys = "public_url = \"@URL@\"\nanonymous_read = false";
    let second = format!(
        "[[repositories]]\nname = \"team/other\"\ngithub = \"Codertocat/Other\"\nclone_url = \"http://127.0.0.1:1/other.git\"\n\
         secret = \"{SECRET}\"\nimage = \"@REGISTRY@/team/other\"\n"
    );
    let site = Site::start_with(keys, &format!("{second}{}{more}", server.section()));
    server.register(&format!("{}/login/callback/{}", site.url, server.name()));
    site
}

/// Opens the page of a provider that a sign-in leads to, as somebody, and returns its answer.
fn consent(browser: &Browser<'_>, server: &SignInServer, who: &str) -> Answer {
    let begun = browser.open(&format!("/login/with/{}?next=/queue", server.name()));
    assert_eq!(begun.status, 303, "{}", begun.text);
    curl(&["-i", "-H", &format!("x-person: {who}"), location(&begun)])
}

/// Signs somebody in and returns the page that they come back to.
pub(crate) fn sign_in(browser: &Browser<'_>, server: &SignInServer, who: &str) -> Answer {
    let agreed = consent(browser, server, who);
    assert_eq!(agreed.status, 302, "{}", agreed.text);
    browser.open_url(location(&agreed))
}

#[test]
fn people_sign_in_at_every_forge_and_see_what_they_may_there() {
    for kind in FORGES {
        let server = SignInServer::start(kind);
        let site = site(&server, "");
        server.allow("ada", REPOSITORY, "push");
        server.allow("bob", "Codertocat/Other", "read");
        let (ada, bob, eve) = (Browser::new(&site, "ada"), Browser::new(&site, "bob"), Browser::new(&site, "eve"));
        assert!(ada.get("/login").text.contains("Sign in with 127.0.0.1"));
        let back = sign_in(&ada, &server, "ada");
        assert!(back.status == 200 && back.text.contains("url=/queue"), "{kind}: {}", back.text);
        let cookie = back.text.lines().find(|line| line.starts_with("set-cookie: slipway_session=")).unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        let page = ada.get("/repos").text;
        assert!(page.contains("team/app") && !page.contains("team/other"), "{kind}: {page}");
        assert!(page.contains("Account: 127.0.0.1/ada"), "{page}");
        let page = ada.get("/repos/team/app").text;
        assert!(page.contains("action=\"/repos/team/app/builds\""), "{kind}: may push: {page}");
        // Bob may read the other one only, and is told nothing of the first.
        sign_in(&bob, &server, "bob");
        assert_eq!(bob.get("/repos/team/app").status, 404, "{kind}");
        let page = bob.get("/repos/team/other");
        assert!(page.status == 200 && !page.text.contains("/builds\""), "{kind}: {}", page.text);
        // Eve has nothing to do with either.
        server.allow("eve", "Codertocat/Another", "admin");
        sign_in(&eve, &server, "eve");
        assert_eq!((eve.get("/repos/team/app").status, eve.get("/repos/team/other").status), (404, 404), "{kind}");
    }
}

#[test]
fn a_sign_in_is_bound_to_its_browser_and_a_code_is_good_once() {
    let server = SignInServer::start("github");
    let site = site(&server, "");
    server.allow("ada", REPOSITORY, "push");
    let (ada, eve) = (Browser::new(&site, "ada"), Browser::new(&site, "eve"));
    let agreed = consent(&ada, &server, "ada");
    // Eve's browser has begun none, or another one.
    let back = eve.open_url(location(&agreed));
    assert!(back.status == 400 && back.text.contains("has begun no such sign-in"), "{}", back.text);
    eve.open("/login/with/127.0.0.1");
    assert_eq!(eve.open_url(location(&agreed)).status, 400);
    // A code of somebody else's flow does not fit this browser's verifier.
    let stolen = location(&agreed).split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let begun = eve.open("/login/with/127.0.0.1");
    let state = location(&begun).split("&state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let back = eve.open(&format!("/login/callback/127.0.0.1?code={stolen}&state={state}"));
    assert!(back.status == 400 && back.text.contains("The code verifier is wrong"), "{}", back.text);
    // By now the code was used; so was the cookie of the flow.
    let again = ada.open_url(location(&agreed));
    assert!(
        again.status == 400 && again.text.contains("is incorrect or expired") && !again.text.contains(&stolen),
        "{}",
        again.text
    );
    assert_eq!(ada.get("/repos").status, 401);
    let back = sign_in(&ada, &server, "ada");
    assert_eq!(back.status, 200, "{}", back.text);
}

#[test]
fn a_sign_in_that_does_not_succeed_says_what_to_do() {
    let server = SignInServer::start("gitlab");
    let site = site(&server, "");
    server.allow("ada", REPOSITORY, "push");
    let browser = Browser::new(&site, "ada");
    let refused = browser.open_url(location(&consent(&browser, &server, "nobody")));
    assert!(
        refused.status == 400 && refused.text.contains("was told not to sign you in. Start again"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("href=\"/login/with/127.0.0.1?next=%2Fqueue\""), "{}", refused.text);
    assert_eq!(browser.open("/login/with/unknown").status, 404);
    let agreed = consent(&browser, &server, "ada");
    server.faults().is_down = true;
    let down = browser.open_url(location(&agreed));
    assert!(down.status == 400 && down.text.contains("cannot be asked now"), "{}", down.text);
    server.faults().is_down = false;
    // The forge knows another callback than the one that is sent.
    server.register("http://127.0.0.1:1/login/callback/127.0.0.1");
    let begun = browser.open("/login/with/127.0.0.1");
    let answer = curl(&["-i", "-H", "x-person: ada", location(&begun)]);
    assert!(answer.status == 400 && answer.text.contains("redirect uri"), "{}", answer.text);
}

#[test]
fn rights_are_never_wider_than_the_last_answer_and_end_with_the_token() {
    let server = SignInServer::start("gitea");
    let site = site(&server, "[sign_in]\nrefresh_seconds = 1\nkeep_seconds = 4\n");
    server.allow("ada", REPOSITORY, "admin");
    let ada = Browser::new(&site, "ada");
    sign_in(&ada, &server, "ada");
    assert_eq!(ada.get("/repos/team/app").status, 200);
    server.allow("ada", REPOSITORY, "");
    wait_for("the answer that it may nothing", || (ada.get("/repos/team/app").status == 404).then_some(()));
    server.allow("ada", REPOSITORY, "read");
    wait_for("the answer that it may read", || (ada.get("/repos/team/app").status == 200).then_some(()));
    // A token that has ended is replaced.
    server.end_tokens(true);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ada.get("/repos/team/app").status, 200);
    let renewed = |asked: &[String]| asked.iter().filter(|one| one.ends_with("/access_token")).count();
    wait_for("another token", || {
        ada.get("/repos/team/app");
        (renewed(&server.asked()) >= 2).then_some(())
    });
    // While the forge cannot be asked, its last answer counts for a while, then nothing.
    server.faults().is_down = true;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ada.get("/repos/team/app").status, 200);
    wait_for("the end of what was answered", || (ada.get("/repos/team/app").status == 404).then_some(()));
    server.faults().is_down = false;
}

#[test]
fn a_token_that_the_forge_takes_no_more_ends_the_sessions() {
    let server = SignInServer::start("gitlab");
    let site = site(&server, "[sign_in]\nrefresh_seconds = 1\n");
    server.allow("ada", REPOSITORY, "push");
    let ada = Browser::new(&site, "ada");
    sign_in(&ada, &server, "ada");
    assert_eq!(ada.get("/repos/team/app").status, 200);
    server.end_tokens(false);
    wait_for("the end of the session", || (ada.get("/repos/team/app").status == 401).then_some(()));
    sign_in(&ada, &server, "ada");
    assert_eq!(ada.get("/repos/team/app").status, 200);
}

#[test]
fn administrators_are_named_and_a_name_is_not_inherited() {
    let server = SignInServer::start("github");
    let site = site(&server, "[sign_in]\nadministrators = [\"127.0.0.1/Ada\"]\n");
    server.allow("ada", REPOSITORY, "");
    let ada = Browser::new(&site, "ada");
    sign_in(&ada, &server, "ada");
    let queue = ada.get("/queue").text;
    assert!(queue.contains("Pause") && ada.get("/repos/team/other").status == 200, "{queue}");
    assert_eq!(location(&ada.send("/queue", "/queue/pause", &[], &[])), "/queue");
    ada.send("/queue", "/queue/resume", &[], &[]);
    // Renamed, she signs in as somebody who administers nothing.
    server.rename("ada", "countess");
    let again = Browser::new(&site, "again");
    sign_in(&again, &server, "countess");
    assert!(!again.get("/queue").text.contains("Pause"));
    assert!(!ada.get("/queue").text.contains("Pause"), "her earlier session is hers too");
}

#[test]
fn an_id_token_is_checked() {
    let server = SignInServer::start("oidc");
    let site = site(&server, "");
    server.allow("ada", REPOSITORY, "");
    let ada = Browser::new(&site, "ada");
    let back = sign_in(&ada, &server, "ada");
    assert_eq!(back.status, 200, "{}", back.text);
    let page = ada.get("/repos/team/app").text;
    assert!(
        page.contains("Account: corp/ada") && !page.contains("/builds\""),
        "the configuration lets all read: {page}"
    );
    for (name, value, expected) in [
        ("iss", json!("https://elsewhere.example"), "InvalidIssuer"),
        ("aud", json!("another-client"), "InvalidAudience"),
        ("aud", json!(["slipway-client", "another"]), "for another service too"),
        ("azp", json!("another"), "for another service too"),
        ("exp", json!(1_000_000), "ExpiredSignature"),
        ("nonce", json!("another"), "not made for this sign-in"),
        ("sub", json!(""), "does not say who"),
    ] {
        server.faults().claims = [(name, value)].into();
        let browser = Browser::new(&site, "other");
        let back = sign_in(&browser, &server, "ada");
        assert!(back.status == 400 && back.text.contains(expected), "{name}: {}", back.text);
        assert_eq!(browser.get("/repos").status, 401, "{name}");
    }
    server.faults().claims.clear();
    server.faults().is_unsigned = true;
    let back = sign_in(&Browser::new(&site, "other"), &server, "ada");
    assert_eq!(back.status, 400, "an unsigned token: {}", back.text);
}

#[test]
fn neither_secrets_nor_codes_nor_tokens_are_anywhere() {
    for kind in ["github", "gitlab", "oidc"] {
        let server = SignInServer::start(kind);
        let site = site(&server, "[sign_in]\nrefresh_seconds = 1\n");
        server.allow("ada", REPOSITORY, "push");
        let ada = Browser::new(&site, "ada");
        let mut seen = sign_in(&ada, &server, "ada").text;
        // The address bar holds the code: no page repeats it.
        server.end_tokens(true);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        for path in ["/repos", "/queue", "/account", "/v1/whoami", "/metrics"] {
            seen.push_str(&ada.get(path).text);
        }
        server.faults().is_down = true;
        seen.push_str(&sign_in_text(&ada, &server));
        server.faults().is_down = false;
        let log = std::fs::read_to_string(site.path("serve.log")).unwrap();
        let mut stored = Vec::new();
        for file in ["slipway.db", "slipway.db-wal"] {
            stored.extend(std::fs::read(site.path("data").join(file)).unwrap_or_default());
        }
        for secret in server.secrets().iter().map(String::as_str).chain([CLIENT_SECRET]) {
            assert!(!log.contains(secret), "{kind}: the log holds {secret}");
            assert!(!seen.contains(secret), "{kind}: an answer holds {secret}");
            let is_there = stored.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{kind}: the database holds {secret}");
        }
    }
}

/// Begins a sign-in while the provider answers nothing, and returns what is shown.
fn sign_in_text(browser: &Browser<'_>, server: &SignInServer) -> String {
    let path = format!("/login/callback/{}?code=code-canary-x&state=x", server.name());
    browser.open(&path).text
}
