//! Requests to the APIs of forges: with the forge's token, to its API alone, and its answers in its own words.

use super::github::{AppTokens, GithubClient};
use crate::configuration::forges::{ForgeKind, ForgeSettings};
use crate::view::text::plain;
use axum::http::HeaderMap;
use database::StatusAnswer;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer of a forge that is kept.
const MAX_PROBLEM: usize = 500;
/// Longest pause that a forge is believed to want.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// A request to a forge.
#[derive(Debug, Clone)]
pub struct ForgeRequest {
    /// The method.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body, if it has one.
    pub body: Option<Vec<u8>>,
}

/// An answer of a forge.
#[derive(Debug, Clone)]
pub struct ForgeAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Sends requests to forges. It must not follow redirects: they could lead a token elsewhere.
pub trait Exchange: Send + Sync + 'static {
    /// Sends a request once.
    fn exchange(&self, request: ForgeRequest) -> BoxFuture<'static, Result<ForgeAnswer, String>>;
}

/// The clients for all forges.
#[derive(Clone)]
pub(crate) struct Exchanges {
    github: GithubClient,
    others: Arc<dyn Exchange>,
    pub(super) tokens: Arc<AppTokens>,
}

impl Exchanges {
    /// Returns the clients; `others` is the one for forges that are not GitHub.
    pub(crate) fn new(others: Arc<dyn Exchange>) -> Exchanges {
        Exchanges { github: GithubClient::default(), others, tokens: Arc::default() }
    }

    /// Returns the client for people's sign-ins and their rights.
    pub(crate) fn for_people(&self) -> &dyn Exchange {
        self.others.as_ref()
    }

    /// Returns a client for a forge, with its token.
    pub(crate) fn client<'f>(&'f self, forge: &'f ForgeSettings) -> ForgeClient<'f> {
        let others = self.others.as_ref();
        let exchange: &dyn Exchange = if forge.kind == ForgeKind::Github { &self.github } else { others };
        ForgeClient { forge, exchange, login: None }
    }
}

/// A call of an API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The method.
    pub method: &'static str,
    /// Path below the URL of the API.
    pub path: String,
    /// The document that is sent, if one is.
    pub body: Option<Value>,
}

impl Call {
    /// Returns a call that reads something.
    pub(crate) fn get(path: String) -> Call {
        Call { method: "GET", path, body: None }
    }

    /// Returns a call that sends something.
    pub(crate) fn send(method: &'static str, path: String, body: Value) -> Call {
        Call { method, path, body: Some(body) }
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The same call would get the same answer.
    Refused(String),
    /// It may succeed later.
    Again(String),
    /// The forge answers nobody now, or not us: other calls need not be tried before the time that it gave.
    Unavailable(String, Option<Duration>),
}

impl CallError {
    /// Returns what the forge said.
    pub(crate) fn problem(&self) -> &str {
        let (CallError::Refused(problem) | CallError::Again(problem) | CallError::Unavailable(problem, _)) = self;
        problem
    }
}

impl CallError {
    /// Returns the error with what was being done before the forge's words.
    pub(crate) fn with(self, doing: &str) -> CallError {
        let said = |problem: String| format!("{doing}: {problem}");
        match self {
            CallError::Refused(problem) => CallError::Refused(said(problem)),
            CallError::Again(problem) => CallError::Again(said(problem)),
            CallError::Unavailable(problem, wait) => CallError::Unavailable(said(problem), wait),
        }
    }

    /// Returns what the outbox takes note of.
    pub(crate) fn answer(&self) -> StatusAnswer {
        match self {
            CallError::Refused(problem) => StatusAnswer::Refused(problem.clone()),
            CallError::Unavailable(problem, Some(wait)) => StatusAnswer::After {
                problem: problem.clone(),
                wait_ms: wait.as_millis().try_into().unwrap_or(i64::MAX),
            },
            CallError::Again(problem) | CallError::Unavailable(problem, None) => StatusAnswer::Again(problem.clone()),
        }
    }
}

/// A forge, and what it is reached with.
pub(crate) struct ForgeClient<'f> {
    /// The forge.
    pub forge: &'f ForgeSettings,
    /// The HTTP client.
    pub exchange: &'f dyn Exchange,
    /// The token of an App, in place of the forge's own.
    pub login: Option<String>,
}

impl ForgeClient<'_> {
    /// Calls the API once.
    pub(crate) async fn call(&self, call: Call) -> Result<Vec<u8>, CallError> {
        self.answer(call).await.map(|answer| answer.body)
    }

    /// Calls the API once, and returns the answer with its headers.
    pub(crate) async fn answer(&self, call: Call) -> Result<ForgeAnswer, CallError> {
        let mut headers = vec![("accept", "application/json".to_owned())];
        match &self.login {
            Some(token) => headers.push(("authorization", format!("Bearer {token}"))),
            None => headers.extend(self.forge.authorization()),
        }
        if call.body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let url = format!("{}{}", self.forge.api, call.path);
        let body = call.body.map(|body| body.to_string().into_bytes());
        let request = ForgeRequest { method: call.method, url, headers, body };
        let answer = tokio::time::timeout(TIMEOUT, self.exchange.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs())));
        let answer = answer.map_err(|problem| CallError::Unavailable(self.shown(&problem), None))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        Err(self.refusal(&answer))
    }

    fn refusal(&self, answer: &ForgeAnswer) -> CallError {
        let problem = self.shown(&format!("HTTP {}: {}", answer.status, words(answer)));
        let wait = wait(&answer.headers, OffsetDateTime::now_utc());
        match answer.status {
            429 | 502..=504 => CallError::Unavailable(problem, wait),
            // GitHub's limits are a refusal with a time.
            403 if wait.is_some() || problem.to_lowercase().contains("rate limit") => {
                CallError::Unavailable(problem, wait)
            }
            // GitLab's answer while another status of the commit is written.
            408 | 409 | 500.. => CallError::Again(problem),
            _ => CallError::Refused(problem),
        }
    }

    /// Returns a text of a forge as it may be shown: one line, without anything secret.
    fn shown(&self, text: &str) -> String {
        let text = self.forge.mask(&plain(database::redact(text).as_bytes()));
        let text = self.login.as_ref().map_or_else(|| text.clone(), |token| text.replace(token.as_str(), "***"));
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(MAX_PROBLEM).collect()
    }
}

