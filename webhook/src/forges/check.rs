//! Check runs: what a forge shows of a build besides its status, and what people ask for there.

/// The part of a check run that a commit status does not have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    /// The build's id, by which the check run is found again.
    pub external_id: String,
    /// Text below the title, in Markdown.
    pub summary: String,
    /// Remarks about lines of the Dockerfile.
    pub annotations: Vec<Annotation>,
    /// The buttons.
    pub actions: Vec<CheckAction>,
    /// Whether somebody has to approve the build.
    pub awaits_approval: bool,
    /// Whether there was nothing to build.
    pub is_skipped: bool,
    /// Whether it took too long.
    pub is_timed_out: bool,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
}

/// A remark about a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation {
    /// Path from the root of the repository.
    pub path: String,
    /// The line, from 1.
    pub line: i64,
    /// Whether it is why the build failed.
    pub is_failure: bool,
    /// The remark.
    pub message: String,
}

/// A button of a check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckAction {
    /// Builds once more.
    Retry,
    /// Lets a build go that waits for approval.
    Approve,
}

impl CheckAction {
    /// Returns the action of this name.
    pub(crate) fn parse(name: &str) -> Option<CheckAction> {
        [CheckAction::Retry, CheckAction::Approve].into_iter().find(|action| action.as_str() == name)
    }

    /// Returns its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CheckAction::Retry => "retry",
            CheckAction::Approve => "approve",
        }
    }

    /// Returns the text of the button: at most 20 characters.
    pub(crate) fn label(self) -> &'static str {
        match self {
            CheckAction::Retry => "Retry",
            CheckAction::Approve => "Approve",
        }
    }

    /// Returns what it does: at most 40 characters.
    pub(crate) fn description(self) -> &'static str {
        match self {
            CheckAction::Retry => "Build again from the step that failed",
            CheckAction::Approve => "Build the commit of this pull request",
        }
    }
}

/// A request that somebody made at a check run, or at all of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckRequest {
    /// Number of the App whose check run it is.
    pub app: u64,
    /// The commit.
    pub commit: String,
    /// The build, as the check run's external id; `None` for all builds of the commit.
    pub build: Option<String>,
    /// The action; `None` for one that is not known.
    pub action: Option<CheckAction>,
    /// The user who asks.
    pub by: String,
}
