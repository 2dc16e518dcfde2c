//! The page that compares the images of two builds: sizes, packages, files, settings, and layers to download.

use super::build_tabs::{Tab, bar, tabs};
use super::links;
use super::page::{Live, Page, admit};
use super::sizes::change;
use super::words::{build_link, count, size, split_ref};
use crate::api::builds::find;
use crate::api::differences::{Against, AgainstQuery, SHADOW, chosen, difference, nearest, offered, shadow};
use crate::api::query::query;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::difference::is_same;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use database::{Build, FileDifference, FileFacts, ImageDifference, PackageDifference, SettingDifference};
use maud::{Markup, html};

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
        None | Some("") => nearest(&build, &offered).map(|other| Against::Build(Box::new(other.clone()))),
        Some(text) => Some(chosen(&service, &caller, &build, text).await?),
    };
    let found = match &other {
        Some(other) if build.image.is_some() => Some((difference(&service, &build, other, platform).await?, other)),
        _ => None,
    };
    let shadow = shadow(&service, &build).await?;
    let content = html! {
        (bar(&build))
        (tabs(&build, Tab::Compare))
        (choice(&build, other.as_ref(), &offered, shadow.as_deref()))
        @match &found {
            Some((difference, other)) => (shown(&build, other, difference)),
            None => p.empty { "There is no other image of this repository to compare with." },
        }
    };
    let title = format!("Compare {} #{}", build.request.repository, build.number);
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

fn choice(build: &Build, against: Option<&Against>, offered: &[Build], shadow: Option<&str>) -> Markup {
    let other = match against {
        Some(Against::Build(other)) => Some(&**other),
        Some(Against::Shadow(_)) | None => None,
    };
    let is_offered = other.is_none_or(|other| offered.iter().any(|known| known.id == other.id));
    html! {
        form.filter action=(format!("/builds/{}/diff", build.id.as_str())) {
            label for="against" { "Compare with" }
            select #against name="against" {
                @if let Some(image) = shadow {
                    option value=(SHADOW) selected[matches!(against, Some(Against::Shadow(_)))] { (image) " of the other service" }
                }
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

fn shown(build: &Build, other: &Against, difference: &ImageDifference) -> Markup {
    if let Some(failure) = &difference.failure {
        return html! { p.notice.hold { "The images can no longer be compared: " (plain(failure.message.as_bytes())) } };
    }
    html! {
        p {
            (build_link(build)) " compared with "
            @match other {
                Against::Build(other) => (build_link(other)),
                Against::Shadow(image) => code { (image) },
            }
            " for " (difference.platform)
        }
        @if is_same(difference) { p.notice { "The images hold the same files and settings." } }
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
