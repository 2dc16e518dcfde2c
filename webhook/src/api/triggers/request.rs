//! The body of a trigger, and the refs and rules that it selects.

use crate::configuration::document::{Priority, check_name, did_you_mean};
use crate::configuration::settings::Repository;
use crate::http::problem::Problem;
use crate::view::code::Code;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The body of a trigger.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TriggerRequest {
    /// Branch or tag, short or full name.
    #[serde(rename = "ref")]
    pub(super) git_ref: Option<String>,
    /// Full hash; the newest of the ref if it is not given.
    pub(super) commit: Option<String>,
    /// A rule, several, or `all`; those that match the ref if it is not given.
    pub(super) rule: Option<OneOrMany>,
    pub(super) tags: Vec<String>,
    pub(super) dockerfile: Option<String>,
    pub(super) context: Option<String>,
    pub(super) target: Option<String>,
    pub(super) build_args: BTreeMap<String, String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) secrets: Option<Vec<String>>,
    pub(super) platforms: Option<Vec<String>>,
    pub(super) cache: Option<Cache>,
    pub(super) pull: Option<bool>,
    pub(super) push: Option<bool>,
    pub(super) priority: Option<Priority>,
    pub(super) reason: Option<String>,
    pub(super) timeout: Option<String>,
    dry_run: bool,
}

/// One name or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// How a build uses the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cache {
    /// Every step that is there.
    Use,
    /// Nothing; what is made is kept.
    NoRead,
    /// The same.
    Off,
}

/// Which rules are meant.
pub(crate) enum Only {
    /// Those that match.
    Matching,
    /// All, each with its own ref if none is named.
    Everything,
    /// Those of these names.
    Named(Vec<String>),
}

impl Only {
    /// Tells whether a rule is meant.
    pub(crate) fn takes(&self, rule: &str) -> bool {
        match self {
            Only::Matching | Only::Everything => true,
            Only::Named(names) => names.iter().any(|name| name == rule),
        }
    }
}

impl TriggerRequest {
    /// Returns what asks for a ref, or for everything without one.
    pub(crate) fn for_ref(git_ref: Option<String>) -> TriggerRequest {
        TriggerRequest { git_ref, ..TriggerRequest::default() }
    }

    /// Returns what asks for a ref or commit, and maybe for one rule, in the words of a form; empty ones are not said.
    pub(crate) fn of_form(git_ref: &str, commit: &str, rule: &str) -> TriggerRequest {
        let said = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        TriggerRequest {
            git_ref: said(git_ref),
            commit: said(commit),
            rule: said(rule).map(OneOrMany::One),
            ..TriggerRequest::default()
        }
    }

    /// Returns the same for the ref and commit at which the rules were read; each rule keeps its own ref where all are
    /// asked for.
    pub(crate) fn at(&self, read: &super::own::AtCommit) -> TriggerRequest {
        let everything = matches!(self.only(&read.repository), Ok(Only::Everything));
        if self.names_no_ref() && everything {
            return self.clone();
        }
        TriggerRequest { git_ref: Some(read.git_ref.clone()), commit: Some(read.commit.clone()), ..self.clone() }
    }

    /// Tells whether nothing is to be stored.
    pub(crate) fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// Tells whether no ref is named.
    pub(crate) fn names_no_ref(&self) -> bool {
        self.git_ref.is_none() && self.commit.is_none()
    }

    /// Tells whether no rule is named.
    pub(crate) fn names_no_rule(&self) -> bool {
        self.rule.is_none()
    }

    /// Returns the commit, if one is named.
    pub(crate) fn commit(&self) -> Result<Option<&str>, Problem> {
        checked_commit(self.commit.as_deref())
    }

    /// Returns which rules are meant; one that is not there is an error.
    pub(crate) fn only(&self, repository: &Repository) -> Result<Only, Problem> {
        let names = match &self.rule {
            None => return Ok(Only::Matching),
            Some(OneOrMany::One(name)) if name == "all" && repository.rules.iter().all(|rule| rule.name != "all") => {
                return Ok(Only::Everything);
            }
            Some(OneOrMany::One(name)) => vec![name.clone()],
            Some(OneOrMany::Many(names)) => names.clone(),
        };
        for name in &names {
            if !repository.rules.iter().any(|rule| rule.name == *name) {
                let known: Vec<&str> = repository.rules.iter().map(|rule| rule.name.as_str()).collect();
                let problem = Problem::new(
                    Code::NoRuleMatched,
                    format!("there is no rule `{name}`{}", did_you_mean(name, known.iter().copied())),
                );
                return Err(problem.hint(format!("there are {}", known.join(", "))));
            }
        }
        Ok(Only::Named(names))
    }

    /// Returns the full names of the refs that may be meant, the likeliest first.
    pub(crate) fn refs(&self, repository: &Repository) -> Result<Vec<String>, Problem> {
        match (&self.git_ref, self.only_ref(repository)) {
            (Some(name), _) => full_refs(name),
            (None, Some(git_ref)) => Ok(vec![git_ref]),
            // The default branch's tags must not move to a commit that may be another branch's.
            (None, None) if self.commit.is_some() => Err(Problem::new(
                Code::MissingRef,
                "say with `ref` which branch or tag the commit is built for, or name a `rule` that is for one ref",
            )),
            (None, None) => Ok(match &repository.default_branch {
                Some(branch) => vec![format!("refs/heads/{branch}")],
                None => vec!["refs/heads/main".to_owned(), "refs/heads/master".to_owned()],
            }),
        }
    }

    /// Returns the ref of the one rule that is named, if it is for one ref alone.
    fn only_ref(&self, repository: &Repository) -> Option<String> {
        let name = match &self.rule {
            Some(OneOrMany::One(name)) => name,
            Some(OneOrMany::Many(names)) if names.len() == 1 => &names[0],
            _ => return None,
        };
        repository.rules.iter().find(|rule| rule.name == *name)?.only_ref()
    }
}

/// Checks a commit: a full hash.
pub(crate) fn checked_commit(commit: Option<&str>) -> Result<Option<&str>, Problem> {
    let valid = |commit: &&str| {
        matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match commit {
        Some(commit) if !valid(&commit) => {
            Err(Problem::new(Code::InvalidCommit, format!("commit {commit:?}: 40 hexadecimal digits are expected")))
        }
        commit => Ok(commit),
    }
}

/// Returns the full names that a branch or tag may have: a branch first and a tag second.
pub(crate) fn full_refs(name: &str) -> Result<Vec<String>, Problem> {
    let valid = !name.is_empty()
        && name.len() <= 255
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.chars().any(|char| char.is_control() || " ~^:?*[\\".contains(char));
    if !valid {
        return Err(Problem::new(Code::InvalidRef, format!("ref {name:?} is not a valid name of a branch or tag")));
    }
    if name.starts_with("refs/") {
        return Ok(vec![name.to_owned()]);
    }
    Ok(vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")])
}

/// Checks a text that a person wrote.
pub(crate) fn checked_reason(reason: &str) -> Result<String, Problem> {
    if reason.len() > 500 || reason.chars().any(char::is_control) {
        return Err(Problem::new(Code::InvalidReason, "a reason has at most 500 characters, on one line"));
    }
    Ok(reason.to_owned())
}

/// Checks the name of a stage.
pub(crate) fn checked_target(target: &str) -> Result<String, Problem> {
    check_name("target", target).map_err(|problem| Problem::new(Code::InvalidTarget, problem))?;
    Ok(target.to_owned())
}
