//! Errors in the form that the distribution specification asks for.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is refused.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    /// Returns a failure with one of the specification's codes.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into() }
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

    /// The digest is none, or not that of the bytes.
    pub fn digest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    /// The name is none.
    pub fn name_invalid(name: &str) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("`{name}` is no repository name"))
    }

    /// The manifest is malformed.
    pub fn manifest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    /// There is no such operation.
    pub fn unsupported() -> Self {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is not supported")
    }

    /// Nobody is logged in.
    pub fn unauthorized() -> Self {
        Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
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
                Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "the store is unavailable")
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "the store is unavailable")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"errors": [{"code": self.code, "message": self.message, "detail": null}]});
        let mut response = (self.status, axum::Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"slipway\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