/// Returns how long a forge wants not to be asked: `Retry-After`, or the end of a limit that is used up.
fn wait(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let moment = || {
        let text = headers.get("retry-after")?.to_str().ok()?;
        Some((OffsetDateTime::parse(text.trim(), &Rfc2822).ok()? - now).whole_seconds())
    };
    let seconds = number("retry-after").or_else(moment).or_else(|| {
        let is_used_up =
            ["x-ratelimit-remaining", "ratelimit-remaining"].into_iter().any(|name| number(name) == Some(0));
        let reset = ["x-ratelimit-reset", "ratelimit-reset"].into_iter().find_map(number).filter(|_| is_used_up)?;
        // Some give the moment, some how long it is until then.
        Some(if reset > 1_000_000_000 { reset - now.unix_timestamp() } else { reset })
    })?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(Duration::from_secs(1), MAX_WAIT))
}

/// Returns a refusal in the forge's own words.
fn words(answer: &ForgeAnswer) -> String {
    if (300..400).contains(&answer.status) {
        return "redirects are not followed: set `url` to where the forge is".to_owned();
    }
    let mut said = Vec::new();
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => collect(&value, None, &mut said),
        Err(_) => {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let is_page = text.trim_start().starts_with('<');
            said.extend(text.lines().map(str::trim).find(|line| !line.is_empty() && !is_page).map(str::to_owned));
        }
    }
    if said.is_empty() { "the forge does not say why".to_owned() } else { said.join("; ") }
}

/// Collects the sentences of an answer, whatever its shape is: GitHub has `message` and `errors`, GitLab an object of lists
/// by field, Bitbucket `error.message` or `errors[].message`.
fn collect(value: &Value, key: Option<&str>, said: &mut Vec<String>) {
    const SAYING: [&str; 6] = ["message", "error", "errors", "error_description", "detail", "fields"];
    const SILENT: [&str; 4] = ["documentation_url", "status", "type", "id"];
    match value {
        Value::String(text) if !text.is_empty() => {
            let text = match key.filter(|key| !SAYING.contains(key) && *key != "code") {
                Some(key) => format!("{key}: {text}"),
                None => text.clone(),
            };
            if said.len() < 8 && !said.contains(&text) {
                said.push(text);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, key, said)),
        Value::Object(object) => {
            let place = |name: &str| SAYING.iter().position(|saying| *saying == name);
            let has_message = object.get("message").is_some_and(Value::is_string);
            let is_told = |name: &str| !(SILENT.contains(&name) || has_message && name == "code");
            let inner = object.iter().filter(|(name, _)| is_told(name) && (key.is_some() || place(name).is_some()));
            let mut inner: Vec<_> = inner.collect();
            inner.sort_by_key(|(name, _)| (place(name).unwrap_or(SAYING.len()), (*name).clone()));
            inner.iter().for_each(|(name, value)| collect(value, Some(name), said));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> ForgeAnswer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        ForgeAnswer { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn refusals_of_every_forge_are_told_in_its_own_words() {
        for (body, expected) in [
            (
                r#"{"message":"Validation Failed","errors":[{"resource":"Status","code":"custom","message":"too many"}],"documentation_url":"https://x"}"#,
                "Validation Failed; too many; resource: Status",
            ),
            (
                r#"{"message":{"name":["is too long (maximum is 255 characters)"]}}"#,
                "name: is too long (maximum is 255 characters)",
            ),
            (r#"{"message":"401 Unauthorized"}"#, "401 Unauthorized"),
            (r#"{"error":"insufficient_scope","error_description":"needs api"}"#, "insufficient_scope; needs api"),
            (
                r#"{"message":"token does not have the scope","url":"https://g/api/swagger"}"#,
                "token does not have the scope",
            ),
            (
                r#"{"type":"error","error":{"message":"Bad request","fields":{"url":["Enter a valid URL."]},"id":"x"}}"#,
                "Bad request; url: Enter a valid URL.",
            ),
            (
                r#"{"errors":[{"context":"key","message":"must not be empty","exceptionName":null}]}"#,
                "must not be empty; context: key",
            ),
            ("<html><p>Bad gateway</p></html>", "the forge does not say why"),
            ("plain words\nmore", "plain words"),
            ("", "the forge does not say why"),
        ] {
            assert_eq!(words(&answer(400, &[], body)), expected, "{body}");
        }
        assert!(words(&answer(302, &[], "")).contains("`url`"));
    }

    #[test]
    fn forges_say_when_they_may_be_asked_again() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        for (headers, seconds) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "99999999")], Some(3600)),
            (vec![("retry-after", "-3")], Some(1)),
            (vec![("retry-after", "Fri, 15 Jan 2027 08:00:09 GMT")], Some(9)),
            (vec![("retry-after", "soon")], None),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000060")], Some(60)),
            (vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "1800000005")], Some(5)),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "12")], Some(12)),
            (vec![("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "1800000060")], None),
            (vec![], None),
        ] {
            let read = wait(&answer(429, &headers, "").headers, now);
            assert_eq!(read, seconds.map(Duration::from_secs), "{headers:?}");
        }
    }
}
