//! Errors as `application/problem+json` (RFC 9457), each with a stable code.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Something that a client is told instead of what it asked for.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    more: Option<Box<More>>,
}

/// What few problems have.
#[derive(Debug, Default)]
struct More {
    hint: Option<String>,
    explain: Vec<String>,
    retry_after: Option<u64>,
}

/// What a problem says to people; a response that is one carries it.
#[derive(Debug, Clone)]
pub struct Told {
    /// What its status is called.
    pub title: &'static str,
    /// What is wrong, and what would be right.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A problem as it is sent.
#[derive(Serialize)]
struct Sent<'p> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'p str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'p str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    explain: &'p [String],
}

impl Problem {
    /// Returns a problem; `detail` says what would be right.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        // What was asked is repeated, and a URL in it may hold a login.
        Problem { status, code, detail: database::redact(&detail).into_owned(), more: None }
    }

    /// Returns a problem with what was sent.
    pub fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.more().hint = Some(hint.into());
        self
    }

    /// Adds a line for each rule.
    pub fn explained(mut self, explain: Vec<String>) -> Self {
        self.more().explain = explain;
        self
    }

    /// Returns the answer to a request without valid credentials.
    pub fn unauthorized() -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a token is needed: Authorization: Bearer <token>")
    }

    /// Returns the answer to who failed too often.
    pub fn too_many(seconds: u64, detail: &str) -> Self {
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        problem.more().retry_after = Some(seconds);
        problem
    }

    /// Returns the answer while nothing can be read or stored.
    pub fn database_unavailable() -> Self {
        let detail = "the database cannot be used now; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", detail)
    }

    /// Returns the answer to a request for a repository that is not there.
    pub fn no_such_repository(name: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "repository_not_found", format!("`{name}` is not built here"))
    }

    /// Returns the answer to a request for a build that is not there.
    pub fn no_such_build() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "build_not_found", "there is no build with this id")
            .hint("old builds are removed: `[retention]` says when")
    }

    /// Says that retention removed something.
    pub fn removed(what: &str) -> String {
        format!("{what} was removed by retention: `[retention]` says how much is kept, and for how long")
    }
}

impl From<crate::configuration::document::ReadError> for Problem {
    fn from(error: crate::configuration::document::ReadError) -> Self {
        let code = if error.is_unknown_key() { "unknown_field" } else { "bad_json" };
        Problem::bad(code, error.to_string())
    }
}

impl From<database::Error> for Problem {
    fn from(error: database::Error) -> Self {
        if matches!(error, database::Error::Conflict) {
            return Problem::new(StatusCode::CONFLICT, "conflict", error.to_string());
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the database cannot be used");
        Problem::database_unavailable()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let more = self.more.unwrap_or_default();
        let title = self.status.canonical_reason().unwrap_or("Error");
        let sent = Sent {
            kind: "about:blank",
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            hint: more.hint.as_deref(),
            explain: &more.explain,
        };
        let body = serde_json::to_vec(&sent).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        response.extensions_mut().insert(Told { title, detail: self.detail, hint: more.hint });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"slipway\", charset=\"UTF-8\""),
            );
        }
        let unavailable = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        if let Some(seconds) = more.retry_after.or(unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT || self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // What is left of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Answers requests for paths that mean nothing.
pub async fn no_such_page() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing under this path")
}

/// Returns the answer to a request with a method that its path does not take; `taken` lists those that it does.
pub fn method_not_allowed(method: &Method, taken: &str) -> Problem {
    let detail = format!("this path does not take {method}: it takes {taken}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
