//! Errors as `application/problem+json` (RFC 9457), each with a stable code.

use crate::view::code::Code;
use crate::view::service::ProblemView;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error that a client gets instead of an answer.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    more: Option<Box<More>>,
}

/// The parts that few problems have.
#[derive(Debug, Default)]
struct More {
    hint: Option<String>,
    explain: Vec<String>,
    retry_after: Option<u64>,
}

/// The text of a problem for people; a response that is a problem carries it as an extension.
#[derive(Debug, Clone)]
pub(crate) struct ProblemText {
    /// Name of the HTTP status.
    pub title: &'static str,
    /// The mistake, and the remedy.
    pub detail: String,
    /// A next step.
    pub hint: Option<String>,
    /// A line for each rule.
    pub explain: Vec<String>,
}

impl Problem {
    /// Returns a problem; `detail` says what would be right.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        // The detail repeats the request, and a URL in it may hold a login.
        Problem { code, detail: database::redact(&detail).into_owned(), more: None }
    }

    /// Returns the stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the mistake, and the remedy.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
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
        Problem::new(Code::Unauthorized, "a token is needed: Authorization: Bearer <token>")
    }

    /// Returns the answer to who failed too often.
    pub fn too_many(seconds: u64, detail: &str) -> Self {
        let mut problem = Problem::new(Code::TooManyRequests, detail);
        problem.more().retry_after = Some(seconds);
        problem
    }

    /// Returns the answer while nothing can be read or stored.
    pub fn database_unavailable() -> Self {
        let detail = "the database cannot be used now; try again";
        Problem::new(Code::DatabaseUnavailable, detail)
    }

    /// Returns the answer to a request for a repository that is not there.
    pub fn no_such_repository(name: &str) -> Self {
        Problem::new(Code::RepositoryNotFound, format!("`{name}` is not built here"))
    }

    /// Returns the answer to a request for a build that is not there.
    pub fn no_such_build() -> Self {
        Problem::new(Code::BuildNotFound, "there is no build with this id")
            .hint("old builds are removed: `[retention]` says when")
    }

    /// Says that retention removed something.
    pub fn removed(what: &str) -> String {
        format!("{what} was removed by retention: `[retention]` says how much is kept, and for how long")
    }
}

impl From<crate::configuration::document::ReadError> for Problem {
    fn from(error: crate::configuration::document::ReadError) -> Self {
        let code = if error.is_unknown_key() { Code::UnknownField } else { Code::BadJson };
        Problem::new(code, error.to_string())
    }
}

impl From<database::Error> for Problem {
    fn from(error: database::Error) -> Self {
        if matches!(error, database::Error::Conflict) {
            return Problem::new(Code::Conflict, error.to_string());
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the database cannot be used");
        Problem::database_unavailable()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let more = self.more.unwrap_or_default();
        let status = self.code.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let sent = ProblemView {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.as_str().to_owned(),
            hint: more.hint.clone(),
            explain: more.explain.clone(),
        };
        let body = serde_json::to_vec(&sent).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(ProblemText {
            title,
            detail: self.detail,
            hint: more.hint,
            explain: more.explain,
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"slipway\", charset=\"UTF-8\""),
            );
        }
        let unavailable = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        if let Some(seconds) = more.retry_after.or(unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Answers requests for paths that mean nothing.
pub(crate) async fn no_such_page() -> Problem {
    Problem::new(Code::NotFound, "there is nothing under this path")
}

/// Returns the answer to a request with a method that its path does not take; `taken` lists those that it does.
pub(crate) fn method_not_allowed(method: &Method, taken: &str) -> Problem {
    let detail = format!("this path does not take {method}: it takes {taken}");
    Problem::new(Code::MethodNotAllowed, detail)
}
