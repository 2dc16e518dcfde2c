//! Answers of registries: bodies of bounded size, and errors of requests without an answer.

use crate::Error;
use crate::address::{AddressPolicy, NOT_ALLOWED, refused};
use crate::error::report;
use crate::http::READ_TIMEOUT;
use crate::pace::{MinimumRate, Pace};
use reqwest::Response;
use std::time::Duration;

/// Largest error body that is read.
pub(crate) const MAX_ERROR: usize = 64 * 1024;

/// Waits for an answer of a registry, or the next part of one, for `limit`.
pub(crate) async fn in_time<T>(registry: &str, limit: Duration, answer: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(limit, answer).await.map_err(|_| Error::broken(registry, "it did not answer in time"))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn bounded(
    mut response: Response,
    limit: usize,
    registry: &str,
    minimum: MinimumRate,
) -> Result<Vec<u8>, Error> {
    let mut pace = Pace::new(minimum, registry);
    let mut body = Vec::new();
    loop {
        let chunk = in_time(registry, READ_TIMEOUT, response.chunk())
            .await?
            .map_err(|cause| unreachable(registry, AddressPolicy::Any, cause))?;
        let Some(chunk) = chunk else { return Ok(body) };
        pace.passed(chunk.len())?;
        if body.len() + chunk.len() > limit {
            return Err(Error::document(registry, format!("it is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Returns the error of a request that got no answer, and says so where both speak differently (US-26).
///
/// Addresses stay out of it: they may hold a login or a signature (SEC-m8).
pub(crate) fn unreachable(registry: &str, policy: AddressPolicy, cause: reqwest::Error) -> Error {
    let told = report(&cause);
    if told.contains(NOT_ALLOWED) {
        return refused(registry, policy);
    }
    let is_plain = cause.url().is_some_and(|url| url.scheme() == "http");
    let speech = |problem: String| Error::Speech { registry: registry.to_owned(), problem, asked: String::new() };
    let setting = format!("`registries.\"{registry}\"");
    if told.contains("InvalidContentType") || told.contains("record overflow") {
        return speech(format!(
            "was spoken to with TLS and does not answer with it: {setting}.plain_http = true` if it speaks plain HTTP"
        ));
    }
    if is_plain && told.contains("invalid HTTP version") {
        return speech(not_plain(registry));
    }
    if told.contains("invalid peer certificate") {
        let why = told.rsplit("invalid peer certificate: ").next().unwrap_or_default();
        return speech(format!(
            "shows a certificate that is not trusted ({why}): {setting}.ca_file` names the one that vouches for it"
        ));
    }
    Error::Transport { registry: registry.to_owned(), cause: cause.without_url(), asked: String::new() }
}

/// Says that a registry does not speak plain HTTP.
pub(crate) fn not_plain(registry: &str) -> String {
    format!("was spoken to in plain HTTP and speaks TLS: `registries.\"{registry}\".plain_http = false`")
}
