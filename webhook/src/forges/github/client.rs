//! The client for GitHub: octocrab, whose answers are read as they come, because its errors have no headers.

use crate::forges::client::{Exchange, ForgeAnswer, ForgeRequest};
use axum::body::Body;
use axum::http::Request;
use futures::FutureExt;
use futures::future::BoxFuture;
use octocrab::Octocrab;
use std::error::Error;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Bytes of an answer that are read: lists of webhooks are the longest.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Sends requests to GitHub; follows no redirect and repeats nothing.
#[derive(Default, Clone)]
pub(crate) struct GithubClient {
    /// Set up with the first request: that reads all certificates.
    client: Arc<OnceCell<Octocrab>>,
}

impl GithubClient {
    async fn send(self, request: ForgeRequest) -> Result<ForgeAnswer, String> {
        let client = self.client.get_or_try_init(async || client()).await?;
        let mut sent = Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        let sent = sent.body(request.body.unwrap_or_default()).map_err(|error| cause(&error))?;
        let answer = client.execute(sent).await.map_err(|error| cause(&error))?;
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(Body::new(body), MAX_ANSWER).await.map_err(|error| cause(&error))?;
        Ok(ForgeAnswer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() })
    }
}

impl Exchange for GithubClient {
    fn exchange(&self, request: ForgeRequest) -> BoxFuture<'static, Result<ForgeAnswer, String>> {
        self.clone().send(request).boxed()
    }
}

fn client() -> Result<Octocrab, String> {
    // Another crate may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Octocrab::builder().build().map_err(|error| format!("setting up the client for GitHub: {}", cause(&error)))
}

/// Returns the root cause of an error.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
