//! The tabs of a repository: builds, and settings for those who administer it.

use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::intake::catalog::Entry;
use maud::{Markup, html};

/// A tab of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// Builds, rules and figures.
    Builds,
    /// Settings and secrets.
    Settings,
    /// The steps that connect it to its forge.
    Connect,
}

/// Returns the tabs; nothing for those who see only one.
pub(super) fn tabs(caller: &Caller, entry: &Entry, at: Tab) -> Markup {
    let name = &entry.document.name;
    if caller.session.is_none() || !caller.may(Scope::Admin, name) {
        return html! {};
    }
    let all = [
        (Tab::Builds, format!("/repos/{name}"), "Builds"),
        (Tab::Settings, format!("/repos/{name}/settings"), "Settings"),
        (Tab::Connect, format!("/repos/{name}/connect"), "Connect"),
    ];
    html! {
        nav.tabs aria-label="This repository" {
            @for (tab, path, word) in &all { a aria-current=[(*tab == at).then_some("page")] href=(path) { (word) } }
        }
    }
}
