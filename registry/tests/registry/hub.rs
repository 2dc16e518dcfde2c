//! A registry of its own for each test, asked without a network.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request};
use image_store::Store;
use registry::{Access, Settings};
use registry_client::{Digest, media_type};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tower::Service;

pub(crate) struct Hub {
    directory: Option<tempfile::TempDir>,
    pub store: Store,
    pub router: Router,
}

pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub::with(Settings::new(Access::Open))
    }

    pub(crate) fn with(settings: Settings) -> Hub {
        let directory = tempfile::tempdir().unwrap();
        let hub = Hub::at(directory.path(), settings);
        Hub { directory: Some(directory), ..hub }
    }

    /// Returns a registry over a store that stays.
    pub(crate) fn at(directory: &std::path::Path, settings: Settings) -> Hub {
        let store = Store::open(directory).unwrap();
        let router = registry::router(store.clone(), settings);
        Hub { directory: None, store, router }
    }

    /// Returns the directory of the store.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.as_ref().unwrap().path()
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask_at(method, &format!("/v2/{path}"), headers, Body::from(body.to_vec())).await
    }

    /// Asks for a whole path, as a `Location` has it.
    pub(crate) async fn ask_at(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer: SocketAddr = ([10, 0, 0, 1], 1234).into();
        let request = request.extension(ConnectInfo(peer)).body(body).unwrap();
        let answer = self.router.clone().call(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, body: axum::body::to_bytes(answer.into_body(), 16 << 20).await.unwrap().to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], b"").await
    }

    pub(crate) async fn status(&self, method: Method, path: &str) -> u16 {
        self.ask(method, path, &[], b"").await.status
    }

    pub(crate) async fn upload(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(self.ask(Method::POST, &path, &[], bytes).await.status, 201);
        digest
    }

    /// Puts a document as it is, under a tag or, if the reference is empty, its digest.
    pub(crate) async fn put(&self, repository: &str, reference: &str, document: &Value) -> Answer {
        let bytes = serde_json::to_vec(document).unwrap();
        let digest = Digest::of(&bytes);
        let reference = if reference.is_empty() { digest.as_str() } else { reference };
        let kind = document["mediaType"].as_str().unwrap_or(media_type::OCI_MANIFEST);
        let path = format!("{repository}/manifests/{reference}");
        self.ask(Method::PUT, &path, &[("content-type", kind)], &bytes).await
    }
}

/// Returns a manifest with the configuration `{}` and these layers.
pub(crate) fn manifest(layers: &[&[u8]]) -> Value {
    let layers: Vec<Value> = layers.iter().map(|layer| descriptor(media_type::OCI_LAYER, layer)).collect();
    json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, b"{}"), "layers": layers,
    })
}

/// Returns an index of documents.
pub(crate) fn index(documents: &[&Value]) -> Value {
    let manifests: Vec<Value> = documents.iter().map(|document| named(document)).collect();
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests})
}

/// Returns the descriptor of a document.
pub(crate) fn named(document: &Value) -> Value {
    descriptor(document["mediaType"].as_str().unwrap(), &serde_json::to_vec(document).unwrap())
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
}

pub(crate) fn digest_of(document: &Value) -> Digest {
    Digest::of(&serde_json::to_vec(document).unwrap())
}
