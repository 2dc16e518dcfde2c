//! Requests to web servers other than registries; redirects are followed, but only to where the caller may reach.

use crate::shown_url::{refused, without_credentials};
use crate::{Client, Error, Reach};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, LOCATION};
use reqwest::{Method, Response, StatusCode};
use url::Url;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// A request to a web server.
#[derive(Debug, Clone)]
pub struct WebRequest {
    /// Its address, http or https.
    pub url: String,
    /// Addresses that may be connected to.
    pub reach: Reach,
    /// Addresses of other servers that it may redirect to.
    pub elsewhere: Reach,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Further headers that, like a login, are sent to the URL's own host only.
    pub private_headers: Vec<(String, String)>,
    /// The value of the `Authorization` header, sent to the URL's own host only.
    pub authorization: Option<String>,
    /// Body of a POST; without it the request is a GET.
    pub body: Option<Bytes>,
}

/// The answer of a web server.
pub struct WebAnswer {
    response: Response,
    asked: String,
    url: Url,
}

impl Client {
    /// Sends a request once; it is sent again as it is to where the server redirects.
    pub async fn ask(&self, request: &WebRequest) -> Result<WebAnswer, Error> {
        let origin = Url::parse(&request.url).map_err(|_| refused(&request.url, "is not a URL"))?;
        let mut url = origin.clone();
        // The body is not sent again where this status leads to.
        let mut see_other = false;
        for _ in 0..=MAX_REDIRECTS {
            let reach = if is_same_server(&url, &origin) { request.reach } else { request.elsewhere };
            let http = match self.checked.verify(&url, reach)? {
                true => self.transport.http.get(url.scheme(), crate::address::AddressPolicy::Any, None)?,
                false => self.checked.client(self.transport.http.user_agent(), reach)?.clone(),
            };
            let body = request.body.as_ref().filter(|_| !see_other);
            let method = if body.is_some() { Method::POST } else { Method::GET };
            let mut builder = http.request(method, url.clone());
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(authorization) = request.authorization.as_ref().filter(|_| may_be_told(&url, &origin)) {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            for (name, value) in request.private_headers.iter().filter(|_| may_be_told(&url, &origin)) {
                builder = builder.header(name, value);
            }
            if let Some(body) = body {
                builder = builder.body(body.clone());
            }
            let response = builder.send().await.map_err(|cause| failed(&request.url, cause))?;
            let redirected = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            match target.filter(|_| redirected).map(|target| url.join(target)) {
                None => return Ok(WebAnswer { response, asked: without_credentials(&request.url), url }),
                Some(Ok(next)) => {
                    see_other |= response.status() == StatusCode::SEE_OTHER;
                    url = next;
                }
                Some(Err(_)) => return Err(refused(&request.url, "redirects to a malformed address")),
            }
        }
        Err(refused(&request.url, "redirects too often"))
    }
}

/// Tells apart an address that is not connected to from one that does not answer.
fn failed(url: &str, cause: reqwest::Error) -> Error {
    match crate::reach::refusal(&cause) {
        Some(problem) => refused(url, problem),
        None => {
            Error::Transport { registry: without_credentials(url), cause: cause.without_url(), asked: String::new() }
        }
    }
}

/// Returns whether a redirect stays on a server: with the same name, and the same port or that of https.
pub fn is_same_server(url: &Url, origin: &Url) -> bool {
    let same_port = url.port_or_known_default() == origin.port_or_known_default();
    url.host() == origin.host() && (same_port || url.scheme() == "https" && url.port().is_none())
}

/// Returns whether a login for `origin` is sent to `url`: to the same server, and never without encryption that was there.
pub fn may_be_told(url: &Url, origin: &Url) -> bool {
    is_same_server(url, origin) && (url.scheme() == "https" || origin.scheme() == "http")
}

impl WebAnswer {
    /// Returns the address that answered, after all redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns a header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.response.headers().get(name)?.to_str().ok()?.to_owned())
    }

    /// Returns the next bytes of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let asked = &self.asked;
        self.response.chunk().await.map_err(|cause| Error::Transport {
            registry: asked.clone(),
            cause,
            asked: String::new(),
        })
    }
}
