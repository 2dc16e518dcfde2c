//! Deliveries of Gitea, Forgejo and Gogs: GitHub's payloads, other headers, a bare signature.

use crate::forges::forge::{Headers, Identity, Message, text};
use crate::forges::github;
use crate::forges::signature::Proof;
use axum::http::HeaderMap;

/// Headers that none but these forges send. They send GitHub's besides.
pub(crate) const HEADERS: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];

/// Reads the headers.
pub(crate) fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let first = |names: [&str; 3]| names.into_iter().find_map(|name| text(headers, name));
    let signature = first(["x-forgejo-signature", "x-gitea-signature", "x-gogs-signature"]);
    Ok(Headers {
        event: first(HEADERS).ok_or("X-Gitea-Event")?,
        id: first(["x-forgejo-delivery", "x-gitea-delivery", "x-gogs-delivery"]).ok_or("X-Gitea-Delivery")?,
        identity: Identity::Own,
        proof: signature.map_or(Proof::None, Proof::Signature),
    })
}

/// Reads a payload. A new tag comes as `push` and as `create`: the push counts.
pub(crate) fn read(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    github::read_change(event, json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forges::forge::{Event, Forge};

    #[test]
    fn gitea_is_told_from_github_and_its_pushes_read() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("x-github-event", "push"),
            ("x-gitea-event", "push"),
            ("x-gitea-delivery", "d"),
            ("x-gitea-signature", "ab"),
        ] {
            map.insert(name, value.parse().unwrap());
        }
        assert_eq!(Forge::Github.of(&map), Forge::Gitea);
        let read_headers = headers(&map).unwrap();
        assert_eq!((read_headers.id, read_headers.proof), ("d", Proof::Signature("ab")));
        let text = format!(
            r#"{{"ref":"refs/heads/main","before":"{}","after":"{}","head_commit":null,"pusher":{{"login":"me","username":"me"}},"repository":{{"full_name":"a/b"}}}}"#,
            "0".repeat(40),
            "1".repeat(40)
        );
        let message = read("push", text.as_bytes()).unwrap();
        let Event::Pushes(pushes) = message.event else { panic!() };
        assert_eq!((pushes[0].by.as_str(), pushes[0].commit.clone()), ("me", Some("1".repeat(40))));
        assert_eq!(read("create", text.as_bytes()).unwrap().event, Event::Other);
    }
}
