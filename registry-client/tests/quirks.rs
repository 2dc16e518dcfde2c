//! Quirks of registries in the real world, each by its id.
#![allow(missing_docs, clippy::unwrap_used)]

mod server;

use registry_client::{Credentials, Digest, Error, Fault, media_type};
use server::help::{blob, client, login, push, reference};
use server::{Answer, Asked, Server};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

fn is_logged_in(asked: &Asked) -> bool {
    asked.headers.get("authorization").is_some_and(|value| value.starts_with("Basic "))
}

/// Starts a registry that wants a token of a token server which answers as `script` does.
fn with_tokens(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Server, Server) {
    let tokens = Server::start(script);
    let realm = format!("http://{}/token", tokens.address);
    let registry = Server::start(move |asked| match asked.headers.get("authorization").map(String::as_str) {
        Some("Bearer T") => Answer::new(200),
        _ => Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"s\"")),
    });
    (registry, tokens)
}

// CQ-01
#[tokio::test]
async fn sv_01_a_token_has_two_names_and_either_may_be_empty() {
    for body in [
        r#"{"token":"T"}"#,
        r#"{"access_token":"T"}"#,
        r#"{"token":"","access_token":"T"}"#,
        r#"{"token":null,"access_token":"T"}"#,
        r#"{"token":"T","access_token":""}"#,
        r#"{"token":"T","access_token":null,"expires_in":null,"issued_at":null}"#,
        r#"{"token":"T","expires_in":"300"}"#,
        r#"{"token":"T","expires_in":300.5,"refresh_token":null}"#,
    ] {
        let (registry, _tokens) = with_tokens(move |_| Answer::new(200).body(body));
        let found = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await;
        assert!(found.unwrap(), "{body}");
    }
    for body in ["{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#, "<html>", r#"{"token":7}"#] {
        let (registry, _tokens) = with_tokens(move |_| Answer::new(200).body(body));
        let refused = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("token server"), "{body}: {text}");
    }
}

// CQ-03
#[tokio::test]
async fn sv_02_a_token_server_that_is_busy_is_asked_again() {
    for (status, retry_after, body) in [
        (503, "", ""),
        (502, "", "<html>Bad Gateway</html>"),
        (429, "1", "{}"),
        (500, "", ""),
        (504, "", ""),
        (408, "", ""),
    ] {
        let calls = AtomicUsize::new(0);
        let (registry, tokens) = with_tokens(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::new(status).header("Retry-After", retry_after).body(body),
            _ => Answer::new(200).body(r#"{"token":"T"}"#),
        });
        assert!(
            client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap(),
            "{status}"
        );
        assert_eq!(tokens.count(), 2, "{status}");
    }
    let (registry, tokens) = with_tokens(|_| Answer::new(503));
    let error = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap_err();
    assert_eq!((error.fault(), tokens.count()), (Fault::Upstream, 4), "bounded, and not the user's fault: {error}");
    assert!(error.to_string().contains("answered 503"), "{error}");
    let (registry, tokens) = with_tokens(|_| Answer::new(401).body(r#"{"details":"incorrect username or password"}"#));
    let error = client(login(&registry)).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)) && error.to_string().contains("incorrect username"), "{error}");
    assert_eq!(tokens.count(), 1, "a login that is refused is not tried again");
}

