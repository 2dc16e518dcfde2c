//! Errors of sandboxes, and whose fault they are.

use serde::{Deserialize, Serialize};
use std::io;

/// The sandbox could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine cannot confine builds; says what is missing and what to do.
    #[error("{0}")]
    Unsupported(String),
    /// A system call of the service failed.
    #[error("{doing}")]
    System {
        /// The operation and its object.
        doing: String,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The step cannot run as it is written.
    #[error("{0}")]
    Step(String),
    /// The command of the step cannot be executed.
    #[error("{text}")]
    NotExecuted {
        /// The reason.
        text: String,
        /// The exit code by which shells and docker tell of it.
        code: i32,
    },
    /// A layer's tar cannot be unpacked.
    #[error("{0}")]
    Layer(String),
    /// The sandbox itself failed; neither the build nor its author is at fault.
    #[error("the sandbox failed {0}")]
    Inside(String),
    /// The helper is gone.
    #[error("the sandbox process ended unexpectedly")]
    Gone,
    /// The input of a stream could not be read.
    #[error("reading the stream that goes into the sandbox")]
    Input(#[source] io::Error),
    /// The output of a stream could not be written.
    #[error("writing the stream that comes out of the sandbox")]
    Output(#[source] io::Error),
}

impl Error {
    /// Returns whether the author of the build can fix it.
    pub fn is_users_fault(&self) -> bool {
        matches!(self, Error::Step(_) | Error::NotExecuted { .. } | Error::Layer(_) | Error::Input(_))
    }

    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |cause| Error::System { doing, cause }
    }
}

/// An error on its way out of the helper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum HelperError {
    /// The user's.
    Step(String),
    /// The command's, with an exit code.
    NotExecuted(String, i32),
    /// The layer's.
    Layer(String),
    /// The sandbox's own.
    Inside(String),
}

impl HelperError {
    /// Says what was being done when a system call failed.
    pub(crate) fn inside(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |cause| HelperError::Inside(format!("{doing}: {cause}"))
    }
}

impl From<HelperError> for Error {
    fn from(error: HelperError) -> Self {
        match error {
            HelperError::Step(text) => Error::Step(text),
            HelperError::NotExecuted(text, code) => Error::NotExecuted { text, code },
            HelperError::Layer(text) => Error::Layer(text),
            HelperError::Inside(text) => Error::Inside(text),
        }
    }
}
