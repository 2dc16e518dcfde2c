//! Why a Dockerfile cannot be planned: a stable code for tools, a sentence for people, and where in the file.

use crate::ast::{Instruction, Stage};
use crate::error::{ParseError, Span};
use std::fmt;

/// A plan could not be made.
#[derive(Debug, Clone)]
pub struct Error(Box<Problem>);

#[derive(Debug, Clone)]
struct Problem {
    code: Code,
    message: String,
    location: Option<Location>,
    places: Vec<Span>,
}

/// The instruction that cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Where it is.
    pub span: Span,
    /// The instruction on one line; empty where the text could not be parsed.
    pub instruction: String,
}

/// Stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Stages take files from each other in a circle.
    CircularDependency,
    /// The text is not a Dockerfile, or an instruction has no meaning.
    DockerfileInvalid,
    /// The variables of a stage are more than a command can be given.
    EnvironmentTooLarge,
    /// A variable could not be expanded.
    Expansion,
    /// The host name for commands is not one.
    InvalidHostname,
    /// A `--platform` is not a platform.
    InvalidPlatform,
    /// The name of an image is malformed.
    InvalidReference,
    /// Warnings are errors, and there are some.
    LintViolation,
    /// The step asks for a permission that no step gets.
    NotPermitted,
    /// A bug: planning lost track of something.
    Internal,
    /// A `--from` names no stage that comes before it.
    StageNotFound,
    /// A stage has more text than is kept in memory.
    StageTooLarge,
    /// The stage to build is not in the file.
    TargetNotFound,
    /// The image would have more layers than can be mounted.
    TooManyLayers,
    /// A `WORKDIR` in a file system of the kernel.
    WorkdirNotAllowed,
}

impl Code {
    /// Returns the code's text: `dockerfile_invalid`, `stage_not_found`, …
    pub fn code(self) -> &'static str {
        match self {
            Code::CircularDependency => "circular_dependency",
            Code::DockerfileInvalid => "dockerfile_invalid",
            Code::EnvironmentTooLarge => "environment_too_large",
            Code::Expansion => "expansion",
            Code::InvalidHostname => "invalid_hostname",
            Code::InvalidPlatform => "invalid_platform",
            Code::InvalidReference => "invalid_reference",
            Code::LintViolation => "lint_violation",
            Code::NotPermitted => "not_permitted",
            Code::Internal => "plan",
            Code::StageNotFound => "stage_not_found",
            Code::StageTooLarge => "stage_too_large",
            Code::TargetNotFound => "target_not_found",
            Code::TooManyLayers => "too_many_layers",
            Code::WorkdirNotAllowed => "workdir_not_allowed",
        }
    }
}

impl Error {
    /// Returns an error that does not know its place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Problem { code, message: message.into(), location: None, places: Vec::new() }))
    }

    /// Returns the error of a Dockerfile that has no meaning.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Code::DockerfileInvalid, message)
    }

    /// Adds the instruction that is to blame, unless one is known already.
    #[must_use]
    pub fn at(mut self, span: Span, instruction: &str) -> Self {
        self.0.location.get_or_insert_with(|| Location { span, instruction: instruction.to_owned() });
        self
    }

    /// Adds the instruction that is to blame as it stands in the file.
    #[must_use]
    pub fn at_instruction(self, instruction: &Instruction) -> Self {
        self.at(instruction.span, &instruction.original)
    }

    /// Adds the `FROM` line that is to blame.
    #[must_use]
    pub fn at_stage(self, stage: &Stage) -> Self {
        self.at(stage.span, &stage.original)
    }

    /// Adds all places that are to blame, where it takes several.
    #[must_use]
    pub fn at_places(mut self, places: Vec<Span>) -> Self {
        self.0.places = places;
        self
    }

    /// Returns the stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the instruction that is to blame, if it is one.
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// Returns all places that are to blame, where it takes several; else the instruction's, if it is known.
    pub fn places(&self) -> Vec<Span> {
        match &self.0.location {
            Some(location) if self.0.places.is_empty() => vec![location.span],
            _ => self.0.places.clone(),
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Error::invalid(error.to_string()).at(error.span(), "")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}
