//! The webhook endpoint: deliveries that it takes, refuses and remembers, and the answers of the API.

use crate::support::{SECRET, Site, TOKEN, curl, examples};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn real_payloads_are_accepted_once_or_ignored_with_a_reason() {
    // WH-01, WH-11, WH-12, WH-13, WH-24
    let site = Site::start("");
    for (number, push) in examples("push").iter().enumerate() {
        let (id, body) = (format!("push-{number}"), push.to_string());
        let first = site.deliver("push", &id, &body, SECRET);
        let deleted = push["deleted"] == true;
        let known = first.json()["duplicate"] == true;
        assert_eq!(first.status, if deleted || known { 200 } else { 202 }, "{}", first.text);
        if deleted {
            assert!(known || first.json()["reason"] == "ref_deleted", "{}", first.text);
        }
        let again = site.deliver("push", &id, &body, SECRET);
        assert_eq!((again.status, &again.json()["duplicate"]), (200, &serde_json::Value::Bool(true)), "{}", again.text);
        assert_eq!(again.json()["builds"][0]["id"], first.json()["builds"][0]["id"]);
    }
    for (number, ping) in examples("ping")
        .iter()
        .enumerate()
        .filter(|(_, ping)| ping["repository"]["full_name"] == "Codertocat/Hello-World")
    {
        let answer = site.deliver("ping", &format!("ping-{number}"), &ping.to_string(), SECRET);
        assert_eq!((answer.status, &answer.json()["pong"]), (200, &serde_json::Value::Bool(true)), "{}", answer.text);
    }
    let delete = &examples("delete")[0];
    let answer = site.deliver("delete", "delete-1", &delete.to_string(), SECRET);
    assert!(answer.status == 200 && answer.json()["reason"] == "unknown_event", "{}", answer.text);
}

