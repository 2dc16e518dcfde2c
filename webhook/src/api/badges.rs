//! `/badges/{namespace}/{name}.svg` and `.json`: how the newest build of a branch, tag or rule went.

use crate::api::query::query;
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::{Caller, find};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::rules::RefKind;
use crate::view::code::Code;
use crate::view::service::BadgeView;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{Build, BuildFilter, BuildState};
use maud::{PreEscaped, html};
use serde::Deserialize;

/// Builds that are looked through for one that says something.
const MAX_SEARCHED: u32 = 20;

/// Query of a badge.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BadgeQuery {
    branch: Option<String>,
    tag: Option<String>,
    rule: Option<String>,
    label: Option<String>,
    style: Option<String>,
    token: Option<String>,
}

/// Shows a badge.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, file)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<BadgeQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let svg = file.strip_suffix(".svg");
    let name = svg
        .or_else(|| file.strip_suffix(".json"))
        .ok_or_else(|| Problem::new(Code::NotFound, "a badge ends in .svg or .json"))?;
    let asked = Asked { repository: format!("{namespace}/{name}"), is_picture: svg.is_some(), label: "image" };
    badge(&service, &asked, &caller, &headers, &wanted).await
}

/// Shows a badge where pages of repositories on Docker Hub had theirs from shields.io: `/docker/cloud/build/NAMESPACE/NAME`.
pub(crate) async fn show_hub(
    State(service): State<Service>,
    Path((namespace, file)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<BadgeQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let name = file.strip_suffix(".svg").or_else(|| file.strip_suffix(".json")).unwrap_or(&file);
    let is_picture = !file.ends_with(".json");
    let asked = Asked { repository: format!("{namespace}/{name}"), is_picture, label: "docker build" };
    badge(&service, &asked, &caller, &headers, &wanted).await
}

/// The badge that is asked for.
struct Asked {
    repository: String,
    /// Whether it is a picture, and not what shields.io makes one of.
    is_picture: bool,
    /// The words on its left side where the query has none.
    label: &'static str,
}

async fn badge(
    service: &Service,
    asked: &Asked,
    caller: &Caller,
    headers: &HeaderMap,
    wanted: &BadgeQuery,
) -> Result<Response, Problem> {
    let repository = asked.repository.as_str();
    let by_query = match &wanted.token {
        Some(token) => find(service, token).await?.is_some_and(|token| token.allows(Scope::Read, Some(repository))),
        None => false,
    };
    if !by_query {
        caller.may_read()?;
    }
    let visible = by_query || caller.sees(repository);
    let state = if visible { newest(service, repository, wanted).await? } else { None };
    let (message, color) = looks(state);
    let label = wanted.label.as_deref().unwrap_or(asked.label).chars().take(40).collect::<String>();
    let etag = answer::etag(format!("{label} {message} {} {:?}", asked.is_picture, wanted.style).as_bytes());
    let (body, kind) = if asked.is_picture {
        (picture(&label, message, color).into_bytes(), "image/svg+xml; charset=utf-8")
    } else {
        let (message, color) = (message.to_owned(), color.to_owned());
        let shields = BadgeView { schema_version: 1, label: label.clone(), message, color };
        (serde_json::to_vec(&shields).unwrap_or_default(), "application/json")
    };
    Ok(answer::tagged(headers, body, kind, &etag))
}

/// Returns the state of the newest build that was not made pointless by another.
async fn newest(service: &Service, repository: &str, wanted: &BadgeQuery) -> Result<Option<BuildState>, Problem> {
    let mut newest_of_all: Option<BuildState> = None;
    for git_ref in refs(service, repository, wanted).await? {
        let builds = builds(service, repository, wanted, git_ref).await?;
        if let Some(build) = builds.iter().find(|build| tells(build.state)) {
            return Ok(Some(build.state));
        }
        newest_of_all = newest_of_all.or(builds.first().map(|build| build.state));
    }
    Ok(newest_of_all)
}

/// Returns the refs of a badge: the one that is named, else the default branch. Where that is not known,
/// `main` and `master` count.
async fn refs(service: &Service, repository: &str, wanted: &BadgeQuery) -> Result<Vec<Option<String>>, Problem> {
    let branch = |name: &String| Some(format!("refs/heads/{name}"));
    if let Some(name) = &wanted.branch {
        return Ok(vec![branch(name)]);
    }
    if let Some(name) = &wanted.tag {
        return Ok(vec![Some(format!("refs/tags/{name}"))]);
    }
    let entry = service.catalog.get(&service.database, repository).await?;
    let rule = entry.as_ref().and_then(|entry| {
        let name = wanted.rule.as_ref()?;
        entry.repository.rules.iter().find(|rule| rule.name == *name)
    });
    if rule.is_some_and(|rule| rule.kind == RefKind::Tag) {
        // A rule for tags is about no branch.
        return Ok(vec![None]);
    }
    let written = entry.and_then(|entry| entry.repository.default_branch.clone());
    if let Some(name) = written {
        return Ok(vec![branch(&name)]);
    }
    // The branch that a forge named last may never be built here.
    let told = service.database.told_default_branch(repository).await?;
    let usual = ["main", "master"].map(str::to_owned);
    Ok(told.into_iter().chain(usual).map(|name| branch(&name)).collect())
}

/// Tells whether a state says how the repository is: what was skipped or ended on the way says nothing.
fn tells(state: BuildState) -> bool {
    !matches!(state, BuildState::Skipped | BuildState::Superseded | BuildState::Cancelled)
}

async fn builds(
    service: &Service,
    repository: &str,
    wanted: &BadgeQuery,
    git_ref: Option<String>,
) -> Result<Vec<Build>, Problem> {
    let filter = BuildFilter {
        repository: Some(repository.to_owned()),
        rule: wanted.rule.clone(),
        git_ref,
        // A badge tells how the repository is, not what strangers propose.
        is_of_repository: true,
        limit: MAX_SEARCHED,
        ..BuildFilter::default()
    };
    Ok(service.database.builds(&filter).await?)
}

fn looks(state: Option<BuildState>) -> (&'static str, &'static str) {
    match state {
        None => ("unknown", "lightgrey"),
        Some(BuildState::Succeeded) => ("passing", "brightgreen"),
        Some(BuildState::Skipped) => ("skipped", "lightgrey"),
        Some(BuildState::Superseded) => ("superseded", "lightgrey"),
        Some(BuildState::Failed) => ("failing", "red"),
        Some(BuildState::TimedOut) => ("timed out", "red"),
        Some(BuildState::Errored) => ("error", "orange"),
        Some(BuildState::Cancelled) => ("cancelled", "lightgrey"),
        Some(BuildState::Queued) => ("queued", "blue"),
        Some(BuildState::Preparing | BuildState::Building | BuildState::Pushing) => ("building", "blue"),
    }
}

/// Draws a badge; the letters of the font are about as wide as this.
fn picture(label: &str, message: &str, color: &str) -> String {
    let width = |text: &str| 10 + text.chars().count() * 7;
    let (left, right) = (width(label), width(message));
    let fill = match color {
        "brightgreen" => "#2c7",
        "red" => "#d43",
        "orange" => "#e82",
        "blue" => "#38c",
        _ => "#888",
    };
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(left + right) height="20" role="img" aria-label=(format!("{label}: {message}")) {
            title { (label) ": " (message) }
            rect width=(left + right) height="20" rx="3" fill="#444" {}
            rect x=(left) width=(right) height="20" rx="3" fill=(fill) {}
            g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
                text x=(left / 2) y="14" { (label) }
                text x=(left + right / 2) y="14" { (message) }
            }
        }
    };
    PreEscaped(svg.into_string()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_neutral() {
        // US-13
        for state in [BuildState::Skipped, BuildState::Superseded, BuildState::Cancelled] {
            assert_eq!(looks(Some(state)), (state.as_str(), "lightgrey"));
            assert!(!tells(state));
        }
        assert!(tells(BuildState::Succeeded) && tells(BuildState::Failed));
    }

    #[test]
    fn pictures_escape_what_they_are_given() {
        // SEC-26
        let svg = picture("<script>\"&", "passing", "red");
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script>"), "{svg}");
    }
}
