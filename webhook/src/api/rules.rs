//! `/v1/repos/{namespace}/{name}/rules`, and trying them on a ref without building anything.

use super::named::{Present, Visible};
use super::repositories::{change_by, etag};
use super::triggers::own;
use crate::configuration::document::{RuleDefaults, RuleDocument, own_rules, rules};
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::{BuildTrigger, RuleMatch, Rules};
use crate::intake::catalog::Entry;
use crate::rules::skip_marker;
use crate::view::code::Code;
use crate::view::rules::{RuleMatchView, RulesTestView, RulesView};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::Trigger;
use serde::Deserialize;

/// Shows the rules as they are written.
pub(crate) async fn show(Visible { entry, .. }: Visible, headers: HeaderMap) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&RulesView { rules: entry.document.rules.clone() }).unwrap_or_default();
    Ok(answer::tagged(&headers, body, "application/json", &etag(&entry)))
}

/// Replaces the rules.
pub(crate) async fn put(
    State(service): State<Service>,
    Present { entry, caller, .. }: Present,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (replacing, _) = body::document::<RulesView>(&headers, body).await?;
    let rules = serde_json::to_value(&replacing.rules).unwrap_or_default();
    let entry = change_by(&service, &caller, &entry, &headers, |document| document["rules"] = rules).await?;
    let shown = axum::Json(RulesView { rules: entry.document.rules.clone() });
    Ok((StatusCode::OK, [(axum::http::header::ETAG, etag(&entry))], shown).into_response())
}

/// The push to try, and rules to try it with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trying {
    /// Branch or tag, short or full name.
    #[serde(rename = "ref")]
    git_ref: String,
    /// Full hash; templates show their names where it is missing.
    #[serde(default)]
    commit: Option<String>,
    /// The commit's message.
    #[serde(default)]
    message: String,
    /// Other rules than the repository has.
    #[serde(default)]
    rules: Option<Vec<RuleDocument>>,
    /// A `slipway.toml` of the repository's own.
    #[serde(default)]
    file: Option<String>,
}

impl Trying {
    /// Returns a push of a ref with a message.
    pub(crate) fn of_form(git_ref: &str, message: &str) -> Trying {
        Trying { git_ref: git_ref.to_owned(), message: message.to_owned(), ..Trying::default() }
    }
}

/// Says which rules match a ref, which tags result, and for each rule that does not match, why.
pub(crate) async fn test(
    State(service): State<Service>,
    Visible { entry, caller }: Visible,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trying: Trying = match caller.token {
        Some(_) => body::document(&headers, body).await?.0,
        None => body::small_document(&headers, body).await?.0,
    };
    Ok(axum::Json(try_push(&service, &caller, &entry, &trying).await?).into_response())
}

/// Says what a push would build.
pub(crate) async fn try_push(
    service: &Service,
    caller: &Caller,
    entry: &Entry,
    trying: &Trying,
) -> Result<RulesTestView, Problem> {
    let candidates = super::triggers::full_refs(&trying.git_ref)?;
    let commit = super::triggers::checked_commit(trying.commit.as_deref())?;
    // Fetching needs the scope to trigger builds.
    let reads = trying.file.is_none() && trying.rules.is_none() && entry.repository.own_rules.is_some();
    let own = match caller.require(Scope::Trigger, &entry.document.name) {
        Ok(_) if reads => own::read_first(service, &entry.repository, &candidates, commit).await?,
        _ => None,
    };
    let repository = own.as_ref().map_or(&entry.repository, |own| &own.repository);
    let commit = own.as_ref().map(|own| own.commit.as_str()).or(commit);
    let invalid = |problem| Problem::new(Code::InvalidRules, problem);
    let (image, other) = match (&trying.file, &trying.rules) {
        (Some(text), _) => own_rules(repository, text).map(|(image, rules)| (image, Some(rules))).map_err(invalid)?,
        (None, Some(documents)) => {
            let rules = rules(documents, &RuleDefaults::of(&entry.document)).map_err(invalid)?;
            (repository.image.clone(), Some(rules))
        }
        (None, None) => (repository.image.clone(), None),
    };
    let rules = Rules { repository, image: &image, rules: other.as_deref().unwrap_or(&repository.rules) };
    let evaluate = |git_ref: &str| {
        let event = Trigger::Push { delivery: String::new(), by: String::new() };
        let message = &trying.message;
        let trigger = BuildTrigger { git_ref, commit, message, default_branch: None, trigger: event };
        rules.evaluate(&trigger)
    };
    let does_match = |evaluated: &[RuleMatch<'_>]| evaluated.iter().any(|rule| rule.verdict.is_ok());
    // A short name is a branch first and a tag second, as for triggers.
    let tried: Vec<_> = candidates.iter().map(|git_ref| (git_ref, evaluate(git_ref))).collect();
    let found = tried.iter().find(|(_, evaluated)| does_match(evaluated)).or(tried.first());
    let (git_ref, evaluated) = found.ok_or_else(|| Problem::new(Code::InvalidRef, "no ref"))?;
    let marker = skip_marker(&trying.message).filter(|_| !git_ref.starts_with("refs/tags/"));
    let rules_from = match (&own, &repository.own_rules) {
        _ if trying.file.is_some() || trying.rules.is_some() => "request",
        (Some(own), _) if own.has_file => "repository",
        (None, Some(_)) => "server, unless the repository's own file is there",
        _ => "server",
    };
    let tested = RulesTestView {
        git_ref: (*git_ref).clone(),
        image: image.clone(),
        rules: evaluated.iter().map(RuleMatchView::new).collect(),
        would_build: does_match(evaluated) && marker.is_none(),
        skip_marker: marker.map(str::to_owned),
        rules_from: rules_from.to_owned(),
        commit: commit.map(str::to_owned),
    };
    Ok(tested)
}
