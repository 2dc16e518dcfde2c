//! Targets of bake files and compose files as the API shows them.

use database::GroupTarget;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A target of a bake file or compose file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetView {
    /// Its name.
    pub target: String,
    /// Id of its build.
    pub build: String,
    /// The state of its build.
    pub state: String,
}

impl From<&GroupTarget> for TargetView {
    fn from(target: &GroupTarget) -> TargetView {
        TargetView {
            target: target.name().to_owned(),
            build: target.id.as_str().to_owned(),
            state: target.state.as_str().to_owned(),
        }
    }
}
