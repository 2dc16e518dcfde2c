//! Bodies of requests to webhooks: no secrets and no log are in them.

use crate::configuration::settings::Settings;
use crate::view::build::BuildDetails;
use crate::view::time::moment;
use crate::view::webhook::BuildEvent;
use database::{Build, Event, Notification, Trigger};
use serde_json::{Value, json};

/// Characters of a commit's message, or of a reason, in a chat message.
const MAX_LINE: usize = 300;

/// Returns what happened to a build, and the build as the API shows it.
pub(crate) fn slipway(notification: &Notification, sequence: i64, build: BuildDetails) -> Value {
    let event = BuildEvent {
        event: notification.event.as_str().to_owned(),
        delivery: notification.id.clone(),
        at: moment(notification.created_ms),
        sequence,
        build,
    };
    serde_json::to_value(event).unwrap_or_default()
}

/// Returns what Docker Hub tells of a pushed tag, without the URL that it wants to be called back at and without what
/// slipway does not know.
pub(crate) fn dockerhub(tag: &str, build: &Build, settings: &Settings) -> Value {
    let (path, tag) = split(tag);
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("library", path));
    let pusher = match &build.request.trigger {
        Trigger::Push { by, .. }
        | Trigger::PullRequest { by, .. }
        | Trigger::Manual { by }
        | Trigger::Rollback { by, .. } => by.as_str(),
        Trigger::Reconcile { .. }
        | Trigger::Retry { .. }
        | Trigger::BaseImage { .. }
        | Trigger::Link { .. }
        | Trigger::Schedule { .. } => "slipway",
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

/// Returns a line for people, with a link to the build.
pub(crate) fn slack(event: Event, build: &Build, settings: &Settings) -> Value {
    let (request, id) = (&build.request, build.id.as_str());
    let what = match event {
        Event::Queued => "waits for a worker",
        Event::Started => "has begun",
        Event::Succeeded => "succeeded",
        Event::Failed => "*failed*",
        Event::Fixed => "succeeded again",
        Event::Cancelled => "was cancelled",
    };
    let git_ref = request.spec.git_ref.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
    let commit =
        build.commit.as_deref().map_or(String::new(), |commit| format!(" at {}", &commit[..commit.len().min(7)]));
    let link = format!("<{}/builds/{id}|{} #{}>", settings.public_url, plain(&request.repository), build.number);
    let mut text = format!("{link} `{}` of {}{commit} {what}", plain(&request.rule), plain(git_ref));
    let reason = build.reason.as_ref().map(|reason| first_line(&reason.message));
    let said = [reason, Some(first_line(&request.commit_message))];
    for said in said.into_iter().flatten().filter(|said| !said.is_empty()) {
        text.push_str(&format!("\n> {}", plain(said)));
    }
    json!({ "text": text })
}

/// Escapes a text for a chat: it makes no links and mentions nobody.
fn plain(text: &str) -> String {
    let short: String = text.chars().take(MAX_LINE).collect();
    short.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}").replace('`', "'")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
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
    use super::{plain, split};

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

    #[test]
    fn what_others_wrote_is_no_markup_of_a_chat() {
        // SEC-30
        let shown = plain("<!channel> <https://evil.example|ok> @here `x` a&b");
        let expected = "&lt;!channel&gt; &lt;https://evil.example|ok&gt; @\u{200b}here 'x' a&amp;b";
        assert_eq!(shown, expected);
        assert_eq!(plain(&"x".repeat(1000)).len(), 300);
    }
}
