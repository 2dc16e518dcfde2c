//! Failures of commands on images and containers, told as docker tells them.

use container::Error;
use registry_client::report;
use std::process::ExitCode;

/// Why a command failed, as docker would say it, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The text, without a line end.
    pub text: String,
    /// The exit code.
    pub code: u8,
    /// Whether an image or container is not there.
    pub is_missing: bool,
}

impl Failure {
    /// Prints the failure and returns its exit code.
    pub(crate) fn tell(&self) -> ExitCode {
        eprintln!("{}", webhook::sanitize(&database::redact(&self.text)));
        ExitCode::from(self.code)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure { text, code: 1, is_missing: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let (text, is_missing) = (report(&error), matches!(error, Error::NotFound(_)));
        // Mistakes of the command line are told by docker's client, without its daemon.
        let is_own = ["template parsing error", "invalid argument"].iter().any(|start| text.starts_with(start));
        let text = if is_own { text } else { format!("Error response from daemon: {text}") };
        Failure { text, code: 1, is_missing }
    }
}

/// Runs a command and tells its failure.
pub(crate) fn told(command: impl FnOnce() -> Result<ExitCode, Failure>) -> Result<ExitCode, String> {
    Ok(command().unwrap_or_else(|failure| failure.tell()))
}

/// Runs something for each of `names`; all are tried, and the failures are told.
pub(crate) fn each(names: &[String], mut one: impl FnMut(&str) -> Result<(), Failure>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in names {
        if let Err(failure) = one(name) {
            code = failure.tell();
        }
    }
    code
}
