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
fn who_has_no_token_is_asked_for_one() {
    let site = Site::start_with("anonymous_read = false", ADMIN);
    let heads = curl(&["-i", "-H", BROWSER, &format!("{}/", site.url)]);
    let text = heads.text.to_lowercase();
    assert_eq!(heads.status, 401);
    assert!(!text.contains("www-authenticate: basic") && text.contains("content-type: text/html"), "{text}");
    assert!(text.contains("this page is for those who sign in") && text.contains("slipway token create"), "{text}");
    let json = curl(&["-i", &format!("{}/v1/builds", site.url)]).text.to_lowercase();
    assert!(json.contains("www-authenticate: basic"), "programs are told as before: {json}");
}

#[test]
fn a_page_shows_how_far_a_build_is() {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo first\nRUN echo second; sleep 1000\n")]);
    let id = trigger(&site);
    let page = wait_for("the second step", || {
        let page = browse(&site, &format!("/builds/{id}")).text;
        let runs = page.contains("sleep 1000") && page.contains(">Running<") && page.contains(">Succeeded<");
        runs.then_some(page)
    });
    assert!(page.contains("data-so-far=\"") && page.contains("data-follow=\"/builds/"), "{page}");
    assert!(
        page.contains("<title>● team/app #1 · slipway</title>") && page.contains("/assets/icon-running-"),
        "{page}"
    );
    let (_, second) = page.split_once("data-step=\"2\"").unwrap();
    assert!(second.starts_with(" open"), "the running step is open: {second:.80}");
    let url = format!("{}/builds/{id}", site.url);
    let stream = curl(&["--max-time", "2", "-H", "Accept: text/event-stream", &url]).text;
    assert!(stream.contains("event: steps") && stream.contains("event: state"), "{stream}");
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
    let (_, log) = page.split_once("data-step=\"1\"").unwrap();
    assert!(log.contains("</a>THE-BEGINNING\n") && log.contains("</a>THE-END\n"), "{} bytes", log.len());
    let (_, left_out) = log.split_once("… ").expect("a mark where something is left out");
    let rest = format!(" MB left out: <a href=\"/v1/builds/{id}/logs?step=1\"");
    assert!(left_out.starts_with("2.") && left_out[..120].contains(&rest), "{left_out:.120}");
    assert!(log.contains("id=\"s1-e1\"") && log.contains("id=\"s1-2\""), "lines have addresses from either end");
    assert!(page.len() < 200_000, "{}", page.len());
    let icon = curl(&["-i", &format!("{}/favicon.ico", site.url)]).text;
    assert!(icon.contains("image/svg+xml") && icon.contains("<svg "), "{icon}");
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let sent = curl(&["-i", &format!("{}{style}", site.url)]).text;
    assert!(sent.contains("immutable") && sent.contains("text/css"), "{style}: {sent:.400}");
    assert_eq!(curl(&[&format!("{}/assets/style-000000000000.css", site.url)]).status, 404);
}

#[test]
fn a_list_is_searched_by_its_address_and_has_older_pages() {
    let site = Site::start(ADMIN);
    let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    site.succeeded(&site.push(&commit));
    ask(&site, "POST", "/v1/queue/pause", &json!({}));
    let ids: Vec<String> = (0..51).map(|_| trigger(&site)).collect();
    let rows = |path: &str| {
        let page = browse(&site, path);
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        page.text.matches("<li class=\"row").count()
    };
    assert_eq!(rows("/"), 50);
    let first = browse(&site, "/").text;
    let older = first.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(rows(older), 2);
    assert!(browse(&site, older).text.contains("Newest builds"));
    assert_eq!(
        [rows("/?q=A+COMMIT"), rows("/?state=succeeded"), rows("/?q=nosuch"), rows("/?author=admin")],
        [1, 1, 0, 50]
    );
    assert_eq!(
        [rows("/?ref=main&state=succeeded"), rows("/?ref=dev"), rows(&format!("/?commit={}", &commit[..8]))],
        [1, 0, 1]
    );
    assert_eq!([rows("/?repo=team/app&tag=latest&state=failed"), rows("/?state=held"), rows("/?q=%2352")], [0, 0, 1]);
    assert!(browse(&site, "/?q=nosuch").text.contains("No build is like that"));
    let wrong = browse(&site, "/?state=nosuch");
    assert!(wrong.status == 400 && wrong.text.contains("is not a state"), "{}", wrong.text);
    // Somebody who looks is told of a change, and of nothing else.
    let version = |text: &str| text.split("data-version=\"").nth(1).unwrap()[..16].to_owned();
    let address = format!("{}/?state=queued", site.url);
    let stream = || curl(&["--max-time", "2", "-H", "Accept: text/event-stream", &address]).text;
    let (before, told) = (version(&browse(&site, "/?state=queued").text), stream());
    assert!(told.contains(&format!("data: {before}")) && told.matches("event: version").count() == 1, "{told}");
    ask(&site, "POST", &format!("/v1/builds/{}/cancel", ids[50]), &json!({}));
    assert_ne!(version(&browse(&site, "/?state=queued").text), before);
}

#[test]
fn a_failure_comes_first_and_colours_are_kept() {
    let site = Site::start(ADMIN);
    site.push_base();
    let run = "printf '\\033[1;31merror\\033[0m: no such <thing>\\n'; exit 3";
    site.commit(&[("Dockerfile", &format!("ARG BASE\nFROM ${{BASE}}\nRUN {run}\nRUN echo never\n"))]);
    let id = trigger(&site);
    assert_eq!(site.finished(&id)["state"], "failed");
    let page = browse(&site, &format!("/builds/{id}")).text;
    let title = "<title>✗ team/app #1 · slipway</title>";
    assert!(page.contains(title) && page.contains("/assets/icon-failed-"), "{page}");
    let (before, cause) = page.split_once("<section class=\"cause bad\"").unwrap();
    assert!(cause[..120].contains("<h2>error: no such &lt;thing&gt;</h2>"), "{cause:.200}");
    assert!(!before.contains("id=\"timeline\"") && cause.contains("id=\"timeline\""), "the answer comes first");
    let line = "<span class=\"l e\" id=\"s1-1\"><a href=\"#s1-1\">1</a><span class=\"a1 ab\">error</span>: no such &lt;thing&gt;";
    assert!(page.contains(line) && page.contains("exit 3") && page.contains(">Not reached<"), "{page}");
    let list = browse(&site, "/?state=failed").text;
    assert!(list.contains("<small class=\"cut\">error: no such &lt;thing&gt;</small>"), "{list}");
}
