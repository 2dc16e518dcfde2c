//! Deliveries of plain git servers: a signed JSON with a repository, a ref and a commit.

use crate::forges::forge::{Event, Headers, Identity, Message, Push, object, text};
use crate::forges::signature::Proof;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde::de::Error;

/// Reads the headers. An id is optional: without one, the body is what a delivery is known by.
pub(crate) fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let signature = text(headers, "x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
    let id = ["idempotency-key", "webhook-id"].into_iter().find_map(|name| text(headers, name));
    Ok(Headers {
        event: "push",
        id: id.unwrap_or_default(),
        identity: if id.is_some() { Identity::Own } else { Identity::None },
        proof: signature.map_or(Proof::None, Proof::Signature),
    })
}

/// A push. Keys that are not named here are an error, so that a typing mistake is not silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PushText {
    /// `owner/name`, as `forge_name`.
    repository: Option<String>,
    /// Where the repository is cloned from, in place of its name.
    clone_url: Option<String>,
    #[serde(rename = "ref")]
    git_ref: String,
    /// The commit: zeros or null for a ref that was deleted.
    commit: Option<String>,
    /// The object that the ref names now, where that is not the commit: the tag object of an annotated tag.
    object: Option<String>,
    /// The object that it named before.
    before: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    pusher: String,
    default_branch: Option<String>,
}

/// Reads a payload.
pub(crate) fn read(json: &[u8]) -> Result<Message, serde_json::Error> {
    let text: PushText = serde_json::from_slice(json)?;
    if text.repository.is_none() && text.clone_url.is_none() {
        return Err(serde_json::Error::custom("`repository` or `clone_url` is missing"));
    }
    let id = |key: &str, value: &Option<String>| {
        let Some(value) = value.as_deref().map(str::to_ascii_lowercase) else { return Ok(None) };
        let is_none = matches!(value.len(), 40 | 64) && value.bytes().all(|byte| byte == b'0');
        match object(&value) {
            None if !is_none => Err(serde_json::Error::custom(format!("`{key}` is not the full hash of a commit"))),
            found => Ok(found),
        }
    };
    let (before, commit) = (id("before", &text.before)?, id("commit", &text.commit)?);
    let named = id("object", &text.object)?;
    let push = Push {
        git_ref: text.git_ref,
        before,
        after: commit.as_ref().and(named).or_else(|| commit.clone()),
        commit,
        message: text.message,
        by: text.pusher,
        default_branch: text.default_branch,
    };
    let event = Event::Pushes(vec![push]);
    Ok(Message { repository: text.repository, clone_url: text.clone_url, event, ..Message::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_read_strictly() {
        let one = "1".repeat(40);
        let read_text = |rest: &str| read(format!(r#"{{"ref":"refs/heads/main",{rest}}}"#).as_bytes());
        let message =
            read_text(&format!(r#""repository":"a/b","commit":"{one}","before":"{}""#, "0".repeat(40))).unwrap();
        let Event::Pushes(pushes) = message.event else { panic!() };
        assert_eq!((message.repository.as_deref(), pushes[0].commit.as_deref()), (Some("a/b"), Some(one.as_str())));
        assert_eq!(pushes[0].before, None);
        let deleted = read_text(r#""clone_url":"https://g/a.git","commit":null"#).unwrap();
        assert!(matches!(deleted.event, Event::Pushes(pushes) if pushes[0].after.is_none()));
        for (wrong, expected) in [
            (r#""repository":"a/b","commit":"main""#, "`commit` is not the full hash"),
            (r#""repository":"a/b","comit":"x""#, "unknown field `comit`"),
            (r#""commit":null"#, "`repository` or `clone_url` is missing"),
        ] {
            let error = read_text(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
