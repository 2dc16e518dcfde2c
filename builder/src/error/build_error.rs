//! Why a build failed: a stable code for tools, a sentence for people, and who is to blame.

use super::code::Code;
use super::fault::Fault;
use std::fmt;
use std::sync::Arc;

/// A build ended without an image.
///
/// The text says what was being done to what; [`Error::detail`] adds the source line and the last output of the step,
/// ready to be shown below it.
#[derive(Debug, Clone)]
pub struct Error(Box<Failure>);

#[derive(Debug, Clone)]
struct Failure {
    code: Code,
    fault: Fault,
    message: String,
    detail: String,
    /// How much of the detail is what a step printed.
    output: usize,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
    step: Option<FailedStep>,
    places: Vec<(usize, usize)>,
}

/// The step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// Its number in the plan.
    pub number: usize,
    /// First and last line in the Dockerfile, from 1.
    pub lines: (usize, usize),
    /// The instruction on one line.
    pub instruction: String,
}

impl Error {
    /// Returns the error of a build that was cancelled.
    pub fn cancelled() -> Self {
        Error::new(Code::Cancelled, "the build was cancelled")
    }

    /// Returns an error; its code tells whose fault it is.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Failure {
            code,
            fault: code.fault(),
            message: message.into(),
            detail: String::new(),
            output: 0,
            cause: None,
            step: None,
            places: Vec::new(),
        }))
    }

    /// Says whose fault it is where the code alone does not tell.
    #[must_use]
    pub(super) fn with_fault(mut self, fault: Fault) -> Self {
        self.0.fault = fault;
        self
    }

    /// Adds the lines that are shown below the sentence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        if !self.0.detail.is_empty() && !detail.is_empty() {
            self.0.detail.push('\n');
        }
        self.0.detail.push_str(&detail);
        self
    }

    /// Adds the last lines of what a step printed, which who follows the build has seen already.
    #[must_use]
    pub fn with_output(self, output: impl Into<String>) -> Self {
        let mut error = self.with_detail(output);
        error.0.output = error.0.detail.len();
        error
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Adds to the sentence what may have been meant.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.0.message.push_str(hint);
        self
    }

    /// Says for which of several platforms it happened.
    #[must_use]
    pub fn for_platform(mut self, platform: &registry_client::Platform) -> Self {
        if self.code() != Code::Cancelled {
            self.0.message = format!("{platform}: {}", self.0.message);
        }
        self
    }

    /// Says in which step it happened, unless that is known already.
    #[must_use]
    pub fn at_step(mut self, number: usize, lines: (usize, usize), instruction: &str) -> Self {
        self.0.step.get_or_insert_with(|| FailedStep { number, lines, instruction: instruction.to_owned() });
        self
    }

    /// Says at which lines of the Dockerfile it happened, where several are to blame.
    #[must_use]
    pub fn at_places(mut self, places: Vec<(usize, usize)>) -> Self {
        self.0.places = places;
        self
    }

    /// Returns the first and last lines in the Dockerfile of all that is to blame.
    pub fn places(&self) -> Vec<(usize, usize)> {
        match &self.0.step {
            _ if !self.0.places.is_empty() => self.0.places.clone(),
            Some(step) if step.lines.0 > 0 => vec![step.lines],
            _ => Vec::new(),
        }
    }

    /// Returns the step that failed, if it was one.
    pub fn step(&self) -> Option<&FailedStep> {
        self.0.step.as_ref()
    }

    /// Returns the stable code: `step_failed`, `dockerfile_not_found`, …
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns who is to blame.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Returns the lines to show below the sentence; may be empty.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Returns the sentence with its causes, then the detail: what a person is shown.
    pub fn report(&self) -> String {
        self.report_with(&self.0.detail)
    }

    /// Returns the report without the lines that a step printed.
    pub fn report_without_output(&self) -> String {
        self.report_with(self.0.detail[self.0.output..].trim_start_matches('\n'))
    }

    fn report_with(&self, detail: &str) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        if !detail.is_empty() {
            text.push('\n');
            text.push_str(detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
