//! Images as registries of the real world have them, and how registries speak and lead on: each case by its id.
#![allow(missing_docs, clippy::unwrap_used)]

mod server;

use registry_client::{
    Client, Credentials, Digest, Error, Fault, HostSettings, Platform, Reference, Settings, media_type,
};
use serde_json::{Value, json};
use server::help::{blob, client, push, reference, settings};
use server::{Answer, Server};
use std::collections::HashMap;

const CONFIG: &[u8] =
    br#"{"architecture":"amd64","os":"linux","config":null,"history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;

/// Serves documents by their digests, and the first one under the tag.
fn documents(all: Vec<Vec<u8>>) -> Server {
    Server::start(move |asked| {
        let wanted = asked.path.rsplit('/').next().unwrap_or_default();
        let found = all.iter().find(|bytes| wanted == "1" || Digest::of(bytes).as_str() == wanted);
        let Some(bytes) = found else { return Answer::new(404) };
        let kind =
            serde_json::from_slice::<Value>(bytes).ok().and_then(|text| text["mediaType"].as_str().map(str::to_owned));
        Answer::new(200).header("Content-Type", kind.unwrap_or(media_type::OCI_MANIFEST.into())).body(bytes.clone())
    })
}

fn entry(kind: &str, bytes: &[u8], platform: Value) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes).as_str(), "size": bytes.len(), "platform": platform, "annotations": null})
}

fn manifest(kind: Value) -> Vec<u8> {
    let config = json!({"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(CONFIG).as_str(), "size": CONFIG.len(), "annotations": null});
    json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": null, "annotations": null, "manifests": null})
        .to_string()
        .into_bytes()
}

fn index(entries: Vec<Value>) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries, "annotations": null, "layers": null})
        .to_string()
        .into_bytes()
}

async fn find(server: &Server) -> Result<Digest, Error> {
    let platform: Platform = "linux/amd64".parse().unwrap();
    client(Credentials::None).resolve(&reference(server), &platform, &|_| None).await.map(|found| found.digest)
}

// CQ-11
#[tokio::test]
async fn sv_08_null_is_read_as_nothing() {
    for kind in [json!(media_type::OCI_MANIFEST), Value::Null, json!("")] {
        let manifest = manifest(kind);
        let server = documents(vec![manifest.clone(), CONFIG.to_vec()]);
        assert_eq!(find(&server).await.unwrap(), Digest::of(&manifest));
    }
}

#[tokio::test]
async fn en_47_an_index_in_an_index_is_followed() {
    let inner = manifest(json!(media_type::OCI_MANIFEST));
    let (amd64, arm64) =
        (json!({"os": "linux", "architecture": "amd64"}), json!({"os": "linux", "architecture": "arm64"}));
    let of = |bytes: &[u8], platform: Value| index(vec![entry(media_type::OCI_MANIFEST, bytes, platform)]);
    let (fits, other) = (of(&inner, amd64.clone()), of(b"arm", arm64.clone()));
    for platform in [amd64.clone(), Value::Null, json!({"os": null, "architecture": null})] {
        let outer = index(vec![
            entry(media_type::OCI_INDEX, &other, if platform.is_null() { Value::Null } else { arm64.clone() }),
            entry(media_type::OCI_INDEX, &fits, platform.clone()),
        ]);
        let server = documents(vec![outer, fits.clone(), other.clone(), inner.clone(), CONFIG.to_vec()]);
        assert_eq!(find(&server).await.unwrap(), Digest::of(&inner), "{platform}");
    }
    let nest = |deep: usize| {
        (0..deep)
            .fold((fits.clone(), vec![fits.clone()]), |(innermost, mut all), _| {
                let outer = index(vec![entry(media_type::OCI_INDEX, &innermost, Value::Null)]);
                all.insert(0, outer.clone());
                (outer, all)
            })
            .1
    };
    let with = |mut all: Vec<Vec<u8>>| {
        all.extend([inner.clone(), CONFIG.to_vec()]);
        documents(all)
    };
    assert!(find(&with(nest(3))).await.is_ok());
    let error = find(&with(nest(6))).await.unwrap_err().to_string();
    assert!(error.contains("deep"), "{error}");
    let missing = with(vec![index(vec![entry(media_type::OCI_INDEX, &other, Value::Null)]), other]);
    assert!(matches!(find(&missing).await, Err(Error::NoPlatform(_))));
}

