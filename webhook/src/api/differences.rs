//! `/v1/builds/{id}/diff`: in what the image of a build differs from that of another build, or from the one that another
//! service built.

use super::builds::find;
use crate::api::images;
use crate::api::query::query;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::difference::DifferenceView;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{Build, BuildFilter, BuildState, ImageDifference, ImagePair, ShadowPair};
use serde::Deserialize;

/// Builds that are offered to be compared with.
const MAX_OFFERED: u32 = 50;
/// The word for the image of another service.
pub(crate) const SHADOW: &str = "shadow";

/// Query of a comparison.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgainstQuery {
    pub against: Option<String>,
    pub platform: Option<String>,
}

/// The image that a build's is compared with.
#[derive(Debug)]
pub(crate) enum Against {
    /// That of another build.
    Build(Box<Build>),
    /// One that another service built, with its tag.
    Shadow(String),
}

/// Compares the image of a build with another one.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
    wanted: Result<Query<AgainstQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let AgainstQuery { against, platform } = query(wanted)?;
    let build = find(&service, &caller, &id).await?;
    let against = match against.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => chosen(&service, &caller, &build, text).await?,
        None => nearest(&build, &offered(&service, &build).await?)
            .map(|other| Against::Build(Box::new(other.clone())))
            .ok_or_else(|| not_comparable("the repository has no other image".to_owned()))?,
    };
    let difference = difference(&service, &build, &against, platform).await?;
    if let Some(failure) = &difference.failure {
        return Err(not_comparable(format!("the images cannot be compared: {}", failure.message)));
    }
    Ok(answer::document(&headers, &DifferenceView::new(&build, &against, difference)))
}

fn not_comparable(detail: String) -> Problem {
    Problem::new(Code::NotComparable, detail).hint("?against= names another build of the same repository")
}

/// Returns in what the images differ.
pub(crate) async fn difference(
    service: &Service,
    build: &Build,
    against: &Against,
    platform: Option<String>,
) -> Result<ImageDifference, Problem> {
    if build.image.is_none() {
        return Err(not_comparable(format!("build {} has no image", build.id.as_str())));
    }
    let id = build.id.clone();
    match against {
        Against::Build(other) => {
            images::difference(service, ImagePair { build: id, against: other.id.clone(), platform }).await
        }
        Against::Shadow(image) => {
            images::shadow(service, ShadowPair { build: id, image: image.clone(), platform }).await
        }
    }
}

/// Returns the newest other builds of the repository that have an image.
pub(crate) async fn offered(service: &Service, build: &Build) -> Result<Vec<Build>, Problem> {
    let filter = BuildFilter {
        repository: Some(build.request.repository.clone()),
        state: Some(BuildState::Succeeded),
        limit: MAX_OFFERED,
        ..BuildFilter::default()
    };
    let mut builds = service.database.builds(&filter).await?;
    builds.retain(|other| other.image.is_some() && other.id != build.id);
    Ok(builds)
}

/// Returns the newest earlier build, of the same rule if there is one.
pub(crate) fn nearest<'b>(build: &Build, offered: &'b [Build]) -> Option<&'b Build> {
    let mut earlier = offered.iter().filter(|other| other.number < build.number);
    let same = earlier.clone().find(|other| other.request.rule == build.request.rule);
    same.or_else(|| earlier.next()).or(offered.first())
}

/// Returns the image that somebody names: by the number or id of its build, or as that of the other service.
pub(crate) async fn chosen(service: &Service, caller: &Caller, build: &Build, text: &str) -> Result<Against, Problem> {
    let repository = &build.request.repository;
    if text == SHADOW {
        return shadow(service, build).await?.map(Against::Shadow).ok_or_else(|| {
            let detail =
                format!("`against` is `{SHADOW}`, but {repository} has no image of another service for this build");
            Problem::new(Code::InvalidAgainst, detail).hint("`shadow_of` of the repository names it")
        });
    }
    let other = match text.parse() {
        Ok(number) => service.database.build_number(repository, number).await?,
        Err(_) => Some(find(service, caller, text).await?),
    };
    let fits = |other: &Build| other.request.repository == *repository && other.id != build.id && other.image.is_some();
    other.filter(fits).map(|other| Against::Build(Box::new(other))).ok_or_else(|| {
        let detail =
            format!("`against` is `{text}`: the number of another build of {repository} with an image is expected");
        Problem::new(Code::InvalidAgainst, detail)
    })
}

/// Returns the image that another service builds of what a build was made of: that of its repository with the same tag.
pub(crate) async fn shadow(service: &Service, build: &Build) -> Result<Option<String>, Problem> {
    let entry = service.catalog.get(&service.database, &build.request.repository).await?;
    let Some(entry) = entry else { return Ok(None) };
    let repository = &entry.repository;
    let tags = build.request.spec.tags.iter();
    let mut own = tags.filter_map(|tag| tag.strip_prefix(repository.image.as_str())?.strip_prefix(':'));
    Ok(repository.shadow_of.as_ref().zip(own.next()).map(|(image, tag)| format!("{image}:{tag}")))
}
