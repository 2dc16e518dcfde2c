//! Deliveries that are about to be stored, and what became of them. Plain data, no SQL.

use crate::model::build_id::BuildId;
/// A verified delivery, about to be stored.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// `github`, or the name of another forge.
    pub forge: String,
    /// The forge's id of the delivery (`X-GitHub-Delivery`).
    pub delivery: String,
    /// Name of the event (`push`).
    pub event: String,
    /// `namespace/name` of the repository in the configuration.
    pub repository: String,
    /// The body as it was signed.
    pub body: Vec<u8>,
    /// Why nothing is built, when nothing is: `ref_deleted`, `no_rule_matched`, `unknown_event`, `ping`.
    pub ignored: Option<String>,
    /// More about that, a line for each rule.
    pub explain: Vec<String>,
    /// The change of the ref, if the event is a push.
    pub push: Option<PushedRef>,
    /// The ref of a pull request that it tells the end of: nobody wants its builds any more.
    pub closed: Option<String>,
    /// Whether it is an earlier delivery once more, by somebody's wish: then an equal body is not a duplicate.
    pub is_replay: bool,
    /// Whether the forge gave this delivery an id of its own; one that was made of the body says nothing that the body does
    /// not.
    pub has_own_id: bool,
    /// The changes of refs that it reports.
    pub moves: Vec<RefMove>,
    /// Short name of the default branch, if it says.
    pub default_branch: Option<String>,
}

/// A change of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMove {
    /// Its full name.
    pub git_ref: String,
    /// The commit before; `None` if the ref is new.
    pub before: Option<String>,
    /// The commit now; `None` if the ref was deleted.
    pub after: Option<String>,
}

/// A push, as far as it orders the builds of a ref. Forges deliver out of order; the commits tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// Full name of the ref.
    pub git_ref: String,
    /// Where it pointed before; `None` if it is new.
    pub before: Option<String>,
    /// Where it points now.
    pub after: String,
}

/// The result of accepting a delivery or trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now, with these builds.
    New(Vec<BuildId>),
    /// Known already, by its id or by its body; these are its builds.
    Duplicate(Vec<BuildId>),
    /// The idempotency key was used before with another body; nothing was stored.
    KeyReused,
}
