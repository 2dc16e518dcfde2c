//! The sign-in on pages, and the buttons of those who signed in, as a browser without scripts uses them.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask, trigger_main};
use crate::support::{Answer, Site, TOKEN, curl, run, slipway, wait_for};
use serde_json::json;

/// A browser: it keeps cookies and asks for pages.
pub(crate) struct Browser<'s> {
    site: &'s Site,
    jar: String,
}

impl<'s> Browser<'s> {
    /// Returns a browser without cookies.
    pub(crate) fn new(site: &'s Site, name: &str) -> Self {
        Browser { site, jar: site.path(&format!("cookies-{name}")).display().to_string() }
    }

    /// Returns a browser of somebody who signed in with a token.
    pub(crate) fn signed_in(site: &'s Site, name: &str, token: &str) -> Self {
        let browser = Browser::new(site, name);
        browser.get("/login");
        let answer = browser.send("/login", "/login", &[("token", token)], &[]);
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    /// Opens a page.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.site.url);
        curl(&["-b", &self.jar, "-c", &self.jar, "-H", "Accept: text/html", &url])
    }

    /// Opens a page; headers of the answer come first.
    pub(crate) fn open(&self, path: &str) -> Answer {
        self.open_url(&format!("{}{path}", self.site.url))
    }

    /// Opens the page of an address; headers of the answer come first.
    pub(crate) fn open_url(&self, url: &str) -> Answer {
        curl(&["-i", "-b", &self.jar, "-c", &self.jar, "-H", "Accept: text/html", url])
    }

    /// Sends the form for `action` that stands on a page, as it is there; headers of the answer come first.
    pub(crate) fn send(&self, page: &str, action: &str, fields: &[(&str, &str)], headers: &[&str]) -> Answer {
        let text = self.get(page).text;
        let form = text.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")));
        let form = form.unwrap_or_else(|| panic!("no form for {action} on {page}: {text}"));
        let proof = form.split("name=\"proof\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let fields: Vec<_> = fields.iter().copied().chain([("proof", proof)]).collect();
        self.post(action, &fields, headers)
    }

    /// Sends fields.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[&str]) -> Answer {
        let url = format!("{}{path}", self.site.url);
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec!["-i", "-b", &self.jar, "-c", &self.jar, "-H", "Accept: text/html", "-X", "POST"];
        headers.iter().for_each(|header| arguments.extend(["-H", header]));
        fields.iter().for_each(|field| arguments.extend(["--data-urlencode", field]));
        if fields.is_empty() {
            arguments.extend(["-d", ""]);
        }
        arguments.push(&url);
        curl(&arguments)
    }
}

/// Returns where an answer leads to.
pub(crate) fn location(answer: &Answer) -> &str {
    let line = answer.text.lines().find_map(|line| line.strip_prefix("location: "));
    line.unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text)).trim()
}

#[test]
fn a_token_opens_a_session_and_signing_out_ends_it() {
    let site = Site::start_with("anonymous_read = false", ADMIN);
    let browser = Browser::new(&site, "one");
    let asked = browser.get("/queue");
    assert!(asked.status == 401 && asked.text.contains("name=\"next\" value=\"/queue\""), "{}", asked.text);
    let blind = browser.post("/login", &[("token", ADMIN_TOKEN)], &[]);
    assert!(blind.status == 403 && blind.text.contains("load the page again"), "{}", blind.text);
    let wrong = browser.send("/login", "/login", &[("token", "nonsense")], &[]);
    assert!(wrong.status == 401 && wrong.text.contains("This token is not known here"), "{}", wrong.text);
    let signed_in = browser.send("/queue", "/login", &[("token", ADMIN_TOKEN), ("next", "/queue")], &[]);
    assert_eq!((signed_in.status, location(&signed_in)), (303, "/queue"));
    let cookie = signed_in.text.lines().find(|line| line.starts_with("set-cookie: slipway_session=")).unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let page = browser.get("/queue");
    assert!(page.status == 200 && page.text.contains("Account: admin") && page.text.contains("Pause"), "{}", page.text);
    // A link of another site comes without the cookie: the browser asks once more, and the sign-in leads back at once.
    let linked = curl(&["-H", "Accept: text/html", "-H", "Sec-Fetch-Site: cross-site", &format!("{}/queue", site.url)]);
    assert!(linked.status == 401 && linked.text.contains("http-equiv=\"refresh\" content=\"0\""), "{}", linked.text);
    let referer = format!("Referer: {}/queue", site.url);
    let back = curl(&["-i", "-b", &browser.jar, "-H", &referer, &format!("{}/login", site.url)]);
    assert_eq!((back.status, location(&back)), (303, "/queue"));
    // A copy of the cookie is worth nothing after the sign-out.
    let copy = Browser::new(&site, "copy");
    std::fs::copy(&browser.jar, &copy.jar).unwrap();
    assert_eq!(copy.get("/").status, 200);
    assert_eq!(location(&browser.send("/", "/logout", &[], &[])), "/");
    assert_eq!((browser.get("/").status, copy.get("/").status), (401, 401));
}

