//! `slipway approve`: lets a build go that waits for approval.

use crate::client::{OneBuild, shown};
use std::process::ExitCode;

/// Runs the command.
pub fn run(arguments: &OneBuild) -> Result<ExitCode, String> {
    arguments.ask("approve", |id, answer| format!("{id} is approved by {}", shown(&answer["approved_by"])))
}
