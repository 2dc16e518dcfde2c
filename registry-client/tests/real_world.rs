//! Registries as they are met in the world, each quirk by its id: transfers that break, limits, redirects, and what errors say.
#![allow(missing_docs, clippy::unwrap_used)]

mod server;

use registry_client::{BlobSource, Credentials, Digest, Reference, media_type};
use server::help::{blob, client, login, push, reference};
use server::{Answer, Asked, Server};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn is_logged_in(asked: &Asked) -> bool {
    asked.headers.contains_key("authorization")
}

fn range_start(asked: &Asked) -> Option<usize> {
    asked.headers.get("range")?.trim_start_matches("bytes=").trim_end_matches('-').parse().ok()
}

fn content() -> Vec<u8> {
    (0..20_000u32).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn cq_08_every_kind_of_request_is_sent_on_and_the_login_only_within_the_host() {
    for status in [307, 308] {
        let other = Server::start(|asked| match asked.method.as_str() {
            "POST" => Answer::new(202).header("Location", "/there/uploads/1"),
            "PUT" => Answer::new(201),
            "HEAD" => Answer::new(200).header("Docker-Content-Digest", Digest::of(b"{}").to_string()),
            _ => Answer::new(200)
                .body(r#"{"schemaVersion":2,"manifests":[]}"#)
                .header("Content-Type", media_type::OCI_INDEX),
        });
        let there = format!("http://{}", other.address);
        let registry = Server::start(move |asked| match is_logged_in(asked) {
            false => Answer::new(401).header("WWW-Authenticate", "Basic"),
            true => Answer::new(status).header("Location", format!("{there}/there{}", asked.path)),
        });
        let client = client(login(&registry));
        let image = reference(&registry);
        client.get_manifest(&image).await.unwrap();
        assert!(client.head_manifest(&image).await.unwrap().is_some());
        assert!(client.has_blob(&image, &Digest::of(b"x")).await.unwrap());
        push(&client, &registry).await.unwrap();
        client.put_manifest(&image, media_type::OCI_MANIFEST, b"{}".to_vec()).await.unwrap();
        assert!(!client.mount_blob(&image, "team/other", &Digest::of(b"x")).await.unwrap());
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let asked = other.asked(method, "/there");
            assert!(
                !asked.is_empty() && asked.iter().all(|asked| !is_logged_in(asked)),
                "{status} {method}: {asked:?}"
            );
        }
        let put = other.asked("PUT", "/there/v2/team/app/manifests/1");
        assert!(put[0].body == b"{}" && put[0].headers["content-type"] == media_type::OCI_MANIFEST);
    }
}

#[tokio::test]
async fn cq_09_where_an_upload_goes_on_is_said_in_many_ways() {
    for location in
        ["/v2/team/app/blobs/uploads/7", "7", "./7?state=a%2Fb", "?id=7", "//HOST/v2/team/app/blobs/uploads/7"]
    {
        let registry = Server::start(move |asked| match asked.method.as_str() {
            "POST" => Answer::new(202).header("Location", location.replace("HOST", &asked.headers["host"])),
            "PUT" => Answer::new(201),
            _ => Answer::new(404),
        });
        push(&client(Credentials::None), &registry).await.unwrap();
        let put = &registry.asked("PUT", "/v2/team/app/blobs/uploads/")[0];
        assert!(put.path.contains('7') && put.path.contains("digest=sha256:"), "{location}: {}", put.path);
        assert_eq!(put.path.matches('?').count(), 1, "{}", put.path);
    }
}

#[tokio::test]
async fn cq_14_a_download_that_breaks_goes_on_whatever_the_registry_thinks_of_ranges() {
    // With ranges; without; one that refuses them; one that starts elsewhere; one that ends without saying so.
    for kind in ["ranges", "whole", "416", "earlier", "silent"] {
        let whole = content();
        let calls = AtomicUsize::new(0);
        let registry = Server::start(move |asked| {
            let (call, from) = (calls.fetch_add(1, Ordering::SeqCst), range_start(asked));
            let mut answer = match (kind, from) {
                ("416", Some(_)) => return Answer::new(416),
                ("earlier", Some(from)) => Answer::new(206)
                    .header("Content-Range", format!("bytes {}-19999/20000", from - 100))
                    .body(&whole[from - 100..]),
                ("ranges" | "silent", Some(from)) => Answer::new(206).body(&whole[from..]),
                _ => Answer::new(200).body(&whole[..]),
            };
            if call == 0 {
                answer.cut_at = Some(5000);
                answer = if kind == "silent" { answer.header("Content-Length", "20000") } else { answer };
            }
            answer
        });
        let (mut pulled, content) = (Vec::new(), content());
        client(Credentials::None).pull_blob(&reference(&registry), &blob(&content), &mut pulled).await.unwrap();
        assert!(pulled == content, "{kind}");
    }
    // A part that begins too late cannot be used.
    let registry = Server::start(|asked| match range_start(asked) {
        Some(from) => Answer::new(206).header("Content-Range", format!("bytes {}-19999/20000", from + 1)).body("x"),
        None => {
            let mut answer = Answer::new(200).body(content());
            answer.cut_at = Some(10);
            answer
        }
    });
    let refused = client(Credentials::None).pull_blob(&reference(&registry), &blob(&content()), &mut Vec::new()).await;
    assert!(refused.unwrap_err().to_string().contains("another part of a blob"));
}

/// A registry whose uploads break: it keeps `keeps` bytes of the first.
fn breaking(keeps: usize, says: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (stored, puts) = (kept.clone(), AtomicUsize::new(0));
    let registry = Server::start(move |asked| {
        let mut stored = stored.lock().unwrap();
        match asked.method.as_str() {
            "POST" => {
                stored.clear();
                Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1")
            }
            "PUT" if puts.fetch_add(1, Ordering::SeqCst) == 0 => {
                stored.extend_from_slice(&asked.body[..keeps]);
                Answer::new(502)
            }
            "GET" if asked.path.starts_with("/v2/team/app/blobs/uploads/1") => says(stored.len()),
            "PATCH" => {
                stored.extend_from_slice(&asked.body);
                Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1?after=patch")
            }
            "PUT" => {
                stored.extend_from_slice(&asked.body);
                Answer::new(if Digest::of(&stored) == Digest::of(&content()) { 201 } else { 400 })
            }
            _ => Answer::new(404),
        }
    });
    (registry, kept)
}

#[tokio::test]
async fn cq_15_an_upload_that_breaks_goes_on_from_where_the_registry_says() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("blob");
    std::fs::write(&file, content()).unwrap();
    for source in [BlobSource::Bytes(content().into()), BlobSource::File(file)] {
        let (registry, kept) = breaking(12_000, |has| Answer::new(204).header("Range", format!("0-{}", has - 1)));
        let client = client(Credentials::None);
        assert!(client.push_blob(&reference(&registry), &blob(&content()), source.clone()).await.unwrap());
        assert!(*kept.lock().unwrap() == content());
        let patch = &registry.asked("PATCH", "/v2/team/app/blobs/uploads/1")[0];
        assert_eq!((patch.body.len(), patch.headers["content-range"].as_str()), (8_000, "12000-19999"));
        let last = registry.asked("PUT", "/v2/team/app/blobs/uploads/1?after=patch&digest=");
        assert!(last.len() == 1 && last[0].body.is_empty() && registry.asked("POST", "/").len() == 1);
        // It has something else than it claims: then the whole is sent again.
        let (registry, kept) = breaking(12_000, |has| Answer::new(204).header("Range", format!("0-{}", has - 2)));
        client.push_blob(&reference(&registry), &blob(&content()), source).await.unwrap();
        assert!(*kept.lock().unwrap() == content() && registry.asked("POST", "/").len() == 2);
    }
    // Those that have nothing, more than there is, or cannot say, get the whole again.
    for says in ["0-0", "0-99999", "5-7", "x", ""] {
        let (registry, kept) = breaking(12_000, move |_| Answer::new(204).header("Range", says));
        let source = BlobSource::Bytes(content().into());
        client(Credentials::None).push_blob(&reference(&registry), &blob(&content()), source).await.unwrap();
        assert!(*kept.lock().unwrap() == content() && registry.asked("PATCH", "/").is_empty(), "{says}");
    }
}