#[test]
fn a_form_counts_only_with_its_proof_and_never_for_the_api() {
    let site = Site::start(ADMIN);
    let browser = Browser::signed_in(&site, "one", ADMIN_TOKEN);
    assert_eq!(browser.post("/queue/pause", &[], &[]).status, 403, "no proof");
    let other = Browser::signed_in(&site, "two", ADMIN_TOKEN);
    let text = other.get("/queue").text;
    let proof = text.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(browser.post("/queue/pause", &[("proof", proof)], &[]).status, 403, "the proof of another session");
    for header in ["Origin: https://evil.example", "Sec-Fetch-Site: same-site"] {
        let sent = browser.send("/queue", "/queue/pause", &[], &[header]);
        assert!(sent.status == 403 && sent.text.contains("Another site"), "{header}: {}", sent.text);
    }
    assert_eq!(browser.post("/v1/queue/pause", &[], &[]).status, 401, "a cookie changes nothing by the API");
    assert_eq!(site.get("/v1/queue")["paused"], false);
    assert_eq!(location(&browser.send("/queue", "/queue/pause", &[], &["Sec-Fetch-Site: same-origin"])), "/queue");
    assert_eq!(site.get("/v1/queue")["paused"], true);
    assert!(browser.get("/queue").text.contains("The queue is paused"));
    browser.send("/queue", "/queue/resume", &[], &[]);
    assert_eq!(site.get("/v1/queue")["paused"], false);
}

#[test]
fn a_session_ends_with_its_token_and_guessing_is_slow() {
    let site = Site::start_with("anonymous_read = false", "");
    let data = site.path("data");
    let token = run(slipway().args(["token", "create", "--name", "mine", "--scope", "read", "--data-dir"]).arg(&data));
    let token = token.split_whitespace().find(|word| word.starts_with("slp_")).unwrap();
    let browser = Browser::signed_in(&site, "one", token);
    assert_eq!(browser.get("/").status, 200);
    run(slipway().args(["token", "revoke", "mine", "--data-dir"]).arg(&data));
    assert_eq!(browser.get("/").status, 401);
    let guesser = Browser::new(&site, "guesser");
    let statuses: Vec<u16> =
        (0..31).map(|_| guesser.send("/login", "/login", &[("token", "guess")], &[]).status).collect();
    assert_eq!((statuses[29], statuses[30]), (401, 429), "{statuses:?}");
}

#[test]
fn buttons_do_what_the_api_does_for_those_who_may() {
    let site = Site::start(&format!(
        "{ADMIN}[[tokens]]\nname = \"reader\"\ntoken = \"00000000000000000000000000000000\"\nscopes = [\"read\"]\n"
    ));
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo first; sleep 1000\n")]);
    let id = trigger_main(&site, "team/app");
    let (page, cancel) = (format!("/builds/{id}"), format!("/builds/{id}/cancel"));
    let nobody = Browser::new(&site, "nobody").get(&page).text;
    let reader = Browser::signed_in(&site, "reader", "00000000000000000000000000000000");
    let seen = reader.get(&page).text;
    assert!(!nobody.contains("Cancel") && !seen.contains("Cancel") && seen.contains("Account: reader"), "{seen}");
    let proof = seen.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let refused = reader.post(&cancel, &[("proof", proof)], &[]);
    assert!(refused.status == 403 && refused.text.contains("it needs the scope `trigger`"), "{}", refused.text);
    assert!(refused.text.contains(&format!("href=\"{page}\"")), "a way back: {}", refused.text);
    let browser = Browser::signed_in(&site, "one", TOKEN);
    assert_eq!(location(&browser.send(&page, &cancel, &[], &[])), page);
    assert_eq!(site.finished(&id)["state"], "cancelled");
    let again = browser.send(&page, &format!("{page}/retry"), &[("from", "start")], &[]);
    let repeated = location(&again).trim_start_matches("/builds/").to_owned();
    assert_eq!(site.get(&format!("/v1/builds/{repeated}"))["trigger"]["kind"], "retry");
    browser.send(&format!("/builds/{repeated}"), &format!("/builds/{repeated}/cancel"), &[], &[]);
    let started = browser.send("/repos/team/app", "/repos/team/app/builds", &[("ref", "main"), ("rule", "main")], &[]);
    let started = location(&started).trim_start_matches("/builds/").to_owned();
    assert_eq!(site.get(&format!("/v1/builds/{started}"))["trigger"]["by"], "test");
    let unknown = browser.send("/repos/team/app", "/repos/team/app/builds", &[("ref", "no..such")], &[]);
    assert!(
        unknown.status == 400 && unknown.text.contains("is not a valid name of a branch or tag"),
        "{}",
        unknown.text
    );
}

#[test]
fn a_delivery_is_replayed_by_a_button() {
    let site = Site::start(ADMIN);
    let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let first = site.push(&commit);
    site.succeeded(&first);
    let browser = Browser::signed_in(&site, "one", TOKEN);
    let number = site_delivery(&site);
    assert_eq!(
        location(&browser.send("/deliveries", &format!("/deliveries/{number}/replay"), &[], &[])),
        "/deliveries"
    );
    wait_for("the replay's build", || {
        let builds = site.get("/v1/builds?trigger=push")["builds"].clone();
        (builds.as_array().unwrap().len() == 2).then_some(())
    });
    let page = browser.get("/deliveries").text;
    assert!(page.matches("class=\"built\"").count() == 2 && page.contains(">#2</a>"), "{page}");
}

fn site_delivery(site: &Site) -> i64 {
    let deliveries = ask(site, "GET", "/v1/deliveries", &json!({})).json();
    deliveries["deliveries"][0]["id"].as_i64().unwrap()
}
