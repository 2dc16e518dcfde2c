//! Uploads, endpoint by endpoint: whole, in chunks, streamed, cancelled, broken.

use crate::hub::Hub;
use axum::body::Body;
use axum::http::Method;
use futures::stream;
use registry_client::{Algorithm, Digest};

async fn begin(hub: &Hub) -> String {
    let begun = hub.ask(Method::POST, "a/a/blobs/uploads/", &[], b"").await;
    assert_eq!((begun.status, begun.header("range")), (202, "0-0"));
    begun.header("location").to_owned()
}

async fn chunk(hub: &Hub, method: Method, place: &str, range: &str, bytes: &[u8]) -> crate::hub::Answer {
    let length = bytes.len().to_string();
    let headers = [("content-range", range), ("content-length", length.as_str())];
    hub.ask_at(method, place, &headers, Body::from(bytes.to_vec())).await
}

#[tokio::test]
async fn a_blob_is_put_whole_in_one_request_or_in_two() {
    let hub = Hub::new();
    for algorithm in Algorithm::ALL {
        let (one, two) = (Digest::with(algorithm, b"one"), Digest::with(algorithm, b"two"));
        let path = format!("a/a/blobs/uploads/?digest={one}");
        let put = hub.ask(Method::POST, &path, &[], b"one").await;
        assert_eq!((put.status, put.header("docker-content-digest")), (201, one.as_str()));
        assert_eq!(put.header("location"), format!("/v2/a/a/blobs/{one}"));
        // Which algorithm it will be need not be said before.
        let place = begin(&hub).await;
        let put = hub.ask_at(Method::PUT, &format!("{place}?digest={two}"), &[], Body::from("two")).await;
        assert_eq!((put.status, put.header("docker-content-digest")), (201, two.as_str()));
        for (digest, bytes) in [(one, b"one"), (two, b"two")] {
            let got = hub.get(&format!("a/a/blobs/{digest}")).await;
            assert_eq!((got.status, got.body.as_slice()), (200, bytes.as_slice()), "{digest}");
            assert_eq!(got.header("docker-content-digest"), digest.as_str());
        }
    }
}