#[tokio::test]
async fn us_25_a_missing_tag_is_the_author_s_fault_at_once() {
    let missing = Server::start(|_| {
        Answer::new(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
    });
    let error = find(&missing).await.unwrap_err();
    assert_eq!((error.fault(), missing.asked("GET", "/v2/team").len()), (Fault::User, 1));
    assert!(error.to_string().contains("not found") && error.to_string().contains("manifest unknown"), "{error}");
}

/// Starts a server that answers whatever comes as servers of plain HTTP do.
fn plain_http() -> (Reference, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 512];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (Reference::parse(&format!("{host}/team/app:1")).unwrap(), host)
}

// CQ-18
#[tokio::test]
async fn us_26_who_speaks_otherwise_is_told_what_was_spoken() {
    let (plain, host) = plain_http();
    let hosts = |settings| HashMap::from([(host.clone(), settings)]);
    let secure = HostSettings { plain_http: Some(false), ..HostSettings::default() };
    let client = Client::new(Settings { hosts: hosts(secure), ..settings(Credentials::None) }).unwrap();
    let error = client.has_blob(&plain, &Digest::of(b"x")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("with TLS") && text.contains(&format!("`registries.\"{host}\".plain_http = true`")),
        "{text}"
    );
    assert_eq!(error.fault(), Fault::User);
    for said in [
        "Client sent an HTTP request to an HTTPS server.\n",
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title>",
    ] {
        let tls = Server::start(move |_| Answer::new(400).body(said));
        let error = self::client(Credentials::None).pull_blob(&reference(&tls), &blob(b"x"), &mut Vec::new()).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("plain HTTP") && text.contains("plain_http = false"), "{text}");
    }
}

#[tokio::test]
async fn sec_m2_strangers_builds_are_told_the_same_of_every_port() {
    use registry_client::{Reach, Rights};
    let open = Server::start(|_| Answer::new(200));
    let strangers = client(Credentials::None).with_rights(Rights { reach: Reach::PublicOnly, ..Rights::default() });
    let platform = Platform::host();
    let mut texts = Vec::new();
    for host in [
        open.address.to_string(),
        "127.0.0.1:1".into(),
        format!("localhost:{}", open.address.port()),
        "10.0.0.9:80".into(),
        "0x7f.1:80".into(),
        "169.254.169.254".into(),
    ] {
        let reference = Reference::parse(&format!("{host}/x:1")).unwrap();
        let error = strangers.resolve(&reference, &platform, &|_| None).await.unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        texts.push(error.to_string().replace(&host, "HOST"));
    }
    texts.dedup();
    assert!(texts.len() == 1 && texts[0].contains("not allowed"), "{texts:?}");
    assert_eq!(open.count(), 0);
    let anybody = client(Credentials::None);
    let link_local = Reference::parse("169.254.169.254/x:1").unwrap();
    assert!(
        anybody
            .resolve(&link_local, &platform, &|_| None)
            .await
            .unwrap_err()
            .to_string()
            .contains("never connected to")
    );
}

#[tokio::test]
async fn sec_m2_no_registry_leads_to_metadata_services() {
    let metadata = "http://169.254.169.254/latest";
    let realm =
        Server::start(move |_| Answer::new(401).header("WWW-Authenticate", format!("Bearer realm=\"{metadata}\"")));
    let redirect = Server::start(move |_| Answer::new(307).header("Location", metadata));
    let upload = Server::start(move |asked| match asked.method.as_str() {
        "POST" => Answer::new(202).header("Location", metadata),
        _ => Answer::new(404),
    });
    for server in [&realm, &redirect, &upload] {
        let error = push(&client(Credentials::None), server).await.unwrap_err().to_string();
        assert!(error.contains("not allowed"), "{error}");
    }
}
