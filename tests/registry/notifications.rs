//! Notifications: endpoints are told of what happens in the embedded registry, also of what happened while they were away.

use crate::support::scripted_server::{Answer, Asked, Server};
use crate::support::{Site, curl, free_port, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

fn signed(body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"a key").unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn body(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).unwrap()
}

fn endpoint(name: &str, port: u16, more: &str) -> String {
    format!(
        "[[registry.notifications]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/{name}\"\nsecret = \"a key\"\n{more}\n"
    )
}

#[test]
fn endpoints_are_told_in_order_also_of_what_happened_while_they_were_away() {
    let port = free_port();
    let all = "repositories = [\"base/*\"]\nevents = [\"push\", \"pull\", \"mount\", \"delete\"]";
    let mut site = Site::start(&format!(
        "{}{}{}",
        endpoint("usual", port, ""),
        endpoint("cloud", port, &format!("format = \"cloudevents\"\n{all}")),
        endpoint("others", port, "repositories = [\"team/*\"]"),
    ));
    // Nobody listens there yet, and the server is started again meanwhile.
    site.push_base();
    site.server = None;
    site.serve();
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let there = Server::start_at(&format!("127.0.0.1:{port}"), move |_| {
        // Busy at first.
        Answer::new(if tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 { 503 } else { 204 })
    });
    let told = |path: &str, action: &str| {
        let is_taken =
            |asked: &Asked| body(asked)["events"][0]["action"] == action || body(asked)["data"]["action"] == action;
        wait_for("a notification", || there.asked("POST", path).into_iter().rfind(is_taken))
    };
    let push = told("/usual", "push");
    assert_eq!(push.headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
    for header in ["x-hub-signature-256", "x-signature"] {
        assert_eq!(push.headers[header], signed(&push.body));
    }
    let event = &body(&push)["events"][0];
    let target = &event["target"];
    assert_eq!((&target["repository"], &target["tag"]), (&"base/busybox".into(), &"latest".into()), "{event:#}");
    assert_eq!(target["mediaType"], "application/vnd.oci.image.manifest.v1+json", "{event:#}");
    let digest = target["digest"].as_str().unwrap().to_owned();
    assert!(target["url"].as_str().unwrap().ends_with(&format!("/v2/base/busybox/manifests/{digest}")), "{event:#}");
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z') && target["size"].as_u64().unwrap() > 100, "{event:#}");
    assert!(event["request"]["useragent"].as_str().unwrap().starts_with("slipway/"), "{event:#}");
    assert_eq!(push.headers["webhook-id"], event["id"].as_str().unwrap());
    let cloud = told("/cloud", "push");
    assert_eq!(cloud.headers["content-type"], "application/cloudevents+json");
    let cloud = body(&cloud);
    assert_eq!(
        (&cloud["type"], &cloud["subject"]),
        (&"io.slipway.registry.push".into(), &"base/busybox:latest".into())
    );
    assert_eq!(cloud["data"]["target"]["digest"], digest.as_str());
    let tag = format!("http://{}/v2/base/busybox/manifests/latest", site.registry);
    assert_eq!(curl(&["-H", "Accept: */*", &tag]).status, 200);
    assert_eq!(curl(&["-X", "DELETE", &tag]).status, 202);
    assert_eq!(body(&told("/cloud", "delete"))["subject"], "base/busybox:latest");
    assert_eq!(body(&told("/usual", "delete"))["events"][0]["target"]["tag"], "latest");
    assert_eq!(body(&told("/cloud", "pull"))["data"]["target"]["digest"], digest.as_str());
    let usual: Vec<Value> =
        there.asked("POST", "/usual").iter().map(|asked| body(asked)["events"][0].clone()).collect();
    assert!(usual.iter().all(|event| event["action"] != "pull"), "it is asked for");
    assert!(there.asked("POST", "/others").is_empty());
}
