//! Turns the errors of what a build uses into its own: each says who is to blame.

use super::build_error::Error;
use super::code::Code;
use crate::git::{self, SourceError};
use crate::walk::WalkError;
use files::view::ViewError;
use registry_client::Fault;

impl Error {
    /// Returns the error of a commit, a repository or a context that cannot be had.
    pub fn source(error: SourceError) -> Self {
        Error::new(error.code(), error.to_string()).with_cause(error)
    }

    /// Returns the error of a store that cannot be read or written.
    pub fn store(doing: impl Into<String>, error: image_store::Error) -> Self {
        Error::new(Code::Store, doing).with_cause(error)
    }

    /// Returns the error of a registry that does not give or take what it is asked to.
    pub fn registry(doing: impl Into<String>, error: registry_client::Error) -> Self {
        use registry_client::Error as Cause;
        let made = match (&error, error.fault()) {
            (_, Fault::Upstream) => Error::new(Code::Registry, doing),
            (_, Fault::Service) => Error::new(Code::Registry, doing).with_fault(super::fault::Fault::Service),
            (Cause::NotFound(_) | Cause::NoPlatform(_), _) => Error::new(Code::ImageNotFound, doing),
            (Cause::NotReadable(_) | Cause::NotAllowed(_), _) => Error::new(Code::ImageNotAllowed, doing),
            (Cause::InvalidDocument { .. }, _) => Error::new(Code::InvalidImage, doing),
            (_, Fault::User) => Error::new(Code::RegistryDenied, doing),
        };
        made.with_cause(error)
    }

    /// Returns the error of a step that the sandbox could not run, or whose files it could not read.
    pub fn sandbox(doing: impl Into<String>, error: runtime::Error) -> Self {
        let made =
            if error.is_users_fault() { Error::new(Code::StepFailed, doing) } else { Error::new(Code::Sandbox, doing) };
        made.with_cause(error)
    }

    /// Returns the error of a context that cannot be read; the author of its files is to blame for names and sizes that
    /// no build takes.
    pub fn view(doing: impl Into<String>, error: ViewError) -> Self {
        match WalkError::of(&error) {
            Some(WalkError::Cancelled) => Error::cancelled(),
            Some(ended) => Error::new(ended.code(), doing).with_cause(ended.clone()),
            None if git::is_refused(&error) => Error::new(Code::SourceUnsafe, doing).with_cause(error),
            None => Error::new(Code::Source, doing).with_cause(error),
        }
    }
}

impl From<dockerfile::plan::Error> for Error {
    fn from(error: dockerfile::plan::Error) -> Self {
        let failure = Error::new(code(error.code()), error.to_string());
        let places = error.places().iter().map(|span| (span.first_line, span.last_line)).collect();
        match error.location() {
            Some(at) => failure.at_step(0, (at.span.first_line, at.span.last_line), &at.instruction),
            None => failure.at_places(places),
        }
    }
}

/// Returns the build's code for one of a plan.
fn code(code: dockerfile::plan::Code) -> Code {
    use dockerfile::plan::Code as Plan;
    match code {
        Plan::CircularDependency => Code::CircularDependency,
        Plan::DockerfileInvalid => Code::DockerfileInvalid,
        Plan::EnvironmentTooLarge => Code::EnvironmentTooLarge,
        Plan::Expansion => Code::Expansion,
        Plan::InvalidHostname => Code::InvalidHostname,
        Plan::InvalidPlatform => Code::InvalidPlatform,
        Plan::InvalidReference => Code::InvalidReference,
        Plan::LintViolation => Code::LintViolation,
        Plan::NotPermitted => Code::NotPermitted,
        Plan::StageNotFound => Code::StageNotFound,
        Plan::StageTooLarge => Code::StageTooLarge,
        Plan::TargetNotFound => Code::TargetNotFound,
        Plan::TooManyLayers => Code::TooManyLayers,
        Plan::WorkdirNotAllowed => Code::WorkdirNotAllowed,
        Plan::Internal => Code::Plan,
    }
}