// CQ-04
#[tokio::test]
async fn sv_10_a_realm_without_https_is_refused_where_the_registry_has_it_and_the_reason_is_named() {
    // The sending of the login to a realm with https is tested with certificates, in the tests of the whole.
    let (registry, tokens) = with_tokens(|_| Answer::new(200).body(r#"{"token":"T"}"#));
    client(login(&registry)).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap();
    assert!(is_logged_in(&tokens.asked("GET", "/token")[0]), "the same host");
    assert!(tokens.asked("GET", "/token?scope=repository%3Ateam%2Fapp%3Apull&service=s").len() == 1);
}

// CQ-05
#[tokio::test]
async fn sv_04_the_login_is_sent_where_the_registry_hides_what_is_private() {
    for hidden in [403, 404, 401] {
        let registry = Server::start(move |asked| match (is_logged_in(asked), asked.path.as_str()) {
            (true, _) => Answer::new(200),
            (false, "/v2/") => Answer::new(401).header("WWW-Authenticate", "Basic realm=\"x\""),
            (false, _) if hidden == 401 => Answer::new(401).header("WWW-Authenticate", "basic"),
            (false, _) => Answer::new(hidden),
        });
        let client = client(login(&registry));
        assert!(client.has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap(), "{hidden}");
        assert!(client.has_blob(&reference(&registry), &Digest::of(b"y")).await.unwrap(), "{hidden}");
        assert_eq!(registry.asked("HEAD", "/").len(), 3, "{hidden}: then the login goes along at once");
    }
    // Without a login it stays what was said; who asks for none is asked once.
    let open = Server::start(|asked| Answer::new(if asked.path == "/v2/" { 200 } else { 404 }));
    let client = client(login(&open));
    for _ in 0..3 {
        assert!(!client.has_blob(&reference(&open), &Digest::of(b"x")).await.unwrap());
    }
    assert_eq!((open.asked("HEAD", "/").len(), open.asked("GET", "/v2/").len()), (3, 1));
}

// CQ-02
#[tokio::test]
async fn sv_04_of_several_challenges_one_that_can_be_met_is_met() {
    let tokens = Server::start(|asked| match is_logged_in(asked) {
        true => Answer::new(200).body(r#"{"token":"T"}"#),
        false => Answer::new(403),
    });
    let realm = format!("http://{}/token", tokens.address);
    let bearer = format!("bearer Realm=\"{realm}\", Service=\"s\"");
    let headers = [
        vec![format!("Basic realm=\"x\", {bearer}")],
        vec![format!("{bearer}, Basic realm=\"x\"")],
        vec!["BASIC realm=\"x, y\"".to_owned(), bearer.clone()],
        vec!["Negotiate".to_owned(), bearer],
        vec!["Digest realm=\"d\", nonce=\"a=b\", Basic realm=\"x\"".to_owned()],
        vec!["Bearer realm=\"http://127.0.0.1:1/gone\", Basic realm=\"x\"".to_owned()],
    ];
    for values in headers {
        let shown = values.join(" | ");
        let registry = Server::start(move |asked| match asked.headers.contains_key("authorization") {
            true => Answer::new(200),
            false => values.iter().fold(Answer::new(401), |answer, value| answer.header("WWW-Authenticate", value)),
        });
        assert!(client(login(&registry)).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap(), "{shown}");
    }
}

#[tokio::test]
async fn sv_06_writes_are_sent_on_with_method_and_body() {
    for status in [307, 308] {
        let registry = Server::start(move |asked| {
            let moved = |to: String| Answer::new(status).header("Location", to);
            match (asked.method.as_str(), asked.path.contains("r=1")) {
                _ if !is_logged_in(asked) => Answer::new(401).header("WWW-Authenticate", "Basic"),
                ("HEAD", _) => Answer::new(404),
                (_, false) => moved(format!("{}{}r=1", asked.path, if asked.path.contains('?') { "&" } else { "?" })),
                ("POST", true) => Answer::new(202).header("Location", "7"),
                ("PUT", true) => Answer::new(201),
                _ => Answer::new(405),
            }
        });
        let client = client(login(&registry));
        push(&client, &registry).await.unwrap();
        // A relative location is meant from where the request went.
        let put = registry.asked("PUT", "/v2/team/app/blobs/uploads/7?digest=");
        assert!(put.len() == 2 && put.iter().all(|put| put.body == b"x" && is_logged_in(put)), "{put:?}");
        client.put_manifest(&reference(&registry), media_type::OCI_MANIFEST, b"{}".to_vec()).await.unwrap();
        let put = registry.asked("PUT", "/v2/team/app/manifests/1?r=1");
        assert!(put.len() == 1 && put[0].body == b"{}" && put[0].headers["content-type"] == media_type::OCI_MANIFEST);
    }
}

#[tokio::test]
async fn sv_06_the_login_does_not_go_along_to_another_host() {
    let store = Server::start(|asked| Answer::new(if asked.method == "PUT" { 201 } else { 404 }));
    let target = format!("http://{}/uploads/1", store.address);
    let registry = Server::start(move |asked| match (is_logged_in(asked), asked.method.as_str()) {
        (false, _) => Answer::new(401).header("WWW-Authenticate", "Basic"),
        (true, "POST") => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
        (true, "PUT") => Answer::new(307).header("Location", target.clone()),
        _ => Answer::new(404),
    });
    push(&client(login(&registry)), &registry).await.unwrap();
    let put = store.asked("PUT", "/uploads/1");
    assert!(put.len() == 1 && put[0].body == b"x" && !put[0].headers.contains_key("authorization"), "{put:?}");
    // A redirect that does not keep the body is followed neither with it nor without.
    for status in [301, 302, 303] {
        let registry = Server::start(move |asked| match asked.method.as_str() {
            "POST" => Answer::new(status).header("Location", "/elsewhere"),
            _ => Answer::new(200),
        });
        let error = push(&client(Credentials::None), &registry).await.unwrap_err().to_string();
        assert!(error.contains(&format!("answered {status}")) && error.contains("307"), "{error}");
        assert_eq!(registry.asked("GET", "/elsewhere").len(), 0);
    }
    // Reads follow all of them.
    for status in [301, 302, 303, 307, 308] {
        let registry = Server::start(move |asked| match asked.path.as_str() {
            "/there" => Answer::new(200).body("x"),
            _ => Answer::new(status).header("Location", "/there"),
        });
        let mut pulled = Vec::new();
        client(Credentials::None).pull_blob(&reference(&registry), &blob(b"x"), &mut pulled).await.unwrap();
        assert_eq!(pulled, b"x", "{status}");
    }
}

// CQ-10
#[tokio::test]
async fn sv_15_storage_that_refuses_head_does_not_end_a_push() {
    for refused in [403, 400, 405, 501] {
        let storage = Server::start(move |asked| match asked.method.as_str() {
            "GET" => Answer::new(206).body("x"),
            _ => Answer::new(refused),
        });
        let signed = format!("http://{}/signed?s=1", storage.address);
        let registry =
            Server::start(move |asked| match (asked.method.as_str(), asked.path.contains("/blobs/sha256")) {
                ("HEAD" | "GET", true) => Answer::new(307).header("Location", signed.clone()),
                _ => Answer::new(404),
            });
        let there = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await;
        assert!(there.unwrap(), "{refused}");
    }
    let gone = Server::start(|asked| Answer::new(if asked.method == "GET" { 404 } else { 403 }));
    let signed = format!("http://{}/signed?s=1", gone.address);
    let registry = Server::start(move |_| Answer::new(307).header("Location", signed.clone()));
    assert!(!client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap());
    // A registry that refuses by itself says something.
    let refusing = Server::start(|_| Answer::new(403));
    assert!(client(Credentials::None).has_blob(&reference(&refusing), &Digest::of(b"x")).await.is_err());
}

#[tokio::test]
async fn sv_17_what_the_registry_said_is_told_with_operation_and_login() {
    let said = r#"{"errors":[{"code":"DENIED","message":"will exceed the configured upper limit","detail":{"limit":"1GiB"}}]}"#;
    let registry = Server::start(move |asked| Answer::new(if asked.path == "/v2/" { 200 } else { 403 }).body(said));
    let address = registry.address.to_string();
    for (client, expected) in [
        (client(Credentials::None), "no login was sent, because none is configured"),
        (client(login(&registry)), "asked for none"),
    ] {
        let error = push(&client, &registry).await.unwrap_err().to_string();
        for part in [
            address.as_str(),
            "team/app",
            "beginning an upload",
            "403",
            "will exceed the configured upper limit",
            "1GiB",
            expected,
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("may require a login"), "{error}");
    }
    // A registry that repeats the login, and what moves a terminal (SEC-m8).
    let registry = Server::start(|asked| match asked.headers.get("authorization") {
        None => Answer::new(401).header("WWW-Authenticate", "Basic"),
        Some(sent) => Answer::new(403).body(format!("\x1b[2Jno: s3cret-pass {sent}\r\n")),
    });
    let error = push(&client(login(&registry)), &registry).await.unwrap_err().to_string();
    assert!(error.contains("no: *** Basic ***") && error.contains("the login for"), "{error}");
    assert!(!error.contains("s3cret-pass") && !error.contains(char::is_control), "{error}");
    let huge = Server::start(|_| Answer::new(400).body("y".repeat(60_000)));
    assert!(push(&client(Credentials::None), &huge).await.unwrap_err().to_string().len() < 1500);
}

#[tokio::test]
async fn sec_m5_what_was_stored_before_the_answer_was_lost_is_stored() {
    let manifest = b"{}".to_vec();
    let digest = Digest::of(&manifest).to_string();
    for lost in [500, 502, 503, 504, 429, 0] {
        let digest = digest.clone();
        let registry = Server::start(move |asked| match asked.method.as_str() {
            "PUT" if lost == 0 => {
                let mut cut = Answer::new(201).body("0123456789").header("Content-Length", "-");
                cut.cut_at = Some(0);
                cut
            }
            "PUT" => Answer::new(lost),
            "HEAD" if asked.path.contains("/manifests/") => {
                Answer::new(200).header("Docker-Content-Digest", digest.clone())
            }
            "HEAD" => Answer::new(200),
            "POST" => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
            _ => Answer::new(404),
        });
        let client = client(Credentials::None);
        client.put_manifest(&reference(&registry), media_type::OCI_MANIFEST, manifest.clone()).await.unwrap();
        assert_eq!(registry.asked("PUT", "/v2/team/app/manifests").len(), 1, "{lost}");
        push(&client, &registry).await.unwrap();
        assert_eq!(registry.asked("PUT", "/v2/team/app/blobs").len(), 1, "{lost}");
        assert_eq!(registry.asked("HEAD", "/").len(), 2, "{lost}: one question each");
    }
    // A tag that names another image was not moved.
    let registry = Server::start(|asked| match asked.method.as_str() {
        "PUT" => Answer::new(500),
        _ => Answer::new(200).header("Docker-Content-Digest", Digest::of(b"older").to_string()),
    });
    let refused =
        client(Credentials::None).put_manifest(&reference(&registry), media_type::OCI_MANIFEST, manifest).await;
    assert!(matches!(refused, Err(Error::Status { status: 500, .. })));
}

// CQ-06
#[tokio::test]
async fn an_identity_token_is_exchanged_and_never_sent_as_a_password() {
    let (registry, tokens) = with_tokens(|_| Answer::new(200).body(r#"{"access_token":"T"}"#));
    let identity = |registry: &Server| {
        let login = ("<token>".to_owned(), "refresh me".to_owned());
        Credentials::Fixed(HashMap::from([(registry.address.to_string(), login)]))
    };
    assert!(client(identity(&registry)).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap());
    let asked = tokens.asked("POST", "/token");
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert_eq!((asked.len(), tokens.count(), asked[0].path.as_str()), (1, 1, "/token"), "{form}");
    for part in ["grant_type=refresh_token", "refresh_token=refresh+me", "service=s", "scope=repository%3A"] {
        assert!(form.contains(part), "{form}");
    }
    assert!(!asked[0].headers.contains_key("authorization"));
    // Where no token server is named it is of no use.
    let basic = Server::start(|_| Answer::new(401).header("WWW-Authenticate", "Basic realm=\"x\""));
    let refused = client(identity(&basic)).has_blob(&reference(&basic), &Digest::of(b"x")).await;
    assert!(refused.is_err() && basic.asked("HEAD", "/").iter().all(|asked| !is_logged_in(asked)));
}
