//! Local servers that take commit statuses as the APIs of forges do, and refuse what their documentation refuses: another path, method
//! or header, fields they do not know, states they do not have, texts that are too long.

use super::forge_comments::{ForgeComments, REPOSITORY_ID};
use super::forge_hook_log::ForgeHookLog;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Repository that the servers know.
pub(crate) const REPOSITORY: (&str, &str) = ("Codertocat", "Hello-World");

/// A status that a server took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// The commit.
    pub commit: String,
    /// The state, in the forge's word.
    pub state: String,
    /// The name of the status.
    pub name: String,
    /// The description.
    pub description: String,
    /// The page that it links to.
    pub url: String,
    /// The ref, where the forge was given one.
    pub git_ref: Option<String>,
}

/// The way in which a server answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    /// As documented.
    Well,
    /// Never.
    Silent,
    /// With this status, header and body, whatever is asked.
    Refusing(u16, Option<(&'static str, String)>, String),
}

/// A forge.
pub(crate) struct ForgeServer {
    /// `github`, `gitlab`, `gitea`, `forgejo`, `gogs`, `bitbucket` or `bitbucket-datacenter`.
    pub kind: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    known: Arc<Known>,
    _tokio: tokio::runtime::Runtime,
}

pub(super) struct Known {
    pub(super) kind: &'static str,
    token: String,
    told: Mutex<Vec<Told>>,
    asked: Mutex<Vec<(Instant, String)>>,
    mood: Mutex<Mood>,
    pub(super) hooks: Mutex<Vec<Value>>,
    log: ForgeHookLog,
    comments: ForgeComments,
}

impl ForgeServer {
    /// Starts a forge that knows one token.
    pub(crate) fn start(kind: &'static str, token: &str) -> ForgeServer {
        let (told, asked, mood, hooks) = (Mutex::default(), Mutex::default(), Mutex::new(Mood::Well), Mutex::default());
        let comments = ForgeComments::new(kind);
        let log = ForgeHookLog::new(kind);
        let known = Arc::new(Known { kind, token: token.to_owned(), told, asked, mood, hooks, log, comments });
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(known.clone());
        tokio.spawn(async move { axum::serve(listener, router).await });
        ForgeServer { kind, address, known, _tokio: tokio }
    }

    /// Returns the section of a configuration that names the forge as that of `host`.
    pub(crate) fn section(&self, host: &str) -> String {
        let (kind, token, address) = (self.kind, &self.known.token, self.address);
        format!("[forges.\"{host}\"]\nkind = \"{kind}\"\ntoken = \"{token}\"\nurl = \"http://{address}\"\n")
    }

    /// Returns what it took, in order.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.known.told.lock().unwrap().clone()
    }

    /// Returns the states that it took of a commit.
    pub(crate) fn states(&self, commit: &str) -> Vec<String> {
        self.told().into_iter().filter(|told| told.commit == commit).map(|told| told.state).collect()
    }

    /// Returns when it was asked for what: method and path.
    pub(crate) fn asked(&self) -> Vec<(Instant, String)> {
        self.known.asked.lock().unwrap().clone()
    }

    /// Returns the webhooks that are registered.
    pub(crate) fn hooks(&self) -> Vec<Value> {
        self.known.hooks.lock().unwrap().clone()
    }

    /// Returns the comments on its pull requests.
    pub(crate) fn comments(&self) -> &ForgeComments {
        &self.known.comments
    }

    /// Returns the deliveries that it tells of.
    pub(crate) fn log(&self) -> &ForgeHookLog {
        &self.known.log
    }

    /// Changes the webhooks that are registered.
    pub(crate) fn set_hooks(&self, hooks: Vec<Value>) {
        *self.known.hooks.lock().unwrap() = hooks;
    }

    /// Changes how it answers.
    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.known.mood.lock().unwrap() = mood;
    }
}

/// A refusal: HTTP status and words.
pub(super) type Refusal = (u16, Value);

