//! The deliveries that forges tell of, and deliveries that they send again. Each forge's folder says how far its API goes.

use super::client::{Call, CallError, ForgeClient};
use super::hooks::text;
use super::{bitbucket, github, gitlab};
use crate::configuration::forges::ForgeKind;
use serde_json::{Value, json};
use std::collections::HashSet;

/// A delivery that a forge sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The forge's id of this attempt.
    pub id: String,
    /// The id that all attempts at one delivery share.
    pub delivery: String,
    /// Its event, in the forge's word.
    pub event: String,
    /// When it was sent, if the forge says.
    pub at: Option<String>,
    /// How it was answered, in the forge's words.
    pub answer: String,
    /// Whether it was answered with a success.
    pub is_taken: bool,
}

/// The deliveries that a forge tells of.
#[derive(Debug)]
pub(crate) struct HookLog {
    /// The newest, newest first.
    pub sent: Vec<Sent>,
    /// The limits of what the forge tells, in a sentence; `None` if it tells all that it keeps.
    pub limits: Option<&'static str>,
}

/// Reads what a forge tells of the deliveries of a webhook, whose path is `hook`. The owner of an App's webhook names the
/// repository by its id, because the App delivers for others, too.
pub(crate) async fn read_log(
    client: &ForgeClient<'_>,
    hook: &str,
    repository_id: Option<&str>,
) -> Result<HookLog, CallError> {
    let whole = |sent| HookLog { sent, limits: None };
    let none = |limits| Ok(HookLog { sent: Vec::new(), limits: Some(limits) });
    match client.forge.kind {
        ForgeKind::Github => github::sent(client, hook, repository_id).await.map(whole),
        ForgeKind::Gitlab => gitlab::sent(client, hook).await.map(whole),
        ForgeKind::BitbucketDatacenter => {
            let sent = bitbucket::data_center_sent(client, hook).await?;
            Ok(HookLog {
                sent,
                limits: Some("Bitbucket Data Center tells of the newest success, failure and error alone"),
            })
        }
        ForgeKind::Bitbucket => none("the API of Bitbucket's cloud does not tell of deliveries: its pages do"),
        ForgeKind::Gitea => none("the API of Gitea does not tell of deliveries: its pages do"),
        ForgeKind::Forgejo => none("the API of Forgejo does not tell of deliveries: its pages do"),
        ForgeKind::Gogs => none("the API of Gogs does not tell of deliveries: its pages do"),
    }
}

/// Has a forge send a delivery again. The error of a forge that cannot says so.
pub(crate) async fn deliver_again(client: &ForgeClient<'_>, hook: &str, sent: &str) -> Result<(), CallError> {
    let path = match client.forge.kind {
        ForgeKind::Github => format!("{hook}/deliveries/{sent}/attempts"),
        ForgeKind::Gitlab => format!("{hook}/events/{sent}/resend"),
        _ => return Err(CallError::Refused("the forge's API sends nothing again".to_owned())),
    };
    client.call(Call::send("POST", path, json!({}))).await.map(drop)
}

impl HookLog {
    /// Returns the ids of attempts at deliveries that were never taken: the newest of each.
    pub(crate) fn failed(&self) -> HashSet<&str> {
        let taken: HashSet<&str> =
            self.sent.iter().filter(|sent| sent.is_taken).map(|sent| sent.delivery.as_str()).collect();
        let mut seen = HashSet::new();
        let mut failed = HashSet::new();
        for sent in self.sent.iter().filter(|sent| !taken.contains(sent.delivery.as_str())) {
            if seen.insert(sent.delivery.as_str()) {
                failed.insert(sent.id.as_str());
            }
        }
        failed
    }
}

impl ForgeKind {
    /// Tells whether the forge's API has deliveries sent again.
    pub(crate) fn sends_again(self) -> bool {
        matches!(self, ForgeKind::Github | ForgeKind::Gitlab)
    }
}

/// Reads a list of a forge.
pub(super) fn list(body: &[u8]) -> Result<Vec<Value>, CallError> {
    let unreadable = |_| CallError::Again("the forge's list of deliveries cannot be read".to_owned());
    serde_json::from_slice(body).map_err(unreadable)
}

/// Returns an id that can stand in a path; empty for anything else.
pub(super) fn number(id: &Value) -> String {
    let text = text(id);
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_was_taken_at_last_has_not_failed() {
        let sent = |id: &str, delivery: &str, is_taken| Sent {
            id: id.to_owned(),
            delivery: delivery.to_owned(),
            event: "push".to_owned(),
            at: None,
            answer: String::new(),
            is_taken,
        };
        let log = HookLog {
            sent: vec![sent("5", "b", false), sent("4", "a", true), sent("3", "b", false), sent("2", "a", false)],
            limits: None,
        };
        assert_eq!(log.failed(), HashSet::from(["5"]));
    }
}
