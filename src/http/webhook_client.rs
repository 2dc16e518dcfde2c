//! The HTTP client for webhooks and forges: sends once, to addresses that were checked, and follows no redirect.

use reqwest::Method;
use std::pin::Pin;
use std::time::Duration;
use webhook::{Exchange, ForgeAnswer, ForgeRequest, Outgoing, Post, Posted};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a forge's answer that are read: lists of webhooks are the longest.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// The HTTP client for webhooks and forges.
pub(crate) struct WebhookClient {
    client: reqwest::Client,
}

impl WebhookClient {
    /// Sets the client up.
    pub(crate) fn new() -> Result<Self, String> {
        let client = builder().build().map_err(|error| format!("setting up the HTTP client: {error}"))?;
        Ok(WebhookClient { client })
    }
}

impl Post for WebhookClient {
    fn post(&self, request: Outgoing) -> Posted {
        let usual = self.client.clone();
        Box::pin(async move {
            let client = if request.addresses.is_empty() { usual } else { pinned(&request).await? };
            let mut builder = client.post(&request.url);
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            let answer = builder.body(request.body).send().await.map_err(describe)?;
            Ok(answer.status().as_u16())
        })
    }
}

impl Exchange for WebhookClient {
    fn exchange(
        &self,
        request: ForgeRequest,
    ) -> Pin<Box<dyn Future<Output = Result<ForgeAnswer, String>> + Send + 'static>> {
        let client = self.client.clone();
        Box::pin(async move {
            let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
            let mut builder = client.request(method, &request.url);
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(body) = request.body {
                builder = builder.body(body);
            }
            let mut answer = builder.send().await.map_err(describe)?;
            let (status, headers, mut body) = (answer.status().as_u16(), answer.headers().clone(), Vec::new());
            while let Some(part) = answer.chunk().await.map_err(describe)? {
                body.extend_from_slice(&part[..part.len().min(MAX_ANSWER - body.len())]);
                if body.len() == MAX_ANSWER {
                    break;
                }
            }
            Ok(ForgeAnswer { status, headers, body })
        })
    }
}

/// Returns a client that does not look the name up again: by now it could lead inside.
async fn pinned(request: &Outgoing) -> Result<reqwest::Client, String> {
    let (host, addresses) = (host(&request.url), request.addresses.clone());
    // Setting it up reads all certificates: not where deliveries wait to be accepted.
    let made = tokio::task::spawn_blocking(move || builder().no_proxy().resolve_to_addrs(&host, &addresses).build());
    made.await.map_err(|error| format!("setting up the HTTP client: {error}"))?.map_err(describe)
}

fn builder() -> reqwest::ClientBuilder {
    // Another part of the program may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let agent = concat!("slipway/", env!("CARGO_PKG_VERSION"));
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().user_agent(agent).connect_timeout(CONNECT_TIMEOUT).redirect(none)
}

fn host(url: &str) -> String {
    reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Describes a failed request with its root cause, and without the URL, which may be a secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, &error) { error.to_string() } else { format!("{error}: {cause}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with a status line; returns where.
    async fn answering(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(String::from_utf8_lossy(&head[..read]).to_lowercase().contains("user-agent: slipway/"));
            let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    fn request(url: String, addresses: Vec<SocketAddr>) -> Outgoing {
        Outgoing { url, addresses, headers: vec![("x-slipway-event", "failed".to_owned())], body: b"{}".to_vec() }
    }

    #[tokio::test]
    async fn only_the_addresses_that_were_checked_are_connected_to() {
        let address = answering("204 No Content").await;
        let url = format!("http://hooks.invalid:{}/x", address.port());
        let posts = WebhookClient::new().unwrap();
        assert_eq!(posts.post(request(url.clone(), vec![address])).await, Ok(204));
        let problem = posts.post(request(url, Vec::new())).await.unwrap_err();
        assert!(!problem.contains("hooks.invalid") && !problem.is_empty(), "{problem}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let address = answering("307 Temporary Redirect").await;
        assert_eq!(
            WebhookClient::new().unwrap().post(request(format!("http://{address}/x"), Vec::new())).await,
            Ok(307)
        );
    }
}
