//! Bodies of requests to webhooks: no secrets and no log are in them.

use crate::api::builds::moment;
use crate::settings::Settings;
use database::{Build, Notice, Trigger};
use serde_json::{Value, json};

/// Returns what happened to a build, and the build as the API shows it.
pub fn slipway(notice: &Notice, (sequence, build): (i64, Value)) -> Value {
    json!({
        "event": notice.event.as_str(),
        "delivery": notice.id,
        "at": moment(notice.created_ms),
        // Grows with the pushes to a ref: what arrives late is known to be old.
        "sequence": sequence,
        "build": build,
    })
}

/// Returns what Docker Hub tells of a pushed tag, without the URL that it wants to be called back at and without what
/// slipway does not know.
pub fn dockerhub(tag: &str, build: &Build, settings: &Settings) -> Value {
    let (path, tag) = split(tag);
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("library", path));
    let pusher = match &build.request.trigger {
        Trigger::Push { by, .. } | Trigger::PullRequest { by, .. } | Trigger::Manual { by } => by.as_str(),
        Trigger::Reconcile { .. } | Trigger::Retry { .. } | Trigger::BaseImage { .. } | Trigger::Schedule { .. } => {
            "slipway"
        }
    };
    json!({
        "push_data": {
            "pushed_at": build.finished_ms.unwrap_or(build.created_ms) / 1000, "pusher": pusher, "tag": tag, "images": [],
        },
        "repository": {
            "name": name, "namespace": namespace, "owner": namespace, "repo_name": path,
            "repo_url": format!("{}/repos/{}", settings.public_url, build.request.repository),
            "is_private": !settings.anonymous_read, "is_trusted": true, "is_official": false,
            "star_count": 0, "comment_count": 0, "description": "", "full_description": "", "status": "Active",
        },
    })
}

/// Returns the repository, without its registry, and the tag of a reference.
fn split(reference: &str) -> (&str, &str) {
    let path = match reference.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
        _ => reference,
    };
    path.rsplit_once(':').unwrap_or((path, "latest"))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn references_are_split() {
        for (reference, expected) in [
            ("127.0.0.1:5000/team/app:v1", ("team/app", "v1")),
            ("docker.io/team/app:latest", ("team/app", "latest")),
            ("localhost/app:2", ("app", "2")),
            ("team/app:x", ("team/app", "x")),
            ("registry:5000/a/b/c", ("a/b/c", "latest")),
        ] {
            assert_eq!(split(reference), expected, "{reference}");
        }
    }
}
