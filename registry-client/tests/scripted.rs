//! Misbehaving registries, and what the client does: each case of the list of bad inputs by its number.
#![allow(missing_docs, clippy::unwrap_used)]

mod server;

use registry_client::{
    BlobSource, Client, Credentials, Descriptor, Digest, Error, MinimumRate, Platform, Reference, RetryPolicy,
    Settings, media_type,
};
use serde_json::{Value, json};
use server::{Answer, Asked, Server};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Less than this is too slow.
const MINIMUM_RATE: MinimumRate = MinimumRate { bytes: 100, window: Duration::from_millis(200) };

fn retry() -> RetryPolicy {
    RetryPolicy {
        initial_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(60),
        max_attempts: 4,
        max_elapsed: Duration::from_millis(400),
    }
}

fn client(credentials: Credentials) -> Client {
    Client::new(Settings { credentials, retry: retry(), minimum_rate: MINIMUM_RATE, ..Settings::default() }).unwrap()
}

fn login(server: &Server) -> Credentials {
    let login = ("user".to_owned(), "secret".to_owned());
    Credentials::Fixed(HashMap::from([(server.address.to_string(), login)]))
}

fn reference(server: &Server) -> Reference {
    Reference::parse(&format!("{}/team/app:1", server.address)).unwrap()
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(bytes), bytes.len() as u64)
}

async fn resolve(server: &Server) -> Result<registry_client::Resolved, Error> {
    client(Credentials::None).resolve(&reference(server), &Platform::host(), &|_| None).await
}

/// Serves one manifest, whatever is asked for, and the blobs of `blobs`.
fn image(manifest: Value, blobs: Vec<Vec<u8>>) -> impl Fn(&Asked) -> Answer + Send + Sync {
    let kind = manifest["mediaType"].as_str().unwrap_or_default().to_owned();
    move |asked| match asked.path.rsplit_once("/blobs/") {
        None => Answer::new(200).header("Content-Type", kind.clone()).body(manifest.to_string()),
        Some((_, digest)) => match blobs.iter().find(|bytes| Digest::of(bytes).as_str() == digest) {
            Some(bytes) => Answer::new(200).body(bytes.clone()),
            None => Answer::new(404),
        },
    }
}

fn manifest(config: &[u8], layers: Value) -> Value {
    let config =
        json!({"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(config).as_str(), "size": config.len()});
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers})
}

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

#[tokio::test]
async fn reg_07_documents_have_limits() {
    // REG-07
    let huge = Server::start(|_| Answer::new(200).body(vec![b' '; 5 * 1024 * 1024]));
    assert!(
        matches!(resolve(&huge).await, Err(Error::InvalidDocument { problem, .. }) if problem.contains("larger than"))
    );

    let mut large = manifest(CONFIG, json!([]));
    large["config"]["size"] = json!(1_000_000_000u64);
    let large = Server::start(image(large, vec![]));
    let error = resolve(&large).await.unwrap_err();
    assert!(error.to_string().contains("configuration is larger"), "{error}");
    assert_eq!(large.asked("GET", "/v2/team/app/blobs").len(), 0, "it is not even asked for");

    let layer = json!({"mediaType": media_type::OCI_LAYER_GZIP, "digest": Digest::of(b"x").as_str(), "size": 1});
    let many = Server::start(image(manifest(CONFIG, json!(vec![layer; 501])), vec![CONFIG.to_vec()]));
    assert!(resolve(&many).await.unwrap_err().to_string().contains("more than 500 layers"));

    let deep = Server::start(|_| {
        let inner = json!({"mediaType": media_type::OCI_INDEX, "digest": Digest::of(b"x").as_str(), "size": 1});
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [inner]});
        Answer::new(200).header("Content-Type", media_type::OCI_INDEX).body(index.to_string())
    });
    assert!(resolve(&deep).await.is_err());
    assert!(deep.count() <= 2, "an index in an index leads nowhere");
}

