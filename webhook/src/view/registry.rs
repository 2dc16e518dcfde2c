//! Accounts and rights of the embedded registry as the API shows them.

use super::time::moment;
use database::{Account, Right};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryUserView {
    /// Its name.
    pub name: String,
    /// Whether a program uses it, and no person.
    pub robot: bool,
    /// Time at which it was made.
    pub created_at: Option<String>,
    /// Time at which it ends; null for one that stays until it is removed.
    pub expires_at: Option<String>,
    /// Whether it has ended.
    pub expired: bool,
    /// Its own rights, without those of everybody.
    pub rights: Vec<RightView>,
}

/// The accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryUserList {
    /// By name.
    pub users: Vec<RegistryUserView>,
}

/// A new account, or one with a new password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryUserPassword {
    /// The account.
    #[serde(flatten)]
    pub user: RegistryUserView,
    /// The password that was made for it, shown once; null where the request brought one.
    pub password: Option<String>,
}

/// A right: actions in the repositories of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RightView {
    /// The account; null for everybody, also without a login.
    pub user: Option<String>,
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pub pattern: String,
    /// `pull`, `push` and `delete`.
    pub actions: Vec<String>,
}

/// The rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RightList {
    /// By account and pattern.
    pub rights: Vec<RightView>,
}

impl RegistryUserView {
    /// Returns an account as it is at `now_ms`, with those of `rights` that are its own.
    pub fn new(account: &Account, rights: &[Right], now_ms: i64) -> RegistryUserView {
        RegistryUserView {
            name: account.name.clone(),
            robot: account.is_robot,
            created_at: moment(account.created_ms),
            expires_at: account.expires_ms.and_then(moment),
            expired: account.expires_ms.is_some_and(|at| at <= now_ms),
            rights: rights.iter().filter(|right| right.account == account.name).map(RightView::from).collect(),
        }
    }
}

impl From<&Right> for RightView {
    fn from(right: &Right) -> RightView {
        RightView {
            user: Some(right.account.clone()).filter(|name| !name.is_empty()),
            pattern: right.pattern.clone(),
            actions: right.actions.split(',').map(str::to_owned).collect(),
        }
    }
}