#[tokio::test]
async fn cq_16_a_token_that_ends_in_the_middle_is_renewed_and_the_transfer_goes_on() {
    let given = AtomicUsize::new(0);
    let tokens = Server::start(move |_| {
        Answer::new(200).body(format!(r#"{{"token":"t{}"}}"#, given.fetch_add(1, Ordering::SeqCst)))
    });
    let realm = format!("http://{}/token", tokens.address);
    let registry = Server::start(move |asked| {
        let token = asked.headers.get("authorization").map_or("", String::as_str);
        let from = range_start(asked);
        let expected = if from.is_some() { "Bearer t1" } else { "Bearer t0" };
        if token != expected {
            return Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\""));
        }
        let mut answer = Answer::new(if from.is_some() { 206 } else { 200 }).body(&content()[from.unwrap_or(0)..]);
        answer.cut_at = from.is_none().then_some(7000);
        answer
    });
    let mut pulled = Vec::new();
    client(Credentials::None).pull_blob(&reference(&registry), &blob(&content()), &mut pulled).await.unwrap();
    assert!(pulled == content() && tokens.count() == 2);
}

#[tokio::test]
async fn cq_17_a_limit_counts_for_every_request_and_for_all_at_once() {
    // Each kind of request is answered 429 once.
    let seen = Mutex::new(std::collections::HashSet::new());
    let registry = Server::start(move |asked| {
        let kind = (asked.method.clone(), asked.path.contains("/manifests/"), asked.path.contains("mount="));
        if seen.lock().unwrap().insert(kind) {
            return Answer::new(429).header("Retry-After", "1");
        }
        match (asked.method.as_str(), asked.path.contains("/manifests/")) {
            ("POST", _) => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
            ("PUT", _) => Answer::new(201),
            ("GET", true) => Answer::new(200).body(r#"{"manifests":[]}"#).header("Content-Type", media_type::OCI_INDEX),
            ("GET", false) => Answer::new(200).body("x"),
            _ => Answer::new(404),
        }
    });
    let client = client(Credentials::None);
    let image = reference(&registry);
    assert!(client.head_manifest(&image).await.unwrap().is_none());
    client.get_manifest(&image).await.unwrap();
    client.pull_blob(&image, &blob(b"x"), &mut Vec::new()).await.unwrap();
    assert!(!client.mount_blob(&image, "team/other", &Digest::of(b"x")).await.unwrap());
    push(&client, &registry).await.unwrap();
    client.put_manifest(&image, media_type::OCI_MANIFEST, b"{}".to_vec()).await.unwrap();
    // A second request waits for what the first was told.
    let calls = AtomicUsize::new(0);
    let registry = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new(429).header("Retry-After", "1"),
        _ => Answer::new(200),
    });
    let client = server::help::client(Credentials::None);
    let (image, digest) = (reference(&registry), Digest::of(b"x"));
    let first = client.has_blob(&image, &digest);
    let second = async {
        while registry.count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let began = Instant::now();
        client.has_blob(&image, &digest).await.unwrap();
        began.elapsed()
    };
    let (first, waited) = tokio::join!(first, second);
    assert!(first.unwrap() && waited >= Duration::from_millis(30), "{waited:?}");
}

