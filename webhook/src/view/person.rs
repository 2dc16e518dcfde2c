//! People, their sessions and tokens, service accounts, and the audit log, as the API shows them.

use super::time::moment;
use database::{AuditEntry, Identity, IdentityRight, Session, TokenRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnTokenView {
    /// Its name, among the tokens of its owner.
    pub name: String,
    /// Its full name, as builds and the audit log show it.
    pub full_name: String,
    /// `read`, `trigger` or `admin`: never more than its owner may.
    pub scope: String,
    /// Names of repositories that it is good for, with `*` and `**`; empty for all that its owner sees.
    pub repositories: Vec<String>,
    /// Time at which it was made.
    pub created_at: Option<String>,
    /// Time at which it ends; null for one that stays until it is revoked.
    pub expires_at: Option<String>,
    /// Time at which it was last used, to the minute.
    pub last_used_at: Option<String>,
}

/// Somebody's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnTokenList {
    /// By name.
    pub tokens: Vec<OwnTokenView>,
}

/// A token just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeTokenView {
    /// The token's record.
    #[serde(flatten)]
    pub record: OwnTokenView,
    /// The token itself, shown once.
    pub token: String,
}

/// A session of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Its id, which signs nobody in.
    pub id: String,
    /// Time at which it began.
    pub created_at: Option<String>,
    /// Time at which it ends.
    pub expires_at: Option<String>,
    /// The address that it began at.
    pub address: String,
    /// The browser, as it said.
    pub browser: String,
}

/// Somebody's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionView>,
}

/// A right that an administrator gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRight {
    /// Names of repositories, with `*` for a part and `**` for any number of parts.
    pub repositories: String,
    /// `read`, `trigger` or `admin`.
    pub scope: String,
}

/// Somebody who is known, or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// Its number.
    pub id: i64,
    /// Its name, with that of the provider.
    pub name: String,
    /// A forge's host, the name of another provider, `local` or `service`.
    pub provider: String,
    /// Whether the configuration names it as an administrator.
    pub administrator: bool,
    /// Rights that an administrator gave; those of a forge's users are the forge's.
    pub rights: Vec<AccountRight>,
    /// Time at which it was made, or signed in first.
    pub created_at: Option<String>,
    /// Time at which it was last seen, to the minute.
    pub seen_at: Option<String>,
}

/// The accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountList {
    /// By name.
    pub accounts: Vec<AccountView>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntryView {
    /// Number, rising with time.
    pub id: i64,
    /// Time of the deed.
    pub at: Option<String>,
    /// Name of who did it.
    pub actor: String,
    /// The address that the request came from.
    pub address: String,
    /// The deed, in a stable word.
    pub action: String,
    /// The repository; null if it was not done to one.
    pub repository: Option<String>,
    /// The thing that it was done to; null if there is nothing to name.
    pub subject: Option<String>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLog {
    /// Newest first.
    pub entries: Vec<AuditEntryView>,
    /// Where the next part begins; null at the end.
    pub next_cursor: Option<String>,
}

/// A login of the command line that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// The secret with which the program asks for its token.
    pub device_code: String,
    /// The code that somebody confirms.
    pub user_code: String,
    /// The page on which it is confirmed.
    pub verification_uri: String,
    /// The same page with the code filled in.
    pub verification_uri_complete: String,
    /// Seconds for which it waits.
    pub expires_in: i64,
    /// Seconds between two questions.
    pub interval: i64,
}

impl OwnTokenView {
    /// Returns a token as it is shown.
    pub fn new(record: &TokenRecord) -> OwnTokenView {
        OwnTokenView {
            name: record.name.rsplit('/').next().unwrap_or_default().to_owned(),
            full_name: record.name.clone(),
            scope: record.scopes.first().cloned().unwrap_or_default(),
            repositories: record.repositories.clone(),
            created_at: moment(record.created_ms),
            expires_at: record.expires_ms.and_then(moment),
            last_used_at: record.last_used_ms.and_then(moment),
        }
    }
}

impl From<&Session> for SessionView {
    fn from(session: &Session) -> SessionView {
        SessionView {
            id: session.name.clone(),
            created_at: moment(session.created_ms),
            expires_at: moment(session.expires_ms),
            address: session.address.clone(),
            browser: session.browser.clone(),
        }
    }
}

impl AccountView {
    /// Returns an account as it is shown.
    pub(crate) fn new(identity: &Identity, rights: &[IdentityRight], administrator: bool) -> AccountView {
        let right =
            |right: &IdentityRight| AccountRight { repositories: right.pattern.clone(), scope: right.scope.clone() };
        AccountView {
            id: identity.id,
            name: identity.name.clone(),
            provider: identity.provider.clone(),
            administrator,
            rights: rights.iter().map(right).collect(),
            created_at: moment(identity.created_ms),
            seen_at: moment(identity.seen_ms),
        }
    }
}

impl From<&AuditEntry> for AuditEntryView {
    fn from(entry: &AuditEntry) -> AuditEntryView {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        AuditEntryView {
            id: entry.id,
            at: moment(entry.at_ms),
            actor: entry.actor.clone(),
            address: entry.address.clone(),
            action: entry.action.clone(),
            repository: said(&entry.repository),
            subject: said(&entry.subject),
        }
    }
}
