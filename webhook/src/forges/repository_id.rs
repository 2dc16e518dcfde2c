//! The forge's id of the repository that a delivery is about: it stays when the repository is renamed or transferred.

use super::Forge;
use serde::Deserialize;
use serde_json::Value;

/// Longest id that is kept.
const MAX_ID: usize = 100;

/// The parts of a payload that hold it.
#[derive(Deserialize)]
struct Identified {
    repository: Option<WithId>,
    project: Option<WithId>,
    #[serde(rename = "pullRequest")]
    pull_request: Option<Pull>,
}

#[derive(Deserialize)]
struct WithId {
    id: Option<Value>,
    uuid: Option<Value>,
}

/// A pull request of Bitbucket's server, which names the repository in it alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    to_ref: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    repository: Option<WithId>,
}

/// Returns the id, if the payload has one.
pub(crate) fn repository_id(forge: Forge, json: &[u8]) -> Option<String> {
    let found: Identified = serde_json::from_slice(json).ok()?;
    let holder = match forge {
        Forge::Gitlab => found.project?,
        Forge::Github | Forge::Gitea => found.repository?,
        Forge::Bitbucket => {
            let of_pull = found.pull_request.and_then(|pull| pull.to_ref?.repository);
            found.repository.or(of_pull)?
        }
        Forge::Generic => return None,
    };
    text(&holder.uuid.or(holder.id)?)
}

/// Returns an id, which is a number or a text.
pub(super) fn text(id: &Value) -> Option<String> {
    let text = match id {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= MAX_ID).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forge_has_its_id_in_its_own_place() {
        for (forge, json, expected) in [
            (Forge::Github, r#"{"repository":{"id":1296269},"project":{"id":2}}"#, Some("1296269")),
            (Forge::Gitea, r#"{"repository":{"id":7}}"#, Some("7")),
            (Forge::Gitlab, r#"{"project":{"id":2},"repository":{"name":"x"}}"#, Some("2")),
            (Forge::Bitbucket, r#"{"repository":{"uuid":"{a-b}","full_name":"a/b"}}"#, Some("{a-b}")),
            (Forge::Bitbucket, r#"{"repository":{"id":84,"slug":"b"}}"#, Some("84")),
            (Forge::Bitbucket, r#"{"pullRequest":{"toRef":{"repository":{"id":84}}}}"#, Some("84")),
            (Forge::Generic, r#"{"repository":{"id":1}}"#, None),
            (Forge::Github, r#"{"repository":{"id":null}}"#, None),
            (Forge::Github, r#"{"repository":{"id":[1]}}"#, None),
            (Forge::Github, r#"{"repository":"a/b"}"#, None),
        ] {
            assert_eq!(repository_id(forge, json.as_bytes()).as_deref(), expected, "{json}");
        }
    }
}
