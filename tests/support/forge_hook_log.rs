//! The deliveries that the local forges tell of and send again, as their APIs have it: other paths and queries are refused.

use axum::http::Method;
use serde_json::{Value, json};
use std::sync::Mutex;

/// Entries of a page of GitHub's: the others are behind a link.
const PAGE: usize = 2;

/// A delivery that a forge sent.
#[derive(Debug, Clone)]
struct Sent {
    id: u64,
    delivery: String,
    status: u16,
    repository: u64,
}

/// The deliveries of a forge.
pub(crate) struct ForgeHookLog {
    kind: &'static str,
    sent: Mutex<Vec<Sent>>,
    again: Mutex<Vec<u64>>,
    link: Mutex<Option<String>>,
    patience: Mutex<usize>,
}

impl ForgeHookLog {
    /// Returns the log of a forge that has sent nothing.
    pub(crate) fn new(kind: &'static str) -> ForgeHookLog {
        let (sent, again, link) = (Mutex::default(), Mutex::default(), Mutex::default());
        ForgeHookLog { kind, sent, again, link, patience: Mutex::new(usize::MAX) }
    }

    /// Adds an attempt at a delivery of a repository, and how it was answered: 0 for not at all.
    pub(crate) fn add(&self, delivery: &str, status: u16, repository: u64) {
        let mut sent = self.sent.lock().unwrap();
        let id = 100 + sent.len() as u64;
        sent.push(Sent { id, delivery: delivery.to_owned(), status, repository });
    }

    /// Returns the ids of the attempts that were sent again, in order.
    pub(crate) fn again(&self) -> Vec<u64> {
        self.again.lock().unwrap().clone()
    }

    /// Says how many it sends again before it is too much.
    pub(crate) fn set_patience(&self, times: usize) {
        *self.patience.lock().unwrap() = times;
    }

    /// Returns the link of the last answer.
    pub(crate) fn link(&self) -> Option<String> {
        self.link.lock().unwrap().take()
    }

    /// Answers a request below the path of a webhook; `None` if the forge has nothing there.
    pub(crate) fn take(&self, method: &Method, query: Option<&str>, rest: &str) -> Option<(u16, Value)> {
        let query = query.unwrap_or_default();
        match (self.kind, method.as_str(), rest) {
            ("github", "GET", "deliveries") => self.github(query),
            ("gitlab", "GET", "events") => self.gitlab(query),
            ("bitbucket-datacenter", "GET", "latest") => self.latest(query.strip_prefix("outcome=")?),
            ("github", "POST", _) => self.repeat(rest.strip_prefix("deliveries/")?.strip_suffix("/attempts")?, 202),
            ("gitlab", "POST", _) => self.repeat(rest.strip_prefix("events/")?.strip_suffix("/resend")?, 201),
            _ => None,
        }
    }

    fn github(&self, query: &str) -> Option<(u16, Value)> {
        let rest = query.strip_prefix("per_page=100")?;
        let from: usize = if rest.is_empty() { 0 } else { rest.strip_prefix("&cursor=v1_")?.parse().ok()? };
        let sent = self.sent.lock().unwrap();
        let all: Vec<Value> = sent.iter().rev().skip(from).take(PAGE).map(of_github).collect();
        if from + PAGE < sent.len() {
            let next =
                format!("<https://elsewhere.example.com/x?per_page=100&cursor=v1_{}>; rel=\"next\"", from + PAGE);
            *self.link.lock().unwrap() = Some(next);
        }
        Some((200, all.into()))
    }

    fn gitlab(&self, query: &str) -> Option<(u16, Value)> {
        let page: usize = query.strip_prefix("per_page=20&page=")?.parse().ok().filter(|page| *page > 0)?;
        let sent = self.sent.lock().unwrap();
        let event = |sent: &Sent| {
            let status = if sent.status == 0 { "internal error".to_owned() } else { sent.status.to_string() };
            json!({
                "id": sent.id, "url": "http://x", "trigger": "push_hooks", "response_status": status, "execution_duration": 1.1,
                "request_headers": { "X-Gitlab-Event": "Push Hook", "Idempotency-Key": sent.delivery, "X-Gitlab-Token": "[REDACTED]" },
                "request_data": {}, "response_headers": {}, "response_body": "",
            })
        };
        let all: Vec<Value> = sent.iter().rev().skip((page - 1) * 20).take(20).map(event).collect();
        Some((200, all.into()))
    }

    fn latest(&self, outcome: &str) -> Option<(u16, Value)> {
        if !["SUCCESS", "FAILURE", "ERROR"].contains(&outcome) {
            return Some((400, json!({ "errors": [{ "message": "no such outcome" }] })));
        }
        let of = |status: u16| match status {
            0 => "ERROR",
            200..300 => "SUCCESS",
            _ => "FAILURE",
        };
        let sent = self.sent.lock().unwrap();
        let Some(last) = sent.iter().rfind(|sent| of(sent.status) == outcome) else { return Some((204, Value::Null)) };
        let finish = 1_513_106_111_000 + last.id;
        Some((
            200,
            json!({
                "id": last.id, "event": "repo:refs_changed", "duration": 100, "start": finish - 100, "finish": finish,
                "request": { "url": "http://x", "method": "POST" },
                "result": { "description": last.status.to_string(), "outcome": outcome },
            }),
        ))
    }

    fn repeat(&self, id: &str, status: u16) -> Option<(u16, Value)> {
        let id: u64 = id.parse().ok()?;
        let mut sent = self.sent.lock().unwrap();
        let known = sent.iter().find(|sent| sent.id == id)?.clone();
        let mut again = self.again.lock().unwrap();
        if again.len() >= *self.patience.lock().unwrap() {
            return Some((
                429,
                json!({ "message": "This endpoint has been requested too many times. Try again later." }),
            ));
        }
        again.push(id);
        let next = 100 + sent.len() as u64;
        sent.push(Sent { id: next, status: 200, ..known });
        Some((status, if self.kind == "gitlab" { json!({ "response_status": 200 }) } else { json!({}) }))
    }
}

fn of_github(sent: &Sent) -> Value {
    let word = match sent.status {
        0 => "failed to connect to host",
        200..300 => "OK",
        _ => "Invalid HTTP Response",
    };
    json!({
        "id": sent.id, "guid": sent.delivery, "delivered_at": "2026-07-12T20:39:19Z", "redelivery": false, "duration": 0.1,
        "status": word, "status_code": sent.status, "event": "push", "action": null, "installation_id": 99,
        "repository_id": sent.repository,
    })
}