#[tokio::test]
async fn chunks_come_in_order_and_others_are_refused_with_the_place_to_go_on() {
    let hub = Hub::new();
    let digest = Digest::of(b"0123456789");
    let place = begin(&hub).await;
    assert_eq!(chunk(&hub, Method::PATCH, &place, "4-7", b"4567").await.status, 416);
    let first = chunk(&hub, Method::PATCH, &place, "0-3", b"0123").await;
    assert_eq!((first.status, first.header("range"), first.header("location")), (202, "0-3", place.as_str()));
    for range in ["0-3", "8-9", "5-6"] {
        let length = if range == "0-3" { 4 } else { 2 };
        let refused = chunk(&hub, Method::PATCH, &place, range, &b"0123"[..length]).await;
        assert_eq!((refused.status, refused.header("range")), (416, "0-3"), "{range}");
    }
    let last = format!("{place}?digest={digest}");
    assert_eq!(chunk(&hub, Method::PUT, &last, "8-9", b"89").await.status, 416, "the last chunk too");
    let state = hub.ask_at(Method::GET, &place, &[], Body::empty()).await;
    assert_eq!((state.status, state.header("range"), state.header("location")), (204, "0-3", place.as_str()));
    assert_eq!(chunk(&hub, Method::PATCH, &place, "4-7", b"4567").await.status, 202);
    assert_eq!(chunk(&hub, Method::PUT, &last, "8-9", b"89").await.status, 201);
    assert_eq!(hub.get(&format!("a/a/blobs/{digest}")).await.body, b"0123456789");
    let over = hub.ask_at(Method::GET, &place, &[], Body::empty()).await;
    assert_eq!((over.status, over.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test]
async fn a_range_that_is_malformed_or_not_that_of_the_body_is_named() {
    let hub = Hub::new();
    let place = begin(&hub).await;
    for (range, code) in [("x", "BLOB_UPLOAD_INVALID"), ("3-0", "BLOB_UPLOAD_INVALID"), ("0-9", "SIZE_INVALID")] {
        let refused = if range == "3-0" {
            assert_eq!(chunk(&hub, Method::PATCH, &place, "0-2", b"abc").await.status, 202);
            chunk(&hub, Method::PATCH, &place, "3-0", b"abc").await
        } else {
            let from = if range == "0-9" { begin(&hub).await } else { place.clone() };
            chunk(&hub, Method::PATCH, &from, range, b"abc").await
        };
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{range}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_gone_on_with() {
    let hub = Hub::new();
    let place = begin(&hub).await;
    let broken = Body::from_stream(stream::iter([Ok("0123"), Err(std::io::Error::other("gone"))]));
    let answer = hub.ask_at(Method::PATCH, &place, &[], broken).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BLOB_UPLOAD_INVALID"));
    let state = hub.ask_at(Method::GET, &place, &[], Body::empty()).await;
    assert_eq!((state.status, state.header("range")), (204, "0-3"), "what arrived is kept");
    let last = format!("{place}?digest={}", Digest::of(b"012345"));
    assert_eq!(chunk(&hub, Method::PUT, &last, "4-5", b"45").await.status, 201);
}

#[tokio::test]
async fn one_request_at_a_time_writes_to_an_upload() {
    let hub = Hub::new();
    let place = begin(&hub).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<&'static str, std::io::Error>>(1);
    let body = Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }));
    let writing = hub.ask_at(Method::PATCH, &place, &[], body);
    let other = async {
        sender.send(Ok("01")).await.unwrap();
        let refused = hub.ask_at(Method::PATCH, &place, &[], Body::from("xx")).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "BLOB_UPLOAD_INVALID"));
        drop(sender);
    };
    let (written, ()) = tokio::join!(writing, other);
    assert_eq!((written.status, written.header("range")), (202, "0-1"));
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused_however_they_come() {
    let hub = Hub::new();
    for algorithm in Algorithm::ALL {
        let digest = Digest::with(algorithm, b"good");
        let whole = hub.ask(Method::POST, &format!("a/a/blobs/uploads/?digest={digest}"), &[], b"bad").await;
        assert_eq!((whole.status, whole.code().as_str()), (400, "DIGEST_INVALID"));
        let place = begin(&hub).await;
        let put = hub.ask_at(Method::PUT, &format!("{place}?digest={digest}"), &[], Body::from("bad")).await;
        assert_eq!((put.status, put.code().as_str()), (400, "DIGEST_INVALID"));
        assert_eq!(hub.status(Method::HEAD, &format!("a/a/blobs/{digest}")).await, 404);
    }
    for query in ["digest=sha256:1", "digest=md5:0cc175b9c0f1b6a831c399e269772661", "digest-algorithm=md5"] {
        let begun = hub.ask(Method::POST, &format!("a/a/blobs/uploads/?{query}"), &[], b"x").await;
        assert_eq!((begun.status, begun.code().as_str()), (400, "DIGEST_INVALID"), "{query}");
    }
    let place = begin(&hub).await;
    let put = hub.ask_at(Method::PUT, &place, &[], Body::from("x")).await;
    assert_eq!((put.status, put.code().as_str()), (400, "DIGEST_INVALID"), "without a digest");
}

#[tokio::test]
async fn an_upload_is_cancelled_once_and_leaves_nothing() {
    let hub = Hub::new();
    let place = begin(&hub).await;
    assert_eq!(hub.ask_at(Method::PATCH, &place, &[], Body::from("x")).await.status, 202);
    assert_eq!(hub.ask_at(Method::DELETE, &place, &[], Body::empty()).await.status, 204);
    for method in [Method::DELETE, Method::GET, Method::PATCH] {
        assert_eq!(hub.ask_at(method, &place, &[], Body::empty()).await.status, 404);
    }
    assert_eq!(std::fs::read_dir(hub.directory().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_algorithm_may_be_said_at_the_beginning() {
    let hub = Hub::new();
    let begun = hub.ask(Method::POST, "a/a/blobs/uploads/?digest-algorithm=sha512", &[], b"").await;
    assert_eq!(begun.status, 202);
    let digest = Digest::with(Algorithm::Sha512, b"x");
    let path = format!("{}?digest={digest}", begun.header("location"));
    assert_eq!(hub.ask_at(Method::PUT, &path, &[], Body::from("x")).await.status, 201);
    assert_eq!(hub.get(&format!("a/a/blobs/{digest}")).await.body, b"x");
}
