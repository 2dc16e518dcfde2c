//! Webhooks on the local forges: listed, added and changed as their APIs have it.

use super::forge_server::{Known, REPOSITORY, Refusal};
use axum::http::Method;
use serde_json::{Value, json};

impl Known {
    pub(super) fn hooks_path(&self) -> String {
        let (owner, name) = REPOSITORY;
        match self.kind {
            "github" => format!("/api/v3/repos/{owner}/{name}/hooks"),
            "gitlab" => format!("/api/v4/projects/{owner}%2F{name}/hooks"),
            "bitbucket" => format!("/2.0/repositories/{owner}/{name}/hooks"),
            "bitbucket-datacenter" => format!("/rest/api/latest/projects/{owner}/repos/{name}/webhooks"),
            _ => format!("/api/v1/repos/{owner}/{name}/hooks"),
        }
    }

    /// Returns the query with which the longest page is asked for.
    pub(super) fn page_query(&self) -> &'static str {
        match self.kind {
            "github" | "gitlab" => "per_page=100",
            "bitbucket-datacenter" => "limit=100",
            _ => "limit=50",
        }
    }

    /// Returns the fields of a webhook.
    fn fields_of_hooks(&self) -> &'static [&'static str] {
        match self.kind {
            "github" => &["name", "active", "events", "config", "add_events", "remove_events"],
            "gitlab" => &[
                "url",
                "token",
                "push_events",
                "tag_push_events",
                "merge_requests_events",
                "enable_ssl_verification",
                "name",
                "description",
            ],
            "bitbucket" => &["description", "url", "active", "secret", "events"],
            "bitbucket-datacenter" => &["name", "url", "active", "events", "configuration"],
            _ => &["type", "active", "events", "config", "branch_filter"],
        }
    }

    /// Tells whether a webhook that is added has all that it must.
    fn is_whole_hook(&self, value: &Value) -> bool {
        match self.kind {
            "github" => value["config"]["url"].is_string() && value["name"] == "web",
            "gitlab" => value["url"].is_string(),
            "bitbucket" => value["url"].is_string() && value["description"].is_string() && value["events"].is_array(),
            "bitbucket-datacenter" => value["url"].is_string() && value["name"].is_string(),
            kind => value["config"]["url"].is_string() && value["type"] == kind,
        }
    }

    /// Lists, adds and changes webhooks.
    pub(super) fn take_hook(&self, method: &Method, rest: &str, value: Value) -> Result<(u16, Value), Refusal> {
        let mut hooks = self.hooks.lock().unwrap();
        if method == Method::GET && rest.is_empty() {
            // Secrets are never shown.
            let mut shown = hooks.clone();
            shown.iter_mut().for_each(|hook| {
                if let Some(object) = hook.as_object_mut() {
                    ["token", "secret", "configuration"].iter().for_each(|key| drop(object.remove(*key)));
                }
                if let Some(config) = hook["config"].as_object_mut() {
                    config.insert("secret".to_owned(), "********".into());
                }
            });
            let shown = Value::Array(shown);
            let is_page = self.kind.starts_with("bitbucket");
            return Ok((200, if is_page { json!({ "values": shown }) } else { shown }));
        }
        let changes_by_put = self.kind == "gitlab" || self.kind.starts_with("bitbucket");
        let change = if changes_by_put { Method::PUT } else { Method::PATCH };
        let fields = self.fields_of_hooks();
        if method == Method::DELETE && self.kind == "gogs" {
            hooks.retain(|hook| Some(hook["id"].to_string().as_str()) != rest.strip_prefix('/'));
            return Ok((204, Value::Null));
        }
        let unknown = value.as_object().and_then(|object| object.keys().find(|key| !fields.contains(&key.as_str())));
        if let Some(unknown) = unknown {
            return Err((422, self.words(&format!("unknown field {unknown}"))));
        }
        if method == Method::POST && rest.is_empty() {
            let is_whole = self.is_whole_hook(&value);
            if !is_whole {
                return Err((422, self.words("Validation Failed")));
            }
            let mut hook = value;
            match self.kind {
                "bitbucket" => hook["uuid"] = format!("{{{}}}", hooks.len() + 1).into(),
                _ => hook["id"] = (hooks.len() + 1).into(),
            }
            hooks.push(hook.clone());
            return Ok((201, hook));
        }
        let id = rest.strip_prefix('/').unwrap_or_default().replace("%7B", "{").replace("%7D", "}");
        let hook = hooks
            .iter_mut()
            .find(|hook| hook["id"].as_u64() == id.parse().ok() && hook["id"].is_u64() || hook["uuid"] == *id);
        let Some(hook) = hook.filter(|_| *method == change) else { return Err((404, self.words("404 Not Found"))) };
        let secret = hook["config"]["secret"].clone();
        for (key, value) in value.as_object().into_iter().flatten() {
            hook[key] = value.clone();
        }
        if self.kind == "gogs" {
            hook["config"]["secret"] = secret;
        }
        Ok((200, hook.clone()))
    }
}