#[tokio::test]
async fn reg_09_urls_of_foreign_layers_are_never_fetched() {
    // REG-09
    let elsewhere = Server::start(|_| Answer::new(200).body("x"));
    let url = format!("http://{}/layer", elsewhere.address);
    for kind in [media_type::OCI_LAYER_GZIP, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"] {
        let layer = json!({"mediaType": kind, "digest": Digest::of(b"x").as_str(), "size": 1, "urls": [url]});
        let registry = Server::start(image(manifest(CONFIG, json!([layer])), vec![CONFIG.to_vec()]));
        let resolved = resolve(&registry).await.unwrap();
        let layer = &resolved.manifest.layers[0];
        let pulled = client(Credentials::None).pull_blob(&reference(&registry), layer, &mut Vec::new()).await;
        assert!(matches!(pulled, Err(Error::NotFound(_))), "{kind}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn reg_10_documents_that_can_be_read_as_two_things_are_refused() {
    let mut both = manifest(CONFIG, json!([]));
    both["manifests"] = json!([]);
    let both = Server::start(image(both, vec![CONFIG.to_vec()]));
    assert!(resolve(&both).await.unwrap_err().to_string().contains("both manifests and layers"));
    let mut other = manifest(CONFIG, json!([]));
    other["mediaType"] = json!(media_type::OCI_INDEX);
    let other = Server::start(image(other, vec![CONFIG.to_vec()]));
    assert!(resolve(&other).await.unwrap_err().to_string().contains("does not fit the document"));
}

#[tokio::test]
async fn reg_20_and_21_redirects_leave_the_login_behind_and_lead_nowhere_near_metadata() {
    // REG-20, REG-21
    let store = Server::start(|_| Answer::new(200).body("x"));
    let target = format!("http://{}/stored", store.address);
    let registry = Server::start(move |asked| match asked.headers.get("authorization") {
        None => Answer::new(401).header("WWW-Authenticate", "Basic realm=\"r\""),
        Some(_) => Answer::new(307).header("Location", target.clone()),
    });
    let mut pulled = Vec::new();
    client(login(&registry)).pull_blob(&reference(&registry), &blob(b"x"), &mut pulled).await.unwrap();
    assert_eq!(pulled, b"x");
    assert!(!store.asked("GET", "/stored")[0].headers.contains_key("authorization"));

    let metadata = Server::start(|_| Answer::new(302).header("Location", "http://169.254.169.254/latest/meta-data"));
    let refused = client(Credentials::None).pull_blob(&reference(&metadata), &blob(b"x"), &mut Vec::new()).await;
    assert!(refused.unwrap_err().to_string().contains("not allowed"));
}

#[tokio::test]
async fn reg_21_an_upload_that_goes_elsewhere_leaves_the_login_behind() {
    // REG-21
    let store = Server::start(|_| Answer::new(201));
    let target = format!("http://{}/uploads/1", store.address);
    let registry = Server::start(move |asked| match asked.headers.get("authorization") {
        None => Answer::new(401).header("WWW-Authenticate", "Basic realm=\"r\""),
        Some(_) => Answer::new(202).header("Location", target.clone()),
    });
    let client = client(login(&registry));
    client.push_blob(&reference(&registry), &blob(b"x"), BlobSource::Bytes("x".into())).await.unwrap();
    let sent = store.asked("PUT", "/uploads/1");
    assert!(sent.len() == 1 && sent[0].body == b"x" && !sent[0].headers.contains_key("authorization"), "{sent:?}");
}

#[tokio::test]
async fn reg_22_a_login_is_not_sent_to_a_token_server_elsewhere() {
    // A name that is not the registry's host, and no https; both are this machine.
    let token = Server::start(|_| Answer::new(200).body(r#"{"token":"t"}"#));
    let realm = format!("http://localhost:{}/token", token.address.port());
    let registry = Server::start(move |asked| match asked.headers.get("authorization") {
        None => Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"s\"")),
        Some(_) => Answer::new(200),
    });
    client(login(&registry)).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap();
    let asked = token.asked("GET", "/token");
    assert!(!asked[0].headers.contains_key("authorization"), "the password went to another host");
}

#[tokio::test]
async fn reg_24_tokens_and_redirects_have_limits() {
    // REG-24: lists, whose pages a `Link` could go on with for ever, are not asked for.
    let token = Server::start(|_| Answer::new(200).body(format!(r#"{{"token":"{}"}}"#, "t".repeat(10_000_000))));
    let realm = format!("http://{}/token", token.address);
    let registry =
        Server::start(move |_| Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\"")));
    let refused = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await;
    assert!(refused.unwrap_err().to_string().contains("larger than"));

    let circle = Server::start(|asked| Answer::new(302).header("Location", asked.path.clone()));
    let refused = client(Credentials::None).has_blob(&reference(&circle), &Digest::of(b"x")).await;
    assert!(refused.unwrap_err().to_string().contains("redirects too often"));
    assert!(circle.count() < 10);
}

#[tokio::test]
async fn reg_25_other_bytes_than_the_digest_says_are_refused() {
    let registry = Server::start(|_| Answer::new(200).body("evil"));
    let pulled = client(Credentials::None).pull_blob(&reference(&registry), &blob(b"good"), &mut Vec::new()).await;
    assert!(matches!(pulled, Err(Error::DigestMismatch(_))));
    let long = client(Credentials::None).pull_blob(&reference(&registry), &blob(b"g"), &mut Vec::new()).await;
    assert!(matches!(long, Err(Error::DigestMismatch(_))), "more bytes than announced");
}

#[tokio::test]
async fn reg_27_a_registry_that_trickles_is_given_up_and_others_are_served() {
    let slow = Server::start(|asked| {
        let mut answer = Answer::new(if asked.headers.contains_key("range") { 206 } else { 200 }).body(vec![0; 600]);
        answer.pause = Some(Duration::from_millis(10));
        answer
    });
    let fine = Server::start(|_| Answer::new(200).body("fine"));
    let client = client(Credentials::None);
    let began = Instant::now();
    let (zeros, good) = (blob(&[0; 600]), blob(b"fine"));
    let (slow_reference, fine_reference) = (reference(&slow), reference(&fine));
    let (mut sink, mut other) = (Vec::new(), Vec::new());
    let (slow, fine) = tokio::join!(
        client.pull_blob(&slow_reference, &zeros, &mut sink),
        client.pull_blob(&fine_reference, &good, &mut other),
    );
    assert!(matches!(slow, Err(Error::Broken { .. } | Error::DigestMismatch(_))), "{slow:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
    fine.unwrap();
}

#[tokio::test]
async fn reg_31_retry_after_is_honoured_and_capped() {
    for asked in ["3600", "Wed, 21 Oct 2099 07:28:00 GMT", "soon", ""] {
        let calls = AtomicUsize::new(0);
        let registry = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::new(429).header("Retry-After", asked),
            _ => Answer::new(200),
        });
        let began = Instant::now();
        let there = client(Credentials::None).has_blob(&reference(&registry), &Digest::of(b"x")).await.unwrap();
        assert!(there && began.elapsed() < Duration::from_secs(5), "{asked}");
        if asked == "3600" {
            assert!(began.elapsed() >= retry().max_backoff, "it was asked again at once");
        }
    }
    let never = Server::start(|_| Answer::new(429).header("Retry-After", "3600"));
    let refused = client(Credentials::None).has_blob(&reference(&never), &Digest::of(b"x")).await;
    assert!(matches!(refused, Err(Error::Status { status: 429, .. })));
}

#[tokio::test]
async fn reg_32_a_mount_that_is_refused_is_an_upload() {
    for refusal in [401, 403, 404, 202] {
        let registry = Server::start(move |asked| match (asked.method.as_str(), asked.path.contains("mount=")) {
            ("POST", true) => Answer::new(refusal).header("Location", "/v2/team/app/blobs/uploads/given-up"),
            ("POST", false) => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
            ("DELETE", _) => Answer::new(204),
            ("PUT", _) => Answer::new(201),
            _ => Answer::new(404),
        });
        let client = client(Credentials::None);
        assert!(
            !client.mount_blob(&reference(&registry), "other/secret", &Digest::of(b"x")).await.unwrap(),
            "{refusal}"
        );
        client.push_blob(&reference(&registry), &blob(b"x"), BlobSource::Bytes("x".into())).await.unwrap();
        // An upload that begins in place of the mount is the one that goes on.
        let upload = if refusal == 202 { "given-up" } else { "1" };
        let path = format!("/v2/team/app/blobs/uploads/{upload}");
        assert_eq!(registry.asked("PUT", &path)[0].body, b"x", "{refusal}");
    }
}

#[tokio::test]
async fn reg_33_a_token_that_expires_is_refreshed_once() {
    // REG-33
    let tokens = std::sync::Arc::new(AtomicUsize::new(0));
    let given = tokens.clone();
    let server = Server::start(move |_| {
        Answer::new(200).body(format!(r#"{{"token":"t{}"}}"#, given.fetch_add(1, Ordering::SeqCst) + 1))
    });
    let realm = format!("http://{}/token", server.address);
    // The first token ends with the beginning of the upload.
    let registry = Server::start(move |asked| {
        let token = asked.headers.get("authorization").map_or("", String::as_str);
        let fine = if asked.method == "PUT" { token == "Bearer t2" } else { !token.is_empty() };
        match (fine, asked.method.as_str()) {
            (false, _) => Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{realm}\"")),
            (true, "POST") => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
            (true, _) => Answer::new(201),
        }
    });
    let client = client(Credentials::None);
    client.push_blob(&reference(&registry), &blob(b"x"), BlobSource::Bytes("x".into())).await.unwrap();
    assert_eq!(tokens.load(Ordering::SeqCst), 2);
    let never = Server::start(|_| Answer::new(401).header("WWW-Authenticate", "Basic realm=\"r\""));
    let refused = self::client(login(&never)).has_blob(&reference(&never), &Digest::of(b"x")).await;
    assert!(matches!(refused, Err(Error::Denied(_))));
    assert_eq!(never.count(), 2, "a login that is refused is not tried again");
}

#[tokio::test]
async fn rl7_a_broken_download_is_taken_up_where_it_broke() {
    let content: Vec<u8> = (0..10_000u32).map(|at| at as u8).collect();
    let whole = content.clone();
    let registry = Server::start(move |asked| {
        let from = asked
            .headers
            .get("range")
            .and_then(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().ok());
        let mut answer = Answer::new(if from.is_some() { 206 } else { 200 }).body(&whole[from.unwrap_or(0)..]);
        answer.cut_at = from.is_none().then_some(4000);
        answer
    });
    let mut pulled = Vec::new();
    client(Credentials::None).pull_blob(&reference(&registry), &blob(&content), &mut pulled).await.unwrap();
    assert!(pulled == content);
    assert_eq!(registry.count(), 2);
}

#[tokio::test]
async fn rl7_uploads_start_again_and_ask_before_they_send_twice() {
    // No Location; then an upload that expired; then an error after the registry already acted.
    let (begun, put) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let registry = Server::start(move |asked| match asked.method.as_str() {
        "POST" if begun.fetch_add(1, Ordering::SeqCst) == 0 => Answer::new(202),
        "POST" => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1"),
        "PUT" => match put.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::new(404),
            _ => Answer::new(500),
        },
        "HEAD" if put.load(Ordering::SeqCst) == 2 => Answer::new(200),
        _ => Answer::new(404),
    });
    let sending = client(Credentials::None);
    let was_seen = sending.push_blob(&reference(&registry), &blob(b"x"), BlobSource::Bytes("x".into())).await.unwrap();
    assert!(!was_seen, "nobody saw the registry take it");
    assert_eq!(registry.asked("PUT", "/").len(), 2, "what the registry has is not sent again");
}

#[tokio::test]
async fn rl7_a_registry_that_stays_broken_is_an_error_of_the_registry() {
    let registry = Server::start(|_| Answer::new(503));
    let error = client(Credentials::None)
        .put_manifest(&reference(&registry), media_type::OCI_MANIFEST, b"{}".to_vec())
        .await
        .unwrap_err();
    assert_eq!(error.fault(), registry_client::Fault::Upstream);
    assert_eq!(registry.asked("PUT", "/").len(), retry().max_attempts as usize);
}
