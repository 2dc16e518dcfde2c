//! Requests to providers in which people's logins go: bounded in time, and answers that show no secret.

use crate::configuration::sign_in::Provider;
use crate::forges::{Exchange, ForgeAnswer, ForgeRequest};
use crate::view::text::plain;
use serde_json::Value;
use std::time::Duration;

/// How long an answer may take: a person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest text of a provider that is shown.
const MAX_TEXT: usize = 300;

/// Asks for a document with somebody's token.
pub(super) async fn get(exchange: &dyn Exchange, url: String, token: Option<&str>) -> Result<ForgeAnswer, String> {
    let mut headers = vec![("accept", "application/json".to_owned())];
    headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
    send(exchange, ForgeRequest { method: "GET", url, headers, body: None }).await
}

/// Sends a form.
pub(super) async fn post_form(
    exchange: &dyn Exchange,
    url: String,
    fields: &[(&str, &str)],
) -> Result<ForgeAnswer, String> {
    let headers = vec![
        ("accept", "application/json".to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    send(exchange, ForgeRequest { method: "POST", url, headers, body: Some(body.into_bytes()) }).await
}

async fn send(exchange: &dyn Exchange, request: ForgeRequest) -> Result<ForgeAnswer, String> {
    let answer = tokio::time::timeout(TIMEOUT, exchange.exchange(request)).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs())))
}

/// Returns what a provider says of a refusal, in one line without the secrets that were sent.
pub(super) fn words(provider: &Provider, answer: &ForgeAnswer, secrets: &[&str]) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let said = text("error_description").or_else(|| text("message")).or_else(|| text("error"));
    let said = said.map_or_else(|| format!("HTTP status {}", answer.status), str::to_owned);
    let said = provider.mask(&plain(database::redact(&said).as_bytes()));
    let hidden = secrets.iter().filter(|secret| !secret.is_empty());
    let said = hidden.fold(said, |said, secret| said.replace(secret, "***"));
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_TEXT).collect()
}
