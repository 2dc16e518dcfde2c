//! Protections of builds, as a self-test reports them.

use serde::{Deserialize, Serialize};

/// One protection of builds, and what it lacks here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Its name, by which the operator may do without it.
    pub name: String,
    /// The reason why it is missing; `None` if it is there.
    pub missing: Option<String>,
    /// Whether builds should not be run without it unless the operator says so.
    pub needed: bool,
}

impl Protection {
    pub(crate) fn new(name: &str, missing: Option<String>) -> Self {
        Protection { name: name.to_owned(), missing, needed: true }
    }
}
