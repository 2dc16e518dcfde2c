//! The rights of somebody in one repository, as the forge says them when it is asked with their own token.

use super::request::get;
use crate::configuration::forges::ForgeKind;
use crate::configuration::settings::Scope;
use crate::forges::{Exchange, ForgeAnswer};
use serde_json::Value;

/// GitLab's roles from which on somebody reads the files of a private project, pushes, and administers.
const REPORTER: i64 = 20;
const DEVELOPER: i64 = 30;
const MAINTAINER: i64 = 40;

/// A question to a forge.
pub(super) struct Asked<'a> {
    /// The HTTP client.
    pub exchange: &'a dyn Exchange,
    /// The kind of forge.
    pub kind: ForgeKind,
    /// URL of its API.
    pub api: &'a str,
    /// Somebody's token.
    pub token: &'a str,
    /// Their id there.
    pub subject: &'a str,
}

/// A question without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The forge does not take the token.
    Unauthorized,
    /// The forge cannot be asked now, or not by us.
    Unavailable,
}

impl Asked<'_> {
    /// Returns what they may in the repository that the forge calls `name`; `None` for nothing.
    pub(super) async fn access(&self, name: &str) -> Result<Option<Scope>, Unanswered> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            // Such a path would lead elsewhere in the API.
            return Ok(None);
        }
        if self.kind == ForgeKind::Gitlab {
            return self.gitlab(name).await;
        }
        // GitHub and Gitea have the same path and the same words.
        let Some(repository) = self.read(format!("{}/repos/{}", self.api, path(name))).await? else { return Ok(None) };
        let permissions = repository.get("permissions");
        let may = |name: &str| permissions.and_then(|all| all.get(name)).and_then(Value::as_bool) == Some(true);
        Ok(Some(match (may("admin"), may("push") || may("maintain")) {
            (true, _) => Scope::Admin,
            (false, true) => Scope::Trigger,
            // An answer without permissions shows that it may be read, and nothing else.
            (false, false) => Scope::Read,
        }))
    }

    /// Tells whether the forge still knows whose token it is, as a right to everything or to nothing.
    pub(super) async fn is_known(&self) -> Result<Option<Scope>, Unanswered> {
        let user = self.read(format!("{}/user", self.api)).await?;
        let id = user.and_then(|user| user.get("id")?.as_i64()).map(|id| id.to_string());
        Ok((id.as_deref() == Some(self.subject)).then_some(Scope::Admin))
    }

    async fn gitlab(&self, name: &str) -> Result<Option<Scope>, Unanswered> {
        let project = format!("{}/projects/{}", self.api, encoded(name));
        let Some(found) = self.read(project.clone()).await? else { return Ok(None) };
        // Also those who are members of a group that the project is shared with are listed here.
        let member = self.read(format!("{project}/members/all/{}", encoded(self.subject))).await?;
        let level = member.and_then(|member| member.get("access_level")?.as_i64()).unwrap_or(0);
        let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_open =
            matches!(text("visibility"), "public" | "internal") && text("repository_access_level") == "enabled";
        let is_on = text("repository_access_level") != "disabled";
        Ok(match level {
            MAINTAINER.. => Some(Scope::Admin),
            DEVELOPER.. => Some(Scope::Trigger),
            REPORTER.. => Some(Scope::Read),
            _ => is_open.then_some(Scope::Read),
        }
        .filter(|_| is_on))
    }

    /// Returns a document; `None` where there is nothing for them to see.
    async fn read(&self, url: String) -> Result<Option<Value>, Unanswered> {
        let mut answer = self.get(url).await?;
        // A repository that was renamed is at another path of the same API: the token goes nowhere else.
        let below = format!("{}/", self.api);
        let location = answer.headers.get("location").and_then(|value| value.to_str().ok());
        let moved =
            location.filter(|location| matches!(answer.status, 301 | 307 | 308) && location.starts_with(&below));
        if let Some(moved) = moved.map(str::to_owned) {
            answer = self.get(moved).await?;
        }
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map(Some).map_err(|_| Unanswered::Unavailable),
            401 => Err(Unanswered::Unauthorized),
            403 if is_limited(&answer) => Err(Unanswered::Unavailable),
            408 | 429 | 500.. => Err(Unanswered::Unavailable),
            _ => Ok(None),
        }
    }

    async fn get(&self, url: String) -> Result<ForgeAnswer, Unanswered> {
        get(self.exchange, url, Some(self.token)).await.map_err(|_| Unanswered::Unavailable)
    }
}

/// Tells whether a refusal is one of too many requests.
fn is_limited(answer: &ForgeAnswer) -> bool {
    let is_used_up = answer.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    is_used_up
        || answer.headers.contains_key("retry-after")
        || String::from_utf8_lossy(&answer.body).to_lowercase().contains("rate limit")
}

/// Returns a name as parts of a path.
fn path(name: &str) -> String {
    name.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// Returns a text as one part of a path.
fn encoded(text: &str) -> String {
    let part = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_parts_of_a_path() {
        assert_eq!(path("team/app"), "team/app");
        assert_eq!(path("team/../x?y#z"), "team/../x%3Fy%23z");
        assert_eq!(encoded("group/sub/app"), "group%2Fsub%2Fapp");
    }
}
