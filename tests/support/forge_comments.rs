//! The comments of a local forge: paths, methods and bodies as the documentation of each forge has them, all else is refused.

use super::forge_server::REPOSITORY;
use axum::http::{Method, Uri};
use serde_json::{Value, json};
use std::sync::Mutex;

/// The id of the repository that the servers know: a number, but for Bitbucket's cloud.
pub(crate) const REPOSITORY_ID: (&str, &str) = ("4711", "{a1b2}");
/// Longest text that Bitbucket takes, and the others.
const MAX_TEXT: [usize; 2] = [32_768, 65_536];

/// The comments on pull requests that a forge has.
pub(crate) struct ForgeComments {
    kind: &'static str,
    /// Number of the pull request, version, and text; removed ones are empty.
    known: Mutex<Vec<(u64, u64, String)>>,
    /// Answers that get lost: what is asked is done, and not answered.
    pub(crate) lost: Mutex<u32>,
}

/// An answer: HTTP status and document.
type Answered = (u16, Value);

impl ForgeComments {
    /// Starts without any.
    pub(crate) fn new(kind: &'static str) -> ForgeComments {
        ForgeComments { kind, known: Mutex::default(), lost: Mutex::default() }
    }

    /// Returns the texts on a pull request.
    pub(crate) fn of(&self, number: u64) -> Vec<String> {
        let known = self.known.lock().unwrap();
        known.iter().filter(|one| one.0 == number && !one.2.is_empty()).map(|one| one.2.clone()).collect()
    }

    /// Removes all, as somebody does who does not want them.
    pub(crate) fn remove(&self) {
        self.known.lock().unwrap().iter_mut().for_each(|one| one.2.clear());
    }

    /// Answers a request that is about comments; `None` for others.
    pub(crate) fn take(&self, method: &Method, uri: &Uri, body: &Value) -> Option<Answered> {
        let (owner, name) = REPOSITORY;
        let (base, below) = match self.kind {
            "github" => (format!("/api/v3/repos/{owner}/{name}/issues/"), "comments"),
            "gitlab" => (format!("/api/v4/projects/{owner}%2F{name}/merge_requests/"), "notes"),
            "bitbucket" => (format!("/2.0/repositories/{owner}/{name}/pullrequests/"), "comments"),
            "bitbucket-datacenter" => {
                (format!("/rest/api/latest/projects/{owner}/repos/{name}/pull-requests/"), "comments")
            }
            _ => (format!("/api/v1/repos/{owner}/{name}/issues/"), "comments"),
        };
        let rest: Vec<&str> = uri.path().strip_prefix(base.as_str())?.split('/').collect();
        let answered = match rest.as_slice() {
            [number, "activities"] if self.kind == "bitbucket-datacenter" && method == Method::GET => {
                self.list(number.parse().ok()?, uri.query())
            }
            [number, what] if *what == below && number.parse::<u64>().is_ok() => match *method {
                Method::GET if self.kind != "bitbucket-datacenter" => self.list(number.parse().ok()?, uri.query()),
                Method::POST => self.post(number.parse().ok()?, body),
                _ => (405, Value::Null),
            },
            // GitHub, Gitea and Forgejo know a comment by its id alone.
            ["comments", id] if self.is_flat() => self.one(method, id, None, body),
            [number, what, id] if *what == below && !self.is_flat() => {
                self.one(method, id, Some(number.parse().ok()?), body)
            }
            _ => return None,
        };
        let mut lost = self.lost.lock().unwrap();
        if *lost > 0 && *method != Method::GET {
            *lost -= 1;
            return Some((502, json!({ "message": "the answer was lost" })));
        }
        Some(answered)
    }

    fn is_flat(&self) -> bool {
        matches!(self.kind, "github" | "gitea" | "forgejo")
    }

    /// Returns the text of a body that has all it must and nothing else.
    fn text(&self, body: &Value, has_version: bool) -> Option<String> {
        let (keys, text) = match self.kind {
            "bitbucket" => (vec!["content"], &body["content"]["raw"]),
            "bitbucket-datacenter" if has_version => (vec!["text", "version"], &body["text"]),
            "bitbucket-datacenter" => (vec!["text"], &body["text"]),
            _ => (vec!["body"], &body["body"]),
        };
        let object = body.as_object().filter(|object| object.keys().all(|key| keys.contains(&key.as_str())));
        object.filter(|object| object.len() == keys.len())?;
        let max = MAX_TEXT[usize::from(!self.kind.starts_with("bitbucket"))];
        text.as_str().filter(|text| !text.trim().is_empty() && text.len() <= max).map(str::to_owned)
    }

    fn shown(&self, id: usize, version: u64, text: &str) -> Value {
        match self.kind {
            "bitbucket" => json!({ "id": id, "content": { "raw": text } }),
            "bitbucket-datacenter" => json!({ "id": id, "version": version, "text": text }),
            _ => json!({ "id": id, "body": text }),
        }
    }

    fn list(&self, number: u64, query: Option<&str>) -> Answered {
        let expected = match self.kind {
            "github" => Some("per_page=100"),
            "gitlab" => Some("sort=desc&order_by=created_at&per_page=100"),
            "bitbucket" => Some("sort=-created_on&pagelen=100"),
            "bitbucket-datacenter" => Some("limit=100"),
            _ => None,
        };
        if query != expected {
            return (400, json!({ "message": "an unknown query" }));
        }
        let known = self.known.lock().unwrap();
        let there = known.iter().enumerate().filter(|(_, one)| one.0 == number && !one.2.is_empty());
        let shown: Vec<Value> = there.map(|(at, one)| self.shown(at + 1, one.1, &one.2)).collect();
        match self.kind {
            "bitbucket" => (200, json!({ "values": shown })),
            "bitbucket-datacenter" => {
                let opened = json!({ "action": "OPENED" });
                let said = shown.into_iter().map(|comment| json!({ "action": "COMMENTED", "comment": comment }));
                let values: Vec<Value> = [opened].into_iter().chain(said).collect();
                (200, json!({ "values": values }))
            }
            _ => (200, shown.into()),
        }
    }

    fn post(&self, number: u64, body: &Value) -> Answered {
        let Some(text) = self.text(body, false) else { return (422, json!({ "message": "Validation Failed" })) };
        let mut known = self.known.lock().unwrap();
        known.push((number, 0, text.clone()));
        (201, self.shown(known.len(), 0, &text))
    }

    fn one(&self, method: &Method, id: &str, number: Option<u64>, body: &Value) -> Answered {
        let change = if self.is_flat() || self.kind == "gogs" { Method::PATCH } else { Method::PUT };
        let mut known = self.known.lock().unwrap();
        let at = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        let one = at.and_then(|at| known.get_mut(at));
        let one = one.filter(|one| !one.2.is_empty() && number.is_none_or(|number| number == one.0));
        let (Some(one), Some(at)) = (one, at) else { return (404, json!({ "message": "404 Not Found" })) };
        if *method == Method::GET && self.kind == "bitbucket-datacenter" {
            return (200, self.shown(at + 1, one.1, &one.2));
        }
        if *method != change {
            return (405, Value::Null);
        }
        let Some(text) = self.text(body, true) else { return (422, json!({ "message": "Validation Failed" })) };
        if self.kind == "bitbucket-datacenter" && body["version"] != one.1 {
            return (409, json!({ "errors": [{ "message": "the comment was changed meanwhile" }] }));
        }
        (one.1, one.2) = (one.1 + 1, text);
        (200, self.shown(at + 1, one.1, &one.2))
    }
}
