//! A registry that serves what a test says, whatever it is worth.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Documents and blobs by path, each with its media type.
type Content = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

/// A registry with one repository, `x/y`.
pub(crate) struct ScriptedRegistry {
    /// Host and port.
    pub address: String,
    content: Content,
}

impl ScriptedRegistry {
    /// Starts a registry that has nothing.
    pub(crate) fn start() -> ScriptedRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let content = Content::default();
        let serving = content.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let content = serving.clone();
                std::thread::spawn(move || answer(&stream, &content));
            }
        });
        ScriptedRegistry { address, content }
    }

    /// Serves a blob; returns its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> serde_json::Value {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        self.put(&format!("/v2/x/y/blobs/{digest}"), "application/octet-stream", bytes);
        serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Serves a manifest under a tag; returns the image's name.
    pub(crate) fn tag(&self, tag: &str, config: &serde_json::Value, layers: &[serde_json::Value]) -> String {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let annotations = serde_json::json!({ "tag": tag });
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config,
            "layers": layers,
            "annotations": annotations,
        });
        let bytes = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        for selector in [tag, &digest] {
            self.put(&format!("/v2/x/y/manifests/{selector}"), media_type, &bytes);
        }
        format!("{}/x/y:{tag}", self.address)
    }

    fn put(&self, path: &str, media_type: &str, bytes: &[u8]) {
        self.content.lock().unwrap().insert(path.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }
}

/// Answers one request of a connection, which ends then.
fn answer(mut stream: &TcpStream, content: &Content) {
    let mut head = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let Some(request) = head.next() else { return };
    head.for_each(drop);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let found = content.lock().unwrap().get(path).cloned();
    let (status, (media_type, bytes)) = match (path, found) {
        (_, Some(found)) => ("200 OK", found),
        ("/v2/", None) => ("200 OK", Default::default()),
        _ => ("404 Not Found", Default::default()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(&bytes);
    }
}
