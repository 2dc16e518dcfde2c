//! Errors in the form that the distribution specification asks for.

use crate::rights::Action;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is refused.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Seconds to wait.
    retry_after: Option<u64>,
    /// How to get access.
    challenge: Option<Challenge>,
}

/// The challenge of an answer 401.
#[derive(Debug, Default)]
struct Challenge {
    /// The scope that a token needs.
    scope: Option<String>,
    /// The error code of RFC 6750, if a token was sent.
    error: Option<&'static str>,
}

impl Failure {
    /// Returns a failure with one of the specification's codes.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into(), retry_after: None, challenge: None }
    }

    /// The manifest or tag is not there.
    pub fn manifest_unknown(reference: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("manifest `{reference}` unknown"))
    }

    /// The blob is not there.
    pub fn blob_unknown(digest: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("blob `{digest}` unknown"))
    }

    /// The upload is not there.
    pub fn upload_unknown() -> Self {
        Failure::new(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            "upload unknown: it ended, or the registry was restarted",
        )
    }

    /// The digest is malformed, or not that of the bytes.
    pub fn digest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    /// The name is malformed.
    pub fn name_invalid(name: &str) -> Self {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            format!(
                "`{name}` is not a repository name: lower-case words joined by `/`, `.`, `_` or `-` are, as in team/app"
            ),
        )
    }

    /// The manifest is malformed.
    pub fn manifest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    /// There is no such repository.
    pub fn name_unknown(name: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("repository `{name}` unknown"))
    }

    /// The tag is malformed.
    pub fn tag_invalid(tag: &str) -> Self {
        let shown: String = tag.chars().take(150).collect();
        let rule = "up to 128 letters, digits, `_`, `.` and `-` are, and it begins with none of the last two";
        Failure::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("`{shown}` is not a tag: {rule}"))
    }

    /// The hash function is not known.
    pub fn algorithm_unsupported(algorithm: &str) -> Self {
        Failure::digest_invalid(format!("the digest algorithm `{algorithm}` is not supported: sha256 and sha512 are"))
    }

    /// The upload cannot go on like this.
    pub fn upload_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    /// A length is not that of what was sent.
    pub fn size_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
    }

    /// The manifest is too large.
    pub fn manifest_too_large(limit: usize) -> Self {
        let message = format!("a manifest has at most {limit} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    /// The client has to wait.
    pub fn too_many(message: impl Into<String>, seconds: u64) -> Self {
        let mut failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message);
        failure.retry_after = Some(seconds);
        failure
    }

    /// The store cannot be used.
    pub fn unavailable() -> Self {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "the store is unavailable")
    }

    /// There is no such operation.
    pub fn unsupported() -> Self {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is not supported")
    }

    /// There is nothing at this address.
    pub fn not_found(message: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message)
    }

    /// A form cannot be used.
    pub fn form_invalid(message: &str) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
    }

    /// Nobody is logged in.
    pub fn unauthorized() -> Self {
        Failure::challenge("authentication required", Challenge::default())
    }

    /// Nobody is logged in, and a token needs this scope.
    pub fn unauthorized_for(scope: String) -> Self {
        Failure::challenge("authentication required", Challenge { scope: Some(scope), error: None })
    }

    /// The token is good, and was asked for with another scope.
    pub fn insufficient_scope(scope: String) -> Self {
        let challenge = Challenge { scope: Some(scope), error: Some("insufficient_scope") };
        Failure::challenge("the token is for another scope", challenge)
    }

    /// The token is malformed, has ended or is of an account that is gone.
    pub fn token_invalid() -> Self {
        let challenge = Challenge { scope: None, error: Some("invalid_token") };
        Failure::challenge("the token is not good, or not any more: log in again", challenge)
    }

    /// The account or its password is not known.
    pub fn wrong_password() -> Self {
        Failure::challenge("there is no account with this name and password", Challenge::default())
    }

    /// The account may not do this.
    pub fn denied(account: &str, action: Action, repository: &str) -> Self {
        let message = format!("`{account}` may not {} in `{repository}`", action.as_str());
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    /// The tag never moves.
    pub fn tag_immutable(tag: &str) -> Self {
        let message = format!("the tag `{tag}` is immutable: it neither moves nor is deleted; choose another one");
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    /// The blob or manifest belongs to an immutable tag.
    pub fn pinned(digest: &str, tag: &str) -> Self {
        let message =
            format!("{digest} belongs to the tag `{tag}`, which is immutable: what it leads to is not deleted either");
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    /// The repository has no room.
    pub fn quota_exceeded(repository: &str, bytes: u64) -> Self {
        let message = format!("`{repository}` may hold {bytes} bytes: delete what is not needed, or ask for more");
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    fn challenge(message: &str, challenge: Challenge) -> Self {
        let mut failure = Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
        failure.challenge = Some(challenge);
        failure
    }

    /// Returns the answer; `url` is that of this registry, where tokens are had.
    pub fn answer(self, url: &str) -> Response {
        let challenge = self.challenge.as_ref().map(|challenge| challenge.header(url));
        let mut response = self.into_response();
        if let Some(Ok(challenge)) = challenge.map(|text| HeaderValue::from_str(&text)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Challenge {
    fn header(&self, url: &str) -> String {
        let service = url.split_once("://").map_or(url, |parts| parts.1);
        let mut text = format!("Bearer realm=\"{url}/v2/token\",service=\"{service}\"");
        if let Some(scope) = &self.scope {
            text.push_str(&format!(",scope=\"{scope}\""));
        }
        if let Some(error) = self.error {
            text.push_str(&format!(",error=\"{error}\""));
        }
        text
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the database failed");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "the database is unavailable")
    }
}

impl From<image_store::Error> for Failure {
    fn from(error: image_store::Error) -> Self {
        match error {
            image_store::Error::Missing(digest) => Failure::blob_unknown(digest.as_str()),
            image_store::Error::Mismatch { .. } => Failure::digest_invalid(error.to_string()),
            image_store::Error::Name(name) => Failure::name_invalid(&name),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Failure::unavailable()
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        Failure::unavailable()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"errors": [{"code": self.code, "message": self.message, "detail": null}]});
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
