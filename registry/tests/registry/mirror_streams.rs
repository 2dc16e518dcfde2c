//! Mirrors: blobs that are read while they are downloaded, and lists that are passed on.

use crate::hub::{Hub, digest_of, manifest, named};
use crate::mirror::{Other, mirrors_of};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use registry::{Access, Settings};
use registry_client::Digest;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tower::Service;

/// A registry with one blob, whose second half it sends when it is told to.
struct Slow {
    blob: Vec<u8>,
    size: usize,
    go_on: Notify,
    asked: AtomicUsize,
}

async fn slow(State(slow): State<Arc<Slow>>, method: Method, headers: HeaderMap) -> Response {
    let length = [(header::CONTENT_LENGTH, slow.size.to_string())];
    if method == Method::HEAD {
        return (length, Body::empty()).into_response();
    }
    if headers.contains_key(header::RANGE) {
        // It went away in the middle, and stays away.
        return StatusCode::NOT_FOUND.into_response();
    }
    slow.asked.fetch_add(1, Ordering::Relaxed);
    let half = slow.size / 2;
    let parts = futures::stream::unfold((slow, 0), move |state| async move {
        let (slow, at) = state;
        if at > 0 {
            slow.go_on.notified().await;
        }
        let end = if at == 0 { half } else { slow.blob.len() };
        let part = Bytes::copy_from_slice(&slow.blob[at.min(end)..end]);
        (at < slow.size && !part.is_empty()).then_some((Ok::<_, std::io::Error>(part), (slow, end.max(1))))
    });
    (length, Body::from_stream(parts)).into_response()
}

