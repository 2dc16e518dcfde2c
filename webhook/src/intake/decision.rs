//! The decision about a push: builds, a fetch of the repository's own rules, or nothing and why.

use crate::configuration::settings::Repository;
use crate::forges::Push;
use crate::intake::build_requests::{BuildTrigger, Rules, first_line};
use crate::rules::skip_marker;
use database::{BuildRequest, NewRulesFetch, PushedRef, Trigger};

/// The decision about a delivery.
#[derive(Default)]
pub(crate) struct Decision {
    /// The builds.
    pub builds: Vec<BuildRequest>,
    /// The repository's own rules, if they are to be read first.
    pub rules_fetch: Option<NewRulesFetch>,
    /// The change of the ref.
    pub push: Option<PushedRef>,
    /// Ref of a pull request that was closed: its builds are superseded.
    pub closed: Option<String>,
    /// Why nothing is built, if nothing is.
    pub ignored: Option<&'static str>,
    /// More about that, a line for each rule.
    pub explain: Vec<String>,
}

impl Decision {
    /// Returns that nothing is built, and why.
    pub(crate) fn ignored(reason: &'static str, why: String) -> Decision {
        Decision { ignored: Some(reason), explain: vec![why], ..Decision::default() }
    }
}

/// Returns the decision to skip a push whose commit's message asks for it. A tag is built whatever its commit's message
/// says: release tools write the marker into the commit that they tag.
pub(crate) fn marked(push: &Push) -> Option<Decision> {
    if push.git_ref.starts_with("refs/tags/") {
        return None;
    }
    let commit = push.commit.as_deref().filter(|_| push.after.is_some())?;
    let marker = skip_marker(&push.message)?;
    let short = commit.get(..7).unwrap_or(commit);
    Some(Decision::ignored("skip_marker", format!("the message of commit {short} says `{marker}`")))
}

/// Applies the rules to a push, whatever its commit's message says.
pub(crate) fn of(repository: &Repository, push: &Push, trigger: Trigger) -> Decision {
    let Some(commit) = push.commit.as_deref().filter(|_| push.after.is_some()) else {
        return Decision::ignored("ref_deleted", format!("`{}` was deleted", push.git_ref));
    };
    if let Some(own) = &repository.own_rules {
        let rules_fetch = NewRulesFetch {
            repository: repository.name.clone(),
            clone_url: repository.clone_url.clone(),
            git_ref: push.git_ref.clone(),
            commit: Some(commit.to_owned()),
            commit_message: first_line(&push.message),
            trigger,
            path: own.path.clone(),
            rule: None,
        };
        return Decision { rules_fetch: Some(rules_fetch), ..Decision::default() };
    }
    let asked = BuildTrigger {
        git_ref: &push.git_ref,
        commit: Some(commit),
        message: &push.message,
        default_branch: push.default_branch.as_deref(),
        trigger,
    };
    let requested = Rules::of(repository).requests(&asked);
    let ignored = requested.builds.is_empty().then_some("no_rule_matched");
    Decision { builds: requested.builds, explain: requested.explain, ignored, ..Decision::default() }
}

/// Returns what a push did to its ref; `None` for one that removed it.
pub(crate) fn pushed_ref(push: &Push) -> Option<PushedRef> {
    let after = push.after.clone()?;
    Some(PushedRef { git_ref: push.git_ref.clone(), before: push.before.clone(), after })
}
