//! The page of an image: layers by instruction, settings, files as a tree, and its size over time.

use super::build_tabs::{Tab, bar, tabs};
use super::image_files::Place;
use super::page::{Live, Page, admit};
use super::sizes::{self, amount};
use super::words::{size, split_ref};
use crate::api::builds::find;
use crate::api::{images, query::query};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use database::{Build, ImageContents, ImageLayer, ImagePart, ImageSettings, Step};
use maud::{Markup, html};
use serde::Deserialize;

/// The part of the image that is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PartQuery {
    platform: Option<String>,
    layer: Option<u64>,
    path: String,
    skip: u64,
}

/// Shows the image of a build.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    part: Result<Query<PartQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let part = query(part)?;
    let build = find(&service, &caller, &id).await?;
    let content = html! {
        (bar(&build))
        (tabs(&build, Tab::Image))
        @if build.image.is_none() {
            p.empty { "This build has no image: only builds that succeeded have one." }
        } @else {
            (content(&service, &build, part).await?)
        }
    };
    let title = format!("Image of {} #{}", build.request.repository, build.number);
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

async fn content(service: &Service, build: &Build, part: PartQuery) -> Result<Markup, Problem> {
    let path = part.path.trim_matches('/').to_owned();
    let asked = ImagePart {
        build: build.id.clone(),
        platform: part.platform.clone(),
        layer: part.layer,
        path: path.clone(),
        skip: part.skip,
    };
    let contents = images::contents(service, asked).await?;
    let steps = service.database.steps(&build.id).await?;
    let request = &build.request;
    let history = sizes::history(service, &request.repository, Some(&request.rule)).await?;
    let place = Place { build, platform: part.platform.as_deref(), layer: part.layer, path: &path, skip: part.skip };
    Ok(html! {
        (head(build, part.platform.as_deref()))
        @if let Some(failure) = &contents.failure {
            p.notice.hold { "The image cannot be read any more: " (plain(failure.message.as_bytes())) }
        } @else {
            section aria-labelledby="layers" {
                h2 #layers { "Layers" }
                (layers(&contents, build, &steps, &place))
            }
            div.cols {
                section aria-labelledby="files" {
                    h2 #files { "Files" @if let Some(layer) = part.layer { " of layer " (layer) } }
                    (place.shown(&contents.listing))
                }
                section aria-labelledby="settings" { h2 #settings { "Settings" } (settings(&contents.settings)) }
            }
        }
        (sizes::shown(&history, "Size over time"))
    })
}

fn head(build: &Build, platform: Option<&str>) -> Markup {
    let Some(image) = &build.image else { return html! {} };
    let platforms = &build.request.spec.options.platforms;
    let (kind, name) = split_ref(&build.request.spec.git_ref);
    html! {
        @if let Some(tag) = image.tags.first() {
            div.cmd { code { "docker pull " (plain(tag.as_bytes())) } button.copy.scripted hidden type="button" { "Copy" } }
        }
        p.line {
            span { (size(image.size)) " to download" }
            code title=(image.digest) { (image.digest.get(..19).unwrap_or(&image.digest)) }
            span title=(kind) { (name) }
            @if platforms.len() > 1 {
                @for (number, known) in platforms.iter().enumerate() {
                    @let is_it = platform.map_or(number == 0, |platform| platform == known);
                    a aria-current=[is_it.then_some("true")] href=(format!("?platform={known}")) { (known) }
                }
            }
        }
    }
}

fn layers(contents: &ImageContents, build: &Build, steps: &[Step], place: &Place<'_>) -> Markup {
    let largest = contents.layers.iter().map(|layer| layer.size).max().unwrap_or(1).max(1);
    let step = |layer: &ImageLayer| steps.iter().find(|step| step.layer_digest.as_deref() == Some(&layer.digest));
    html! {
        table.cards {
            thead { tr { th { "#" } th { "Instruction" } th { "Origin" } th { span.vh { "Share" } } th.num { "Size" } } }
            tbody {
                @for (at, layer) in contents.layers.iter().enumerate() {
                    @let number = at as u64 + 1;
                    tr.at[place.layer == Some(number)] {
                        td.dim { (number) }
                        td.wide { a.go href=(place.of_layer(Some(number))) { code { (instruction(layer)) } } }
                        td { (origin(build, step(layer))) }
                        td.barcol.opt { (amount(layer.size, largest)) }
                        td.num { (size(layer.size)) }
                    }
                }
            }
        }
    }
}

fn instruction(layer: &ImageLayer) -> String {
    if layer.instruction.is_empty() { "not written down".to_owned() } else { plain(layer.instruction.as_bytes()) }
}

/// Says where a layer comes from: a step of the build, or the base image.
fn origin(build: &Build, step: Option<&Step>) -> Markup {
    html! {
        @match step {
            Some(step) => {
                a href=(format!("/builds/{}#s{}", build.id.as_str(), step.number)) { "step " (step.number) }
                @if step.cached { ", cached" }
            }
            None => span.dim { "base image" },
        }
    }
}

fn settings(settings: &ImageSettings) -> Markup {
    let words = |words: &Option<Vec<String>>| words.as_ref().map(|words| plain(words.join(" ").as_bytes()));
    let text = |text: &str| (!text.is_empty()).then(|| plain(text.as_bytes()));
    let facts = [
        ("Entry point", words(&settings.entrypoint)),
        ("Command", words(&settings.command)),
        ("User", text(&settings.user).or_else(|| Some("root, as none is set".to_owned()))),
        ("Folder", text(&settings.working_dir)),
        ("Ports", text(&settings.ports.join(", "))),
        ("Volumes", text(&settings.volumes.join(", "))),
        ("Stop signal", text(&settings.stop_signal)),
        ("Health check", text(&settings.healthcheck.join(" "))),
    ];
    html! {
        dl {
            @for (name, value) in &facts { @if let Some(value) = value { dt { (name) } dd { code { (value) } } } }
        }
        @if !settings.environment.is_empty() { h3 { "Environment" } (pairs(settings.environment.iter())) }
        @if !settings.labels.is_empty() { h3 { "Labels" } (pairs(settings.labels.iter())) }
    }
}

fn pairs<'p>(pairs: impl Iterator<Item = (&'p String, &'p String)>) -> Markup {
    html! {
        dl { @for (name, value) in pairs { dt { code { (plain(name.as_bytes())) } } dd { code { (plain(value.as_bytes())) } } } }
    }
}
