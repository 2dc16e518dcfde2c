//! `slipway approve`: lets a build go that waits for approval.

use super::status::shown;
use crate::client::{OneBuild, read};
use std::process::ExitCode;
use webhook::view::build::BuildView;

/// Runs the command.
pub(crate) fn run(arguments: &OneBuild) -> Result<ExitCode, String> {
    arguments.ask("approve", |id, answer| {
        let build: BuildView = read(answer)?;
        Ok(format!("{id} is approved by {}", shown(build.approved_by.as_deref())))
    })
}
