//! The page that compares the images of two builds: sizes, packages, files, settings, and layers to download.

use super::build_tabs::{Tab, bar, tabs};
use super::links;
use super::page::{Live, Page, admit};
use super::sizes::change;
use super::words::{build_link, count, size, split_ref};
use crate::api::builds::find;
use crate::api::{images, query::query};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use database::{
    Build, BuildFilter, BuildState, FileDifference, FileFacts, ImageDifference, ImagePair, PackageDifference,
    SettingDifference,
};
use maud::{Markup, html};
use serde::Deserialize;

/// Builds that are offered to be compared with.
const MAX_OFFERED: u32 = 50;

/// The build to compare with.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgainstQuery {
    against: Option<String>,
    platform: Option<String>,
}

/// Compares the image of a build with that of another one.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    asked: Result<Query<AgainstQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let AgainstQuery { against, platform } = query(asked)?;
    let build = find(&service, &caller, &id).await?;
    let offered = offered(&service, &build).await?;
    let other = match against.as_deref().map(|text| text.trim().trim_start_matches('#')) {
        None | Some("") => nearest(&build, &offered).cloned(),
        Some(text) => Some(chosen(&service, &caller, &build, text).await?),
    };
    let difference = match &other {
        Some(other) if build.image.is_some() => {
            let pair = ImagePair { build: build.id.clone(), against: other.id.clone(), platform };
            Some((images::difference(&service, pair).await?, other))
        }
        _ => None,
    };
    let content = html! {
        (bar(&build))
        (tabs(&build, Tab::Compare))
        (choice(&build, other.as_ref(), &offered))
        @match &difference {
            Some((difference, other)) => (shown(&build, other, difference)),
            None => p.empty { "There is no other image of this repository to compare with." },
        }
    };
    let title = format!("Compare {} #{}", build.request.repository, build.number);
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

/// Returns the newest other builds of the repository that have an image.
async fn offered(service: &Service, build: &Build) -> Result<Vec<Build>, Problem> {
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
fn nearest<'b>(build: &Build, offered: &'b [Build]) -> Option<&'b Build> {
    let mut earlier = offered.iter().filter(|other| other.number < build.number);
    let same = earlier.clone().find(|other| other.request.rule == build.request.rule);
    same.or_else(|| earlier.next()).or(offered.first())
}

/// Returns the build that somebody names by its number or id.
async fn chosen(service: &Service, caller: &Caller, build: &Build, text: &str) -> Result<Build, Problem> {
    let repository = &build.request.repository;
    let other = match text.parse() {
        Ok(number) => service.database.build_number(repository, number).await?,
        Err(_) => Some(find(service, caller, text).await?),
    };
    let fits = |other: &Build| other.request.repository == *repository && other.id != build.id && other.image.is_some();
    other.filter(fits).ok_or_else(|| {
        let detail =
            format!("`against` is `{text}`: the number of another build of {repository} with an image is expected");
        Problem::new(Code::InvalidAgainst, detail)
    })
}

fn choice(build: &Build, other: Option<&Build>, offered: &[Build]) -> Markup {
    let is_offered = other.is_none_or(|other| offered.iter().any(|known| known.id == other.id));
    html! {
        form.filter action=(format!("/builds/{}/diff", build.id.as_str())) {
            label for="against" { "Compare with" }
            select #against name="against" {
                @if let Some(other) = other.filter(|_| !is_offered) { option value=(other.number) selected { (named(other)) } }
                @for known in offered {
                    option value=(known.number) selected[other.is_some_and(|other| other.id == known.id)] { (named(known)) }
                }
            }
            button { "Compare" }
            @if let Some(link) = other.and_then(|other| commits(build, other)) { a href=(link) { "Commits between them" } }
        }
    }
}

fn named(build: &Build) -> String {
    let (_, name) = split_ref(&build.request.spec.git_ref);
    let message: String = plain(build.request.commit_message.as_bytes()).chars().take(50).collect();
    format!("#{} {name} {message}", build.number)
}

fn commits(build: &Build, other: &Build) -> Option<String> {
    let (from, to) = (other.commit.as_deref()?, build.commit.as_deref()?);
    let base = links::repository(&build.request.spec.clone_url)?;
    (from != to && !base.contains("://bitbucket.org/")).then(|| format!("{base}/compare/{from}...{to}"))
}

