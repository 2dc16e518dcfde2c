//! `slipway cancel`: ends a build.

use crate::client::OneBuild;
use std::process::ExitCode;

/// Runs the command.
pub(crate) fn run(arguments: &OneBuild) -> Result<ExitCode, String> {
    arguments.ask("cancel", |id, _| Ok(format!("{id} is asked to end")))
}
