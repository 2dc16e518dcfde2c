//! `/v1/repos/{namespace}/{name}/rules`, and what they make of a ref, without building anything.

use crate::view::code::Code;
use super::named::{Present, Visible};
use super::repositories::{change, etag};
use super::triggers::own;
use crate::configuration::document::{RuleDocument, own_rules, rules};
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::{BuildTrigger, Rules};
use crate::rules::skip_marker;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::Trigger;
use serde::Deserialize;
use serde_json::{Value, json};

/// Shows the rules as they are written.
pub async fn show(Visible { entry, .. }: Visible, headers: HeaderMap) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&json!({ "rules": entry.document.rules })).unwrap_or_default();
    Ok(answer::tagged(&headers, body, "application/json", &etag(&entry)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacing {
    rules: Vec<RuleDocument>,
}

/// Replaces the rules.
pub async fn put(
    State(service): State<Service>,
    Present { entry, .. }: Present,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (replacing, _) = body::document::<Replacing>(&headers, body).await?;
    let rules = serde_json::to_value(&replacing.rules).unwrap_or_default();
    let entry = change(&service, &entry, &headers, |document| document["rules"] = rules).await?;
    let shown = axum::Json(json!({ "rules": entry.document.rules }));
    Ok((StatusCode::OK, [(axum::http::header::ETAG, etag(&entry))], shown).into_response())
}

/// The push to try, and rules to try it with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trying {
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

/// Says which rules match a ref, which tags result, and for each rule that does not match, why.
pub async fn test(
    State(service): State<Service>,
    Visible { entry, caller }: Visible,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trying: Trying = match caller.token {
        Some(_) => body::document(&headers, body).await?.0,
        None => body::small_document(&headers, body).await?.0,
    };
    let candidates = super::triggers::full_refs(&trying.git_ref)?;
    let commit = super::triggers::checked_commit(trying.commit.as_deref())?;
    // Fetching needs the scope to trigger builds.
    let reads = trying.file.is_none() && trying.rules.is_none() && entry.repository.own_rules.is_some();
    let own = match caller.require(Scope::Trigger, &entry.document.name) {
        Ok(_) if reads => own::read_first(&service, &entry.repository, &candidates, commit).await?,
        _ => None,
    };
    let repository = own.as_ref().map_or(&entry.repository, |own| &own.repository);
    let commit = own.as_ref().map(|own| own.commit.as_str()).or(commit);
    let invalid = |problem| Problem::new(Code::InvalidRules, problem);
    let (image, other) = match (&trying.file, &trying.rules) {
        (Some(text), _) => own_rules(repository, text).map(|(image, rules)| (image, Some(rules))).map_err(invalid)?,
        (None, Some(documents)) => {
            (repository.image.clone(), Some(rules(documents, entry.document.policy).map_err(invalid)?))
        }
        (None, None) => (repository.image.clone(), None),
    };
    let rules = Rules { repository, image: &image, rules: other.as_deref().unwrap_or(&repository.rules) };
    let evaluate = |git_ref: &str| {
        let trigger = Trigger::Push { delivery: String::new(), by: String::new() };
        let asked = BuildTrigger { git_ref, commit, message: &trying.message, default_branch: None, trigger };
        let matched = rules.evaluate(&asked);
        (
            matched.iter().any(|matched| matched.verdict.is_ok()),
            matched.iter().map(|matched| matched.shown()).collect::<Vec<Value>>(),
        )
    };
    // A short name is a branch first and a tag second, as for triggers.
    let tried: Vec<_> = candidates.iter().map(|git_ref| (git_ref, evaluate(git_ref))).collect();
    let (git_ref, (matches, shown)) = tried
        .iter()
        .find(|(_, (matches, _))| *matches)
        .or(tried.first())
        .ok_or_else(|| Problem::new(Code::InvalidRef, "no ref"))?;
    let marker = skip_marker(&trying.message).filter(|_| !git_ref.starts_with("refs/tags/"));
    Ok(axum::Json(json!({
        "ref": git_ref, "image": image, "rules": shown, "would_build": *matches && marker.is_none(), "skip_marker": marker,
        "rules_from": match (&own, &repository.own_rules) {
            _ if trying.file.is_some() || trying.rules.is_some() => "request",
            (Some(own), _) if own.has_file => "repository",
            (None, Some(_)) => "server, unless the repository's own file is there",
            _ => "server",
        },
        "commit": commit,
    }))
    .into_response())
}
