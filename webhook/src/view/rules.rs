//! Rules as the API shows them, and how they match a ref.

use super::text::shown_values;
use crate::configuration::document::RuleDocument;
use crate::intake::build_requests::RuleMatch;
use database::marks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rules of a repository as they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesView {
    /// The rules; empty stands for the default ones.
    pub rules: Vec<RuleDocument>,
}

/// The rules of a repository, tried on a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesTestView {
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The image without a tag.
    pub image: String,
    /// The rules in their order.
    pub rules: Vec<RuleMatchView>,
    /// Whether a push of the ref would build anything.
    pub would_build: bool,
    /// The marker in the commit's message that skips the build.
    pub skip_marker: Option<String>,
    /// The source of the rules: `request`, `repository`, `server`, or a sentence.
    pub rules_from: String,
    /// Full hash of the commit.
    pub commit: Option<String>,
}

/// A rule, and whether it matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleMatchView {
    /// Name of the rule.
    pub rule: String,
    /// Whether it matches.
    pub matches: bool,
    /// The image without a tag, if it is another one than the repository's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Tags of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Path of the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Path of the context, from `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Sentences about parts that were changed or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Build arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_args: Option<BTreeMap<String, String>>,
    /// Labels of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The reason why it does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl RuleMatchView {
    /// Returns a rule that was evaluated.
    pub(crate) fn new(evaluated: &RuleMatch<'_>) -> RuleMatchView {
        let rule = evaluated.rule;
        match &evaluated.verdict {
            Err(why) => RuleMatchView { rule: rule.name.clone(), why: Some(why.clone()), ..RuleMatchView::default() },
            Ok(matched) => RuleMatchView {
                rule: rule.name.clone(),
                matches: true,
                image: rule.image.clone(),
                tags: Some(matched.tags.iter().map(|tag| marks::shown(tag)).collect()),
                dockerfile: Some(rule.dockerfile.clone()),
                context: Some(format!("/{}", rule.context)),
                warnings: Some(matched.warnings.clone()),
                build_args: Some(shown_values(&matched.build_args)),
                labels: Some(shown_values(&matched.labels)),
                why: None,
            },
        }
    }
}
