//! Pages that administrators work with: connecting a repository, its settings and secrets, workers, deliveries, the registry.

use crate::service::api::{ADMIN, ADMIN_TOKEN, ask};
use crate::service::sign_in::Browser;
use crate::support::{Site, TOKEN, curl};
use serde_json::json;

const DOCKERFILE: &str = "FROM scratch\nCOPY Dockerfile /\n";

fn page(site: &Site, path: &str) -> String {
    let answer = curl(&["-H", "Accept: text/html", &format!("{}{path}", site.url)]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

#[test]
fn a_repository_is_connected_built_and_changed_on_pages() {
    let site = Site::start(ADMIN);
    site.commit(&[("Dockerfile", DOCKERFILE)]);
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let clone_url = format!("http://{}/app.git", site.git);
    let wrong = browser.send("/connect", "/connect", &[("clone_url", &clone_url), ("image", "UPPER")], &[]);
    assert!(
        wrong.status == 400 && wrong.text.contains("role=\"alert\"") && wrong.text.contains("UPPER"),
        "{}",
        wrong.text
    );
    let image = format!("{}/new/web", site.registry);
    let fields =
        [("clone_url", clone_url.as_str()), ("image", &image), ("name", "new/web"), ("secret", "0123456789abcdef0123")];
    let added = browser.send("/connect", "/connect", &fields, &[]);
    assert!(added.status == 303 && added.text.contains("location: /repos/new/web/connect"), "{}", added.text);
    let steps = browser.get("/repos/new/web/connect").text;
    assert!(
        steps.contains("/hooks/") && steps.contains("Deliveries are signed.") && steps.contains("First build"),
        "{steps}"
    );
    let started = browser.send("/repos/new/web/connect", "/repos/new/web/builds", &[("ref", "main")], &[]);
    let id = started.text.split("location: /builds/").nth(1).unwrap_or_else(|| panic!("{}", started.text));
    site.succeeded(id.lines().next().unwrap().trim());
    assert!(browser.get("/repos/new/web/connect").text.contains("new/web #1</a>"));

    let settings = "/repos/new/web/settings";
    let shown = browser.get(settings).text;
    assert!(shown.contains("clone_url = ") && !shown.contains("0123456789abcdef0123"), "{shown}");
    let version =
        shown.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let document = |rules: &str| {
        format!("clone_url = \"{clone_url}\"\nimage = \"{image}\"\n[[rules]]\nbranch = \"main\"\n{rules}\n")
    };
    let typo =
        browser.send(settings, settings, &[("document", &document("tgas = [\"x\"]")), ("version", &version)], &[]);
    assert!(
        typo.status == 400 && typo.text.contains("did you mean `tags`?") && typo.text.contains("tgas"),
        "{}",
        typo.text
    );
    let stored =
        browser.send(settings, settings, &[("document", &document("tags = [\"edge\"]")), ("version", &version)], &[]);
    assert_eq!(stored.status, 303, "{}", stored.text);
    let late = browser.send(settings, settings, &[("document", &document("")), ("version", &version)], &[]);
    assert!(late.status == 412 && late.text.contains("was changed since"), "{}: {}", late.status, late.text);
    let tried = page(&site, "/repos/new/web?try=main&message=fix");
    assert!(tried.contains("is built once.") && tried.contains(">edge<"), "{tried}");
    assert!(page(&site, "/repos/new/web?try=dev").contains("builds nothing."));
    assert!(page(&site, "/repos/new/web").contains("The last 90 days") && !tried.contains("/repos/new/web/settings"));

    browser.send(settings, "/repos/new/web/secrets", &[("name", "npm"), ("value", "very-hidden")], &[]);
    let names = browser.get(settings).text;
    assert!(names.contains("Remove the secret npm") && !names.contains("very-hidden"), "{names}");
    browser.send(settings, "/repos/new/web/secrets/remove", &[("name", "npm")], &[]);
    assert!(!browser.get(settings).text.contains("Remove the secret npm"));
    let half = browser.send(settings, "/repos/new/web/remove", &[("name", "new/we")], &[]);
    assert!(half.status == 400 && half.text.contains("`new/web` is expected"), "{}", half.text);
    assert_eq!(browser.send(settings, "/repos/new/web/remove", &[("name", "new/web")], &[]).status, 303);
    assert_eq!(browser.get("/repos/new/web").status, 404);
    let fixed = browser.get("/repos/team/app/settings").text;
    assert!(fixed.contains("change it there") && !fixed.contains("textarea id=\"document\""), "{fixed}");
}

#[test]
fn who_may_not_administer_sees_no_settings_and_no_registry() {
    let site = Site::start(ADMIN);
    let browser = Browser::signed_in(&site, "test", TOKEN);
    for path in
        ["/connect", "/repos/team/app/settings", "/repos/team/app/connect", "/registry", "/registry/repository?name=a"]
    {
        assert_eq!(browser.get(path).status, 403, "{path}");
        assert_eq!(curl(&["-H", "Accept: text/html", &format!("{}{path}", site.url)]).status, 401, "{path}");
    }
    let home = browser.get("/").text;
    assert!(!home.contains("href=\"/registry\""), "{home}");
    for path in ["/repos/team/app/secrets", "/workers/x/drain", "/registry-restore"] {
        let answer = browser.post(path, &[("name", "x"), ("value", "y")], &[]);
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
}

#[test]
fn a_worker_is_drained_and_a_delivery_shows_its_payload() {
    let site = Site::start(ADMIN);
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    site.succeeded(&site.push(&commit));
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let worker = site.get("/v1/queue")["workers"][0]["name"].as_str().unwrap().to_owned();
    let encoded = worker.replace('/', "%2F").replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
    let answer = browser.send("/queue", &format!("/workers/{encoded}/drain"), &[], &[]);
    assert_eq!(answer.status, 303, "{}", answer.text);
    let queue = page(&site, "/queue");
    assert!(queue.contains(">Drained<") && queue.contains("1 worker with 0 slots."), "{queue}");
    let told = &site.get("/v1/queue")["workers"][0];
    assert_eq!((&told["version"], &told["drained"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(true)), "{told}");
    assert!(told["platform"].as_str().unwrap().starts_with("linux/") && told["seen_at"].is_string(), "{told}");
    let [free, all] = ["disk_free_bytes", "disk_bytes"].map(|key| told[key].as_u64().unwrap());
    assert!(0 < free && free <= all, "{told}");
    assert!(told["unprotected"].is_array() && queue.contains(" free of "), "{told}");
    assert_eq!(site.get("/v1/queue")["workers"][0]["drained"], true);
    let waiting = ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main" })).json();
    let id = waiting["builds"][0]["id"].as_str().unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(site.get(&format!("/v1/builds/{id}"))["state"], "queued");
    assert_eq!(ask(&site, "POST", &format!("/v1/workers/{encoded}/undrain"), &json!({})).json()["drained"], false);
    site.succeeded(&id);
    let unknown = ask(&site, "POST", "/v1/workers/nosuch/drain", &json!({}));
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("worker_not_found")), "{}", unknown.text);

    let path = format!("/deliveries/{}", site.get("/v1/deliveries")["deliveries"][0]["id"]);
    let hidden = page(&site, &path);
    assert!(hidden.contains("Payloads are shown to those") && !hidden.contains("head_commit"), "{hidden}");
    let shown = browser.get(&path).text;
    assert!(shown.contains("head_commit") && shown.contains(&commit) && shown.contains("Replay"), "{shown}");
}

#[test]
fn the_registry_shows_tags_who_built_them_and_puts_deleted_ones_back() {
    let site = Site::start(ADMIN);
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    site.succeeded(&site.push(&commit));
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let list = browser.get("/registry").text;
    assert!(list.contains("/registry/repository?name=team%2Fapp"), "{list}");
    assert!(browser.get("/registry?q=nosuch").text.contains("No repository is called like that."));
    let path = "/registry/repository?name=team%2Fapp";
    let shown = browser.get(path).text;
    for part in ["docker pull", ">latest<", &commit[..7], "team/app #1</a>", "linux/", "2 tags"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // A tag that no build of slipway watches over stays deleted.
    site.push_base();
    let path = "/registry/repository?name=base%2Fbusybox";
    let manifest = format!("http://{}/v2/base/busybox/manifests/latest", site.registry);
    let deleted = curl(&["-X", "DELETE", &manifest]);
    assert_eq!(deleted.status, 202, "{}", deleted.text);
    let shown = browser.get(path).text;
    assert!(shown.contains("Deleted tags") && shown.contains("0 tags"), "{shown}");
    let fields = [("repository", "base/busybox"), ("reference", "latest")];
    let answer = browser.send(path, "/registry-restore", &fields, &[]);
    assert_eq!(answer.status, 303, "{}", answer.text);
    let shown = browser.get(path).text;
    assert!(!shown.contains("Deleted tags") && shown.contains("1 tag<") && shown.contains(">restore<"), "{shown}");
    assert_eq!(browser.get("/registry/repository?name=no%2Fsuch").status, 404);
}

#[test]
fn the_disk_is_measured_and_cleaned() {
    let site = Site::start(ADMIN);
    let commit = site.commit(&[("Dockerfile", DOCKERFILE)]);
    site.succeeded(&site.push(&commit));
    let browser = Browser::signed_in(&site, "admin", ADMIN_TOKEN);
    let shown = browser.get("/disk").text;
    for part in ["Mirrors of repositories", "Cache mounts", "Remove what nobody needs"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (_, blobs) = shown.split_once("Blobs of images and of the cache").unwrap();
    assert!(blobs[..200].contains(">4<") || !blobs[..200].contains(">0<"), "{blobs:.200}");
    assert_eq!(browser.send("/disk", "/disk/clean", &[], &[]).status, 303);
    assert_eq!(Browser::signed_in(&site, "test", TOKEN).get("/disk").status, 403);
    site.succeeded(&site.push(&site.commit(&[("Dockerfile", &format!("{DOCKERFILE}COPY Dockerfile /two\n"))])));
}

#[test]
fn pages_are_compressed_for_browsers_that_take_it() {
    let site = Site::start(ADMIN);
    let sent = |accepted: &str, path: &str| {
        let url = format!("{}{path}", site.url);
        let dump = site.path("head").display().to_string();
        let body = curl(&["-D", &dump, "--compressed", "-H", &format!("Accept-Encoding: {accepted}"), &url]).text;
        (std::fs::read_to_string(&dump).unwrap().to_lowercase(), body)
    };
    let (heads, body) = sent("gzip", "/");
    assert!(heads.contains("content-encoding: gzip") && body.contains("</html>"), "{heads}");
    let (heads, body) = sent("identity", "/");
    assert!(!heads.contains("content-encoding") && body.contains("</html>"), "{heads}");
    let (heads, _) = sent("gzip", "/v1/builds");
    assert!(!heads.contains("content-encoding"), "{heads}");
}