/// Starts one; `sent` is the bytes that it has, and `size` what it says.
async fn start(sent: Vec<u8>, size: usize) -> (Arc<Slow>, SocketAddr) {
    let state = Arc::new(Slow { blob: sent, size, go_on: Notify::new(), asked: AtomicUsize::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(slow).with_state(state.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (state, address)
}

struct Here {
    hub: Hub,
    directory: tempfile::TempDir,
}

impl Here {
    fn new(address: SocketAddr) -> Here {
        let directory = tempfile::tempdir().unwrap();
        let mirrors = mirrors_of(address, directory.path(), |_| {});
        Here { hub: Hub::with(Settings { mirrors, ..Settings::new(Access::Open) }), directory }
    }

    fn keeps(&self, digest: &Digest) -> bool {
        image_store::Store::open(&self.directory.path().join(".")).unwrap().contains(digest)
    }

    /// Asks for a blob and returns its body as it comes.
    async fn begin(&self, digest: &Digest) -> Body {
        let path = format!("/v2/docker.io/library/app/blobs/{digest}");
        let peer: SocketAddr = ([10, 0, 0, 1], 1234).into();
        let request = Request::get(path).extension(axum::extract::ConnectInfo(peer)).body(Body::empty()).unwrap();
        let answer = self.hub.router.clone().call(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body()
    }
}

/// Reads until the body has so many bytes or ends.
async fn read(stream: &mut axum::body::BodyDataStream, bytes: &mut Vec<u8>, until: usize) -> Result<(), axum::Error> {
    while bytes.len() < until {
        match tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap() {
            Some(part) => bytes.extend_from_slice(&part?),
            None => break,
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_blob_is_read_while_it_is_downloaded_and_one_download_serves_all() {
    let blob: Vec<u8> = (0..1_000_000u32).flat_map(|number| number.to_le_bytes()).collect();
    let (digest, size) = (Digest::of(&blob), blob.len());
    let (slow, address) = start(blob.clone(), size).await;
    let here = Here::new(address);
    let mut bodies = vec![(here.begin(&digest).await.into_data_stream(), Vec::new())];
    for _ in 0..4 {
        bodies.push((here.begin(&digest).await.into_data_stream(), Vec::new()));
    }
    for (stream, bytes) in &mut bodies {
        read(stream, bytes, size / 2).await.unwrap();
        assert_eq!(bytes.len(), size / 2, "half of it came, and no more is there");
    }
    assert!(!here.keeps(&digest), "nothing is kept before it is whole");
    // One who goes away takes it from nobody.
    drop(bodies.pop());
    slow.go_on.notify_one();
    for (stream, bytes) in &mut bodies {
        read(stream, bytes, usize::MAX).await.unwrap();
        assert!(*bytes == blob);
    }
    assert_eq!((slow.asked.load(Ordering::Relaxed), here.keeps(&digest)), (1, true));
}

#[tokio::test]
async fn a_download_that_breaks_or_brings_other_bytes_ends_with_an_error_and_is_not_kept() {
    let blob = vec![7; 1_000_000];
    let mut other = blob.clone();
    *other.last_mut().unwrap() = 8;
    for sent in [blob[..500_000].to_vec(), other] {
        let digest = Digest::of(&blob);
        let (slow, address) = start(sent, blob.len()).await;
        let here = Here::new(address);
        let (mut stream, mut bytes) = (here.begin(&digest).await.into_data_stream(), Vec::new());
        read(&mut stream, &mut bytes, blob.len() / 2).await.unwrap();
        slow.go_on.notify_one();
        assert!(read(&mut stream, &mut bytes, usize::MAX).await.is_err());
        assert!(bytes.len() < blob.len(), "nobody can take it for the blob");
        assert!(!here.keeps(&digest));
    }
}

#[tokio::test]
async fn tags_and_referrers_of_the_registry_are_passed_on_a_page_at_a_time() {
    let other = Other::start().await;
    let (subject, _) = other.image("library/app", b"layer").await;
    for tag in ["2", "3"] {
        assert_eq!(other.hub.put("library/app", tag, &manifest(&[b"layer"])).await.status, 201);
    }
    let mut about = Vec::new();
    for number in 0..3 {
        let mut document = manifest(&[b"layer"]);
        document["subject"] = named(&manifest(&[b"layer"]));
        document["artifactType"] = json!(format!("application/x.{}", number % 2));
        document["annotations"] = json!({"number": number.to_string()});
        assert_eq!(other.hub.put("library/app", "", &document).await.status, 201);
        about.push(digest_of(&document).to_string());
    }
    let here = Here::new(other.address);
    let all = async |first: &str, field: &str| {
        let (mut found, mut path) = (Vec::new(), first.to_owned());
        loop {
            let page = here.hub.ask_at(Method::GET, &path, &[], Body::empty()).await;
            assert_eq!(page.status, 200, "{path}");
            found.extend(page.json()[field].as_array().unwrap().clone());
            let Some(next) = page.header("link").strip_suffix("; rel=\"next\"").map(str::to_owned) else { break };
            path = next.trim_matches(['<', '>']).to_owned();
            assert!(path.parse::<Uri>().unwrap().path() == first.parse::<Uri>().unwrap().path());
        }
        found
    };
    for first in ["/v2/docker.io/library/app/tags/list?n=2", "/v2/library/app/tags/list?ns=docker.io&n=1"] {
        assert_eq!(all(first, "tags").await, ["1", "2", "3"], "{first}");
    }
    let named = here.hub.get("docker.io/library/app/tags/list").await.json();
    assert_eq!(named["name"], "docker.io/library/app");
    let digests = |list: Vec<Value>| -> Vec<String> {
        let mut digests: Vec<String> = list.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect();
        digests.sort();
        digests
    };
    about.sort();
    let path = format!("/v2/docker.io/library/app/referrers/{subject}?n=2");
    assert_eq!(digests(all(&path, "manifests").await), about);
    let path = format!("docker.io/library/app/referrers/{subject}?artifactType=application/x.1");
    let filtered = here.hub.get(&path).await;
    assert_eq!(filtered.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    assert_eq!(filtered.header("content-type"), "application/vnd.oci.image.index.v1+json");
    assert_eq!(here.hub.get("docker.io/library/none/tags/list").await.status, 404);
    other.mood(|mood| mood.is_away = true);
    assert_eq!(here.hub.get("docker.io/library/app/tags/list").await.status, 502);
}

#[tokio::test]
async fn lists_that_the_registry_shows_to_the_mirror_s_login_alone_are_for_nobody_else() {
    let other = Other::start().await;
    other.image("team/app", b"private").await;
    other.image("library/app", b"public").await;
    other.mood(|mood| mood.private = "team/app".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let mirrors = mirrors_of(other.address, directory.path(), |settings| settings.has_login = true);
    let database = format!("sqlite://{}/d.db", directory.path().display());
    let database = database::Database::open(&database).await.unwrap();
    database.put_right(&database::Right::new("", "docker.io/**", "pull").unwrap()).await.unwrap();
    let access = Access::Accounts(registry::Accounts::new(Vec::new(), database));
    let hub = Hub::with(Settings { mirrors, ..Settings::new(access) });
    assert_eq!(hub.get("docker.io/team/app/tags/list").await.status, 404);
    assert_eq!(hub.get("docker.io/library/app/tags/list").await.json()["tags"], json!(["1"]));
}
