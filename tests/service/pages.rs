//! The pages, as a browser asks for them.

use crate::service::api::{ADMIN, ask};
use crate::support::{Answer, Site, curl, wait_for};
use serde_json::json;

/// The `Accept` header of a browser.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";

fn browse(site: &Site, path: &str) -> Answer {
    curl(&["-H", BROWSER, &format!("{}{path}", site.url)])
}

/// Asks for a build of `main` and returns its id.
fn trigger(site: &Site) -> String {
    let answer = ask(site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main" }));
    answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn who_takes_a_wrong_way_in_a_browser_gets_a_page_and_a_program_json() {
    let site = Site::start(ADMIN);
    for (path, said) in [
        ("/nosuch", "There is nothing under this path."),
        ("/builds/bld_nosuch", "There is no build with this id."),
        ("/repos/no/such", "`no/such` is not built here."),
    ] {
        let page = browse(&site, path);
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text.starts_with("<!DOCTYPE html>") && page.text.contains(said), "{path}: {}", page.text);
        let json = curl(&[&format!("{}{path}", site.url)]);
        assert!(json.status == 404 && json.json()["status"] == 404, "{path}: {}", json.text);
    }
    let api = browse(&site, "/v1/builds/bld_nosuch");
    assert_eq!(api.json()["code"], "build_not_found", "the API has one language: {}", api.text);
}

#[test]
fn who_has_no_token_is_told_how_to_get_one() {
    let site = Site::start_with("anonymous_read = false", ADMIN);
    let heads = curl(&["-i", "-H", BROWSER, &format!("{}/", site.url)]);
    let text = heads.text.to_lowercase();
    assert_eq!(heads.status, 401);
    assert!(text.contains("www-authenticate: basic") && text.contains("content-type: text/html"), "{text}");
    assert!(text.contains("give it as the password") && text.contains("slipway token create"), "{text}");
}

#[test]
fn a_page_shows_how_far_a_build_is() {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo first\nRUN echo second; sleep 1000\n")]);
    let id = trigger(&site);
    wait_for("the second step", || {
        let steps = browse(&site, &format!("/builds/{id}/steps")).text;
        let runs = steps.contains("sleep 1000") && steps.contains("state running") && steps.contains("state succeeded");
        (runs && steps.starts_with("<table>")).then_some(())
    });
    let page = browse(&site, &format!("/builds/{id}")).text;
    assert!(page.contains("data-so-far=\"") && page.contains("</span> so far"), "{page}");
    assert_eq!(browse(&site, "/builds/bld_nosuch/steps").status, 404);
    let waiting = trigger(&site);
    let queue = browse(&site, "/queue").text;
    assert!(queue.contains("1 build waiting; 1 worker with 1 slot.") && queue.contains("a free worker"), "{queue}");
    let place = browse(&site, &format!("/builds/{waiting}")).text;
    assert!(place.contains("it waits for a free worker."), "{place}");
}

#[test]
fn a_long_log_shows_its_head_and_its_tail() {
    // US-03
    let site = Site::start(ADMIN);
    site.push_base();
    let flood = "echo THE-BEGINNING; yes 'one line of many' | head -n 150000; echo THE-END";
    site.commit(&[("Dockerfile", &format!("ARG BASE\nFROM ${{BASE}}\nRUN {flood}\n"))]);
    let id = trigger(&site);
    site.succeeded(&id);
    let page = browse(&site, &format!("/builds/{id}")).text;
    let log = page.split("id=\"log\"").nth(1).unwrap();
    assert!(log.contains("\nTHE-BEGINNING\n") && log.contains("\nTHE-END\n"), "{} bytes", log.len());
    let (_, left_out) = log.split_once("\n… ").expect("a mark where something is left out");
    assert!(
        left_out.starts_with("2.") && left_out[..80].contains(" MB left out: <a href=\"/v1/builds/"),
        "{:.80}",
        left_out
    );
    assert!(page.len() < 700_000, "{}", page.len());
    let icon = curl(&["-i", &format!("{}/favicon.ico", site.url)]).text;
    assert!(icon.contains("image/svg+xml") && icon.contains("<svg "), "{icon}");
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let sent = curl(&["-i", &format!("{}{style}", site.url)]).text;
    assert!(sent.contains("immutable") && sent.contains("text/css"), "{style}: {sent:.400}");
    assert_eq!(curl(&[&format!("{}/assets/style-000000000000.css", site.url)]).status, 404);
}