#[tokio::test]
async fn cq_21_addresses_of_version_6_are_hosts() {
    let registry = Server::start_at("[::1]:0", |asked| match is_logged_in(asked) {
        true => Answer::new(200),
        false => Answer::new(401).header("WWW-Authenticate", "Basic"),
    });
    let image = Reference::parse(&format!("{}/team/app:1", registry.address)).unwrap();
    assert!(image.registry().starts_with("[::1]:"));
    assert!(client(login(&registry)).has_blob(&image, &Digest::of(b"x")).await.unwrap());
}

#[tokio::test]
async fn cq_22_a_connection_serves_many_requests() {
    let registry = Server::start(|asked| match asked.method.as_str() {
        "POST" => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
        "PUT" => Answer::new(201),
        "GET" => Answer::new(200).body("x"),
        _ => Answer::new(404),
    });
    let client = client(Credentials::None);
    for _ in 0..10 {
        assert!(!client.has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap());
        push(&client, &registry).await.unwrap();
        client.pull_blob(&reference(&registry), &blob(b"x"), &mut Vec::new()).await.unwrap();
    }
    assert!(registry.count() >= 40 && registry.connections() <= 3, "{}", registry.connections());
}

#[tokio::test]
async fn cq_23_an_error_names_registry_repository_operation_login_and_remedy() {
    let closed = Reference::parse("127.0.0.1:1/team/app:1").unwrap();
    let gone = client(Credentials::None).get_manifest(&closed).await.unwrap_err().to_string();
    let has = |text: &str, parts: &[&str]| parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    has(&gone, &["127.0.0.1:1", "team/app", "reading a manifest", "no login was sent", "check its name"]);
    for (status, remedy) in
        [(500, "try again later"), (429, "limits requests"), (413, "too large"), (404, "check its name")]
    {
        let registry = Server::start(move |_| Answer::new(status));
        let text = client(Credentials::None).get_manifest(&reference(&registry)).await.unwrap_err().to_string();
        has(&text, &[&registry.address.to_string(), "team/app", "reading a manifest", "login", remedy]);
    }
    let broken = Server::start(|_| Answer::new(200).body("{"));
    let text = client(Credentials::None).get_manifest(&reference(&broken)).await.unwrap_err().to_string();
    has(&text, &[&broken.address.to_string(), "reading a manifest in `team/app`", "no login was sent"]);
    let refusing = Server::start(|asked| match is_logged_in(asked) {
        true => Answer::new(500),
        false => Answer::new(401).header("WWW-Authenticate", "Basic"),
    });
    let text = push(&client(login(&refusing)), &refusing).await.unwrap_err().to_string();
    has(&text, &["beginning an upload", "team/app", "the login was sent", "try again later"]);
}