async fn answer(
    State(known): State<Arc<Known>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    known.asked.lock().unwrap().push((Instant::now(), format!("{method} {uri}")));
    let mood = known.mood.lock().unwrap().clone();
    match mood {
        Mood::Well => {}
        Mood::Silent => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Mood::Refusing(status, header, body) => {
            let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
            if let Some((name, value)) = header {
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            return answer;
        }
    }
    let (status, body) = match known.take(&method, &uri, &headers, &body) {
        Ok(answered) => answered,
        Err(refusal) => refusal,
    };
    let mut answer = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    if let Some(link) = known.log.link() {
        answer.headers_mut().insert("link", link.parse().unwrap());
    }
    answer
}

impl Known {
    fn take(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(u16, Value), Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (token, path) = (&self.token, uri.path());
        let is_known = match self.kind {
            "gitlab" => header("private-token") == token,
            "gitea" | "forgejo" | "gogs" => header("authorization") == format!("token {token}"),
            _ => header("authorization") == format!("Bearer {token}"),
        };
        if !is_known || self.kind == "gitlab" && headers.contains_key("authorization") {
            return Err((401, self.words("401 Unauthorized")));
        }
        let is_write = ![Method::GET, Method::DELETE].contains(method);
        if is_write && header("content-type") != "application/json" {
            return Err((415, self.words("send JSON")));
        }
        let value: Value = match is_write {
            true => serde_json::from_slice(body).map_err(|error| (400, self.words(&error.to_string())))?,
            false => Value::Null,
        };
        if let Some(rest) = path.strip_prefix(self.hooks_path().as_str()) {
            if let Some((id, rest)) = rest.strip_prefix('/').and_then(|rest| rest.split_once('/')) {
                let is_there = self.hooks.lock().unwrap().iter().any(|hook| hook["id"].as_i64() == id.parse().ok());
                let answered = self.log.take(method, uri.query(), rest).filter(|_| is_there);
                return answered.ok_or_else(|| (404, self.words("404 Not Found")));
            }
            let query = if self.kind == "bitbucket" { "pagelen=100" } else { self.page_query() };
            if *method == Method::GET && uri.query() != Some(query) {
                return Err((400, self.words("an unknown query")));
            }
            return self.take_hook(method, rest, value);
        }
        if let Some(answered) = self.comments.take(method, uri, &value) {
            return Ok(answered);
        }
        if *method == Method::GET && path == self.hooks_path().rsplit_once('/').unwrap_or_default().0 {
            return Ok((200, json!({ "id": 4711, "uuid": REPOSITORY_ID.1 })));
        }
        let parts = self.statuses_path();
        let commit = path.strip_prefix(parts.0.as_str()).and_then(|rest| rest.strip_suffix(parts.1));
        let commit = commit.filter(|commit| commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let (Some(commit), true) = (commit, method == Method::POST) else {
            return Err((404, self.words("404 Not Found")));
        };
        let told = self.read(commit, &value)?;
        self.told.lock().unwrap().push(told);
        Ok((if self.kind == "bitbucket-datacenter" { 204 } else { 201 }, json!({})))
    }

    /// Returns what stands before and after the commit in the path that statuses are sent to.
    fn statuses_path(&self) -> (String, &'static str) {
        let (owner, name) = REPOSITORY;
        match self.kind {
            "github" => (format!("/api/v3/repos/{owner}/{name}/statuses/"), ""),
            "gitlab" => (format!("/api/v4/projects/{owner}%2F{name}/statuses/"), ""),
            "gitea" | "forgejo" => (format!("/api/v1/repos/{owner}/{name}/statuses/"), ""),
            "bitbucket" => (format!("/2.0/repositories/{owner}/{name}/commit/"), "/statuses/build"),
            "bitbucket-datacenter" => (format!("/rest/api/latest/projects/{owner}/repos/{name}/commits/"), "/builds"),
            _ => ("none".to_owned(), "none"),
        }
    }

    /// Returns a refusal in the shape of the forge.
    pub(super) fn words(&self, text: &str) -> Value {
        match self.kind {
            "bitbucket" => json!({ "type": "error", "error": { "message": text } }),
            "bitbucket-datacenter" => json!({ "errors": [{ "context": null, "message": text }] }),
            _ => json!({ "message": text }),
        }
    }

    /// Returns the fields of a status, and the states that one has.
    fn words_of_statuses(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.kind {
            "gitlab" => (
                &["state", "ref", "name", "context", "target_url", "description", "coverage", "pipeline_id"],
                &["pending", "running", "success", "failed", "canceled", "skipped"],
            ),
            "bitbucket" => (
                &["key", "state", "name", "url", "description", "refname"],
                &["INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"],
            ),
            "bitbucket-datacenter" => (
                &[
                    "key",
                    "state",
                    "name",
                    "url",
                    "description",
                    "ref",
                    "parent",
                    "buildNumber",
                    "duration",
                    "testResults",
                ],
                &["CANCELLED", "FAILED", "INPROGRESS", "SUCCESSFUL", "UNKNOWN"],
            ),
            "github" => {
                (&["state", "target_url", "description", "context"], &["error", "failure", "pending", "success"])
            }
            _ => (
                &["state", "target_url", "description", "context"],
                &["pending", "success", "error", "failure", "warning"],
            ),
        }
    }

    /// Reads a status; the error is what the forge would answer.
    fn read(&self, commit: &str, value: &Value) -> Result<Told, Refusal> {
        let bitbucket = self.kind.starts_with("bitbucket");
        let (fields, states) = self.words_of_statuses();
        let refuse = |text: String| (if self.kind == "github" { 422 } else { 400 }, self.words(&text));
        let object = value.as_object().ok_or_else(|| refuse("no object".to_owned()))?;
        if let Some(unknown) = object.keys().find(|key| !fields.contains(&key.as_str())) {
            return Err(refuse(format!("unknown field {unknown}")));
        }
        let text = |key: &str, max: usize| {
            let text = value[key].as_str().filter(|text| !text.is_empty() && text.chars().count() <= max);
            text.map(str::to_owned).ok_or_else(|| refuse(format!("{key} is missing or too long")))
        };
        let state = text("state", 20)?;
        if !states.contains(&state.as_str()) {
            return Err(refuse(format!("state does not have a valid value: {state}")));
        }
        let name = match self.kind {
            "bitbucket" => text("key", 40).and_then(|_| text("name", 255))?,
            "bitbucket-datacenter" => text("key", 255).and_then(|_| text("name", 255))?,
            "gitlab" => text("name", 255)?,
            _ => text("context", 255)?,
        };
        let description = text("description", if self.kind == "github" { 140 } else { 255 })?;
        let url = text(if bitbucket { "url" } else { "target_url" }, if bitbucket { 450 } else { 255 })?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(refuse("the URL is blocked: only allowed schemes are http, https".to_owned()));
        }
        let git_ref = ["ref", "refname"].into_iter().find_map(|key| value[key].as_str().map(str::to_owned));
        if self.kind == "gitlab" {
            self.check_transition(commit, &name, &state)?;
        }
        Ok(Told { commit: commit.to_owned(), state, name, description, url, git_ref })
    }

    /// Refuses a state that GitLab's machine does not go to from where it is.
    fn check_transition(&self, commit: &str, name: &str, state: &str) -> Result<(), Refusal> {
        let told = self.told.lock().unwrap();
        let last = told.iter().rev().find(|told| told.commit == commit && told.name == name);
        // One that has ended is followed by another of the same name.
        let Some(last) = last.filter(|last| matches!(last.state.as_str(), "pending" | "running")) else {
            return Ok(());
        };
        let event = match state {
            "pending" => "enqueue",
            "running" if last.state == "running" => "run",
            _ => return Ok(()),
        };
        let words = format!(
            "Cannot transition status via :{event} from :{} (Reason(s): Status cannot transition via \"{event}\")",
            last.state
        );
        Err((400, json!({ "message": words })))
    }
}