fn shown(build: &Build, other: &Build, difference: &ImageDifference) -> Markup {
    if let Some(failure) = &difference.failure {
        return html! { p.notice.hold { "The images can no longer be compared: " (plain(failure.message.as_bytes())) } };
    }
    html! {
        p { (build_link(build)) " compared with " (build_link(other)) " for " (difference.platform) }
        (figures(difference))
        @for note in &difference.notes { p.notice { (plain(note.as_bytes())) "." } }
        @if !difference.packages.is_empty() { h2 { "Packages" } (packages(&difference.packages)) }
        @if !difference.settings.is_empty() { h2 { "Settings" } (settings(&difference.settings)) }
        @if !difference.privileged.is_empty() { h2 { "Files with setuid or setgid" } (files(&difference.privileged)) }
        @if !difference.files.is_empty() {
            h2 { "Files" }
            (files(&difference.files))
            @let (added, removed, changed) = difference.counts;
            @let more = (added + removed + changed).saturating_sub(difference.files.len() as u64);
            @if more > 0 { p.hint { (count(more as i64, "file")) " more, which changed the size less." } }
        }
        @if !difference.layers.is_empty() { h2 { "Layers that only #" (build.number) " has" } (layers(difference)) }
    }
}

fn figures(difference: &ImageDifference) -> Markup {
    let (new, old) = difference.compressed;
    let (added, removed, changed) = difference.counts;
    let download: u64 = difference.layers.iter().map(|layer| layer.size).sum();
    let (newer, fresh, gone) =
        difference.packages.iter().fold((0, 0, 0), |(newer, fresh, gone), it| match (&it.new, &it.old) {
            (Some(_), Some(_)) => (newer + 1, fresh, gone),
            (Some(_), None) => (newer, fresh + 1, gone),
            _ => (newer, fresh, gone + 1),
        });
    html! {
        dl.figs {
            div { dt { "To download" } dd { (change(new, old)) small { (size(old)) " to " (size(new)) } } }
            div { dt { "Unpacked" } dd { (change(difference.unpacked.0, difference.unpacked.1)) small { (size(difference.unpacked.1)) " to " (size(difference.unpacked.0)) } } }
            div { dt { "Files" } dd { (changed) " changed" small { (added) " added, " (removed) " removed" } } }
            div { dt { "Packages" } dd { (newer) " changed" small { (fresh) " added, " (gone) " removed" } } }
            div { dt { "Settings" } dd { (difference.settings.len()) " changed" small { (count(difference.privileged.len() as i64, "file")) " with setuid" } } }
            div { dt { "An update downloads" } dd { (size(download)) small { (count(difference.layers.len() as i64, "layer")) } } }
        }
    }
}

fn packages(packages: &[PackageDifference]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Name" } th { "Kind" } th { "Change" } th { "From" } th { "To" } } }
            tbody {
                @for package in packages {
                    tr {
                        td { b { (plain(package.name.as_bytes())) } }
                        td.dim { (package.manager) }
                        td { (word(package.new.is_some(), package.old.is_some())) }
                        td.dim { (text(package.old.as_deref())) }
                        td { (text(package.new.as_deref())) }
                    }
                }
            }
        }
    }
}

fn settings(settings: &[SettingDifference]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Setting" } th { "From" } th { "To" } } }
            tbody {
                @for setting in settings {
                    tr {
                        td { code { (plain(setting.name.as_bytes())) } }
                        td.wide.dim { code { (text(setting.old.as_deref())) } }
                        td.wide { code { (text(setting.new.as_deref())) } }
                    }
                }
            }
        }
    }
}

fn files(files: &[FileDifference]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "File" } th { "Change" } th.opt { "Mode" } th.num { "Size" } } }
            tbody {
                @for file in files {
                    @let (new, old) = (bytes(&file.new), bytes(&file.old));
                    tr {
                        td.wide { code { "/" (plain(file.path.as_bytes())) } }
                        td { (word(file.new.is_some(), file.old.is_some())) }
                        td.opt.dim { code { (modes(file)) } }
                        td.num { @if new == old { (size(new)) } @else { (change(new, old)) } }
                    }
                }
            }
        }
    }
}

fn layers(difference: &ImageDifference) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Instruction" } th.num { "Size" } } }
            tbody {
                @for layer in &difference.layers {
                    tr { td.wide { code { (plain(layer.instruction.as_bytes())) } } td.num { (size(layer.size)) } }
                }
            }
        }
    }
}

fn word(is_new: bool, was_old: bool) -> &'static str {
    match (is_new, was_old) {
        (true, true) => "changed",
        (true, false) => "added",
        _ => "removed",
    }
}

fn text(text: Option<&str>) -> String {
    text.map(|text| plain(text.as_bytes())).unwrap_or_default()
}

fn bytes(facts: &Option<FileFacts>) -> u64 {
    facts.map_or(0, |facts| facts.size)
}

/// Returns mode and owner, and those before where they were others.
fn modes(file: &FileDifference) -> String {
    let of = |facts: FileFacts| format!("{:04o} {}:{}", facts.mode, facts.owner.0, facts.owner.1);
    match (file.old.map(of), file.new.map(of)) {
        (Some(old), Some(new)) if old != new => format!("{old} → {new}"),
        (old, new) => new.or(old).unwrap_or_default(),
    }
}
