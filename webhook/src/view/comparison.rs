//! Comparisons of builds as the API shows them: why each step was executed.

use super::explanation::{sentence, sentences, summary};
use super::text::word;
use database::{Build, Explained, ExplainedStep, Was, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A build compared with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplanationView {
    /// Id of the build.
    pub build: String,
    /// Id of the earlier build; null if there is none.
    pub against: Option<String>,
    /// The steps in the order of the Dockerfile, platform after platform.
    pub steps: Vec<ExplainedStepView>,
    /// Sentences about parts that could not be compared.
    pub notes: Vec<String>,
    /// The whole in one sentence.
    pub summary: String,
}

/// A step, and the reasons why it was executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedStepView {
    /// Counts the steps from 1.
    pub n: i64,
    /// Name or number of the stage.
    pub stage: String,
    /// The instruction on one line.
    pub instruction: String,
    /// First line in the Dockerfile.
    pub line: i64,
    /// `cached`, `executed`, `setting` (it makes no layer) or `not_reached`.
    pub was: String,
    /// Whether the layer came from the cache.
    pub cached: bool,
    /// The reasons: at least one.
    pub why: Vec<WhyView>,
    /// All reasons in one sentence.
    pub message: String,
}

/// A reason, with the fields of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// The code, `same` or `files_changed` for example, and its fields.
    #[serde(flatten)]
    pub why: serde_json::Map<String, serde_json::Value>,
    /// The reason as a sentence.
    pub message: String,
}

impl ExplanationView {
    /// Returns a comparison of `build` with `against`.
    pub fn new(build: &Build, against: Option<&Build>, explained: &Explained) -> ExplanationView {
        ExplanationView {
            build: build.id.as_str().to_owned(),
            against: against.map(|build| build.id.as_str().to_owned()),
            steps: explained.steps.iter().map(ExplainedStepView::from).collect(),
            notes: explained.notes.clone(),
            summary: summary(explained, build.state),
        }
    }
}

impl From<&ExplainedStep> for ExplainedStepView {
    fn from(step: &ExplainedStep) -> ExplainedStepView {
        ExplainedStepView {
            n: step.number,
            stage: step.stage.clone(),
            instruction: step.instruction.clone(),
            line: step.line,
            was: word(step.was),
            cached: step.was == Was::Cached,
            why: step.why.iter().map(WhyView::from).collect(),
            message: sentences(step),
        }
    }
}

impl From<&Why> for WhyView {
    fn from(why: &Why) -> WhyView {
        let fields = serde_json::to_value(why).ok().and_then(|value| value.as_object().cloned());
        WhyView { why: fields.unwrap_or_default(), message: sentence(why) }
    }
}

impl WhyView {
    /// Returns the stable code.
    pub fn code(&self) -> &str {
        self.why.get("code").and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}
