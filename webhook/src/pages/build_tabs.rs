//! The tabs of a build that has an image: the build, its image, and the comparison with another one.

use super::mark::Mark;
use crate::view::text::plain;
use database::Build;
use maud::{Markup, html};

/// A tab of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// The build itself.
    Build,
    /// Its image.
    Image,
    /// The comparison of images.
    Compare,
}

/// Returns the tabs; nothing for a build without an image.
pub(super) fn tabs(build: &Build, at: Tab) -> Markup {
    if build.image.is_none() {
        return html! {};
    }
    let id = build.id.as_str();
    let all = [
        (Tab::Build, format!("/builds/{id}"), "Build"),
        (Tab::Image, format!("/builds/{id}/image"), "Image"),
        (Tab::Compare, format!("/builds/{id}/diff"), "Compare"),
    ];
    html! {
        nav.tabs aria-label="This build" {
            @for (tab, path, name) in &all { a aria-current=[(*tab == at).then_some("page")] href=(path) { (name) } }
        }
    }
}

/// Returns the line with state and number on top of the other tabs.
pub(super) fn bar(build: &Build) -> Markup {
    let request = &build.request;
    html! {
        div.bh {
            (Mark::of_build(build).label())
            h1 { a href=(format!("/repos/{}", request.repository)) { (plain(request.repository.as_bytes())) } " #" (build.number) }
            span.cut { (plain(request.commit_message.as_bytes())) }
        }
    }
}
