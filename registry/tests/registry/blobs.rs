//! Blobs: read whole, in part, not at all if they are known; deleted; damaged.

use crate::hub::Hub;
use axum::http::Method;
use registry_client::Digest;

#[tokio::test]
async fn a_part_of_a_blob_is_served_as_http_has_it() {
    let hub = Hub::new();
    let digest = hub.upload("a/a", b"0123456789").await;
    let path = format!("a/a/blobs/{digest}");
    for (range, status, body, shown) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-30", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=8-100", 206, "89", "bytes 8-9/10"),
        ("bytes=5-4", 416, "", "bytes */10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        // A range that is not understood, and several at once, are answered with the whole.
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ] {
        let got = hub.ask(Method::GET, &path, &[("range", range)], b"").await;
        assert_eq!((got.status, String::from_utf8_lossy(&got.body).as_ref()), (status, body), "{range}");
        assert_eq!(got.header("content-range"), shown, "{range}");
    }
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let hub = Hub::new();
    for bytes in [b"".as_slice(), b"{}", b"layer"] {
        let path = format!("a/a/blobs/{}", hub.upload("a/a", bytes).await);
        let (head, get) = (hub.ask(Method::HEAD, &path, &[], b"").await, hub.get(&path).await);
        assert_eq!((head.status, get.status, get.body.as_slice()), (200, 200, bytes));
        assert!(head.body.is_empty());
        for name in ["content-length", "docker-content-digest", "etag", "accept-ranges", "content-type"] {
            assert!(!get.header(name).is_empty() && get.header(name) == head.header(name), "{name}");
        }
        let etag = get.header("etag").to_owned();
        assert_eq!(hub.ask(Method::GET, &path, &[("if-none-match", &etag)], b"").await.status, 304);
        assert_eq!(hub.ask(Method::GET, &path, &[("if-none-match", "\"other\"")], b"").await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_a_digest_is_told_apart() {
    let hub = Hub::new();
    let missing = hub.get(&format!("a/a/blobs/{}", Digest::of(b"x"))).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "BLOB_UNKNOWN"));
    let malformed = hub.get("a/a/blobs/sha256:x").await;
    assert_eq!((malformed.status, malformed.code().as_str()), (400, "DIGEST_INVALID"));
    let named = hub.get(&format!("a/A/blobs/{}", Digest::of(b"x"))).await;
    assert_eq!((named.status, named.code().as_str()), (400, "NAME_INVALID"));
    let method = hub.ask(Method::PUT, &format!("a/a/blobs/{}", Digest::of(b"x")), &[], b"").await;
    assert_eq!((method.status, method.code().as_str()), (405, "UNSUPPORTED"));
}