#[test]
fn wrong_signatures_and_unknown_repositories_get_one_answer() {
    // WH-01, WH-02, WH-05, WH-07
    let site = Site::start("");
    let body = |name: &str| {
        format!(r#"{{"ref":"refs/heads/main","after":"{}","repository":{{"full_name":"{name}"}}}}"#, "1".repeat(40))
    };
    let wrong = site.deliver("push", "1", &body("Codertocat/Hello-World"), "guess");
    let unknown = site.deliver("push", "2", &body("no/such"), SECRET);
    let unsigned = curl(&[
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-GitHub-Event: push",
        "-H",
        "X-GitHub-Delivery: 3",
        "-d",
        "{}",
        &format!("{}/hooks/github", site.url),
    ]);
    assert_eq!(wrong.status, 401);
    for other in [unknown, unsigned] {
        assert_eq!((other.status, &other.text), (wrong.status, &wrong.text));
    }
    assert_eq!(wrong.json()["code"], "bad_signature");
}

#[test]
fn bodies_that_are_no_payload_are_refused() {
    // WH-18, WH-23
    let site = Site::start("");
    assert_eq!(site.deliver("push", "1", "{", SECRET).json()["code"], "bad_json");
    assert_eq!(
        site.deliver("push", "2", r#"{"repository":{"full_name":"Codertocat/Hello-World"}}"#, SECRET).json()["code"],
        "bad_json"
    );
    let hook = format!("{}/hooks/github", site.url);
    let kind = curl(&["-H", "Content-Type: text/plain", "-d", "x", &hook]);
    assert_eq!((kind.status, &kind.json()["code"]), (415, &"unsupported_media_type".into()));
    assert_eq!(curl(&[&hook]).status, 405);
    // 413 comes before the body: only the head was sent.
    let mut stream = TcpStream::connect(site.url.trim_start_matches("http://")).unwrap();
    let head =
        "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn the_same_body_again_is_the_same_build_and_its_urls_mean_nothing() {
    // WH-13, WH-14, WH-27
    let site = Site::start("");
    let push = serde_json::json!({
        "ref": "refs/heads/main", "after": "1".repeat(40),
        "repository": { "full_name": "Codertocat/Hello-World", "clone_url": "http://evil.example.com/x.git" },
    })
    .to_string();
    let first = site.deliver("push", "one", &push, SECRET);
    assert_eq!(first.status, 202, "{}", first.text);
    let id = first.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    for (delivery, replay) in [("one", false), ("two", true)] {
        let again = site.deliver("push", delivery, &push, SECRET).json();
        assert_eq!((&again["builds"][0]["id"], &again["replay"]), (&id.as_str().into(), &replay.into()), "{again}");
    }
    let reason = site.finished(&id)["reason"]["message"].as_str().unwrap().to_owned();
    assert!(reason.contains("/app.git") && !reason.contains("evil"), "{reason}");
}

#[test]
fn forms_are_taken_too() {
    // WH-23
    let site = Site::start("");
    let push = serde_json::json!({ "ref": "refs/heads/other", "after": "1".repeat(40), "repository": { "full_name": "Codertocat/Hello-World" } });
    let form: String = std::iter::once(("payload", push.to_string()))
        .map(|(name, value)| {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("{name}={encoded}")
        })
        .collect();
    // The same request with the other content type: the signature is over the bytes as they are.
    let file = site.path("form");
    std::fs::write(&file, &form).unwrap();
    let signature = {
        use hmac::{KeyInit, Mac};
        let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(form.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let answer = curl(&[
        "-H",
        "Content-Type: application/x-www-form-urlencoded",
        "-H",
        "X-GitHub-Event: push",
        "-H",
        "X-GitHub-Delivery: 1",
        "-H",
        &format!("X-Hub-Signature-256: sha256={signature}"),
        "--data-binary",
        &format!("@{}", file.display()),
        &format!("{}/hooks/github", site.url),
    ]);
    assert_eq!((answer.status, &answer.json()["reason"]), (200, &"no_rule_matched".into()), "{}", answer.text);
    assert_eq!(answer.json()["explain"].as_array().unwrap().len(), 2);
}

#[test]
fn triggers_need_a_token_and_a_rule_and_keep_their_key() {
    // API-01, API-09, API-10, API-12, API-17
    let site = Site::start("");
    let url = format!("{}/v1/repos/team/app/builds", site.url);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let ask = |headers: &[&str], body: &str| {
        let mut arguments = vec!["-X", "POST", "-d", body, url.as_str()];
        headers.iter().for_each(|header| arguments.extend(["-H", header]));
        curl(&arguments)
    };
    assert_eq!(ask(&[], "{}").status, 401);
    assert_eq!(ask(&["Authorization: Bearer wrong"], "{}").status, 401);
    assert_eq!(ask(&[&bearer], r#"{"reff":"main"}"#).json()["code"], "unknown_field");
    assert_eq!(ask(&[&bearer], r#"{"ref":"--output=x"}"#).json()["code"], "invalid_ref");
    assert_eq!(ask(&[&bearer], r#"{"ref":"main","commit":"abc"}"#).json()["code"], "invalid_commit");
    assert_eq!(ask(&[&bearer], r#"{"ref":"main","rule":"nosuch"}"#).json()["code"], "no_rule_matched");
    let key = "Idempotency-Key: k1";
    let first = ask(&[&bearer, key], r#"{"ref":"main"}"#);
    assert_eq!(first.status, 202, "{}", first.text);
    let again = ask(&[&bearer, key], r#"{"ref":"main"}"#);
    assert_eq!((again.status, &again.json()["builds"][0]["id"]), (200, &first.json()["builds"][0]["id"]));
    assert_eq!(ask(&[&bearer, key], r#"{"ref":"v1"}"#).status, 422);
    let id = first.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    let build = site.finished(&id);
    assert_eq!(build["state"], "failed", "there is no such repository on the git host: {build:#}");
    assert_eq!(build["reason"]["code"], "repository_not_found");
    let cancel = curl(&["-X", "POST", "-H", &bearer, &format!("{}/v1/builds/{id}/cancel", site.url)]);
    assert_eq!((cancel.status, &cancel.json()["code"]), (409, &"already_finished".into()));
    for path in ["/v1/builds/bld_0", "/v1/builds/../x", "/v1/builds/bld_00000000000000000000000000000000", "/nosuch"] {
        let answer = curl(&["--path-as-is", &format!("{}{path}", site.url)]);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        assert!(answer.json()["code"].is_string());
    }
    for query in ["tag=x%25", "state=nosuch", "limit=0", "limit=9999", "cursor=x", "nosuch=1"] {
        assert_eq!(curl(&[&format!("{}/v1/builds?{query}", site.url)]).status, 400, "{query}");
    }
    assert_eq!(site.get("/v1/builds?repo=team/app&state=failed&limit=1")["builds"][0]["id"], id.as_str());
    assert_eq!(site.get("/v1/builds?tag=latest")["builds"][0]["id"], id.as_str());
    assert_eq!(site.get("/v1/builds?tag=lates")["builds"], serde_json::json!([]));
}
