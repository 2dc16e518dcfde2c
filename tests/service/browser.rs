//! A real browser on the pages: signing in, repeating a build, searching, and keys.

use crate::service::api::{ADMIN, ADMIN_TOKEN};
use crate::support::{Process, Site, curl, free_port, wait_for};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// The key of an element in answers of a driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window of Chromium, driven by the protocol of WebDriver.
struct Window {
    session: String,
    _driver: Process,
}

impl Window {
    fn open() -> Window {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Process(command.spawn().expect("chromedriver is there: `make setup` installs chromium-driver"));
        let url = format!("http://127.0.0.1:{port}");
        wait_for("chromedriver", || {
            let answer =
                Command::new("curl").args(["-sf", "--max-time", "5", &format!("{url}/status")]).output().unwrap();
            answer.status.success().then_some(())
        });
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments, "binary": "/usr/bin/chromium" } } } });
        let session = send("POST", &format!("{url}/session"), &wanted);
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("{session}"));
        Window { session: format!("{url}/session/{id}"), _driver: driver }
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        send("POST", &format!("{}/{path}", self.session), body)
    }

    fn go(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    fn url(&self) -> String {
        send("GET", &format!("{}/url", self.session), &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// Returns what an expression is in the page.
    fn value(&self, expression: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    fn find(&self, selector: &str) -> String {
        let found = wait_for(selector, || {
            let found = self.ask("element", &json!({ "using": "css selector", "value": selector }));
            found[ELEMENT].as_str().map(str::to_owned)
        });
        format!("element/{found}")
    }

    fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.ask(&format!("{element}/click"), &json!({}));
    }

    fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.ask(&format!("{element}/value"), &json!({ "text": text }));
    }

    fn wait(&self, what: &str, expression: &str) {
        wait_for(what, || (self.value(expression) == json!(true)).then_some(()));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        send("DELETE", &self.session, &Value::Null);
    }
}

fn send(method: &str, url: &str, body: &Value) -> Value {
    let text = body.to_string();
    let mut arguments = vec!["-X", method, "-H", "Content-Type: application/json"];
    if !body.is_null() {
        arguments.extend(["-d", &text]);
    }
    arguments.push(url);
    curl(&arguments).json()["value"].clone()
}

#[test]
fn somebody_signs_in_repeats_a_build_and_searches() {
    let site = Site::start(ADMIN);
    let id = site.push(&site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]));
    site.succeeded(&id);
    let window = Window::open();
    window.go(&format!("{}/login?next=/builds/{id}", site.url));
    window.write("#token", ADMIN_TOKEN);
    window.click("main button");
    window.wait("the build's page", &format!("location.pathname === '/builds/{id}'"));
    window.click("form[action$='/retry'] button");
    window.wait("the repetition", &format!("location.pathname !== '/builds/{id}' && document.title.includes('#2')"));
    // The page changes in place when the build ends.
    window.wait("its end", "document.title.startsWith('✓')");
    assert_eq!(window.value("document.querySelectorAll('.bh .state').length"), 1);
    window.click("a.brand");
    window.write("input[type=search]", "#2\u{e007}");
    window.wait("the search", "location.search.includes('q=%232') && document.querySelectorAll('li.row').length === 1");
    window.go(&site.url);
    window.wait("both builds", "document.querySelectorAll('li.row').length === 2");
    window.write("body", "j");
    window.wait("a marked row", "document.querySelectorAll('li.row.at').length === 1");
    window.write("body", "gq");
    window.wait("the queue", "location.pathname === '/queue'");
    assert!(window.url().ends_with("/queue"));
}
