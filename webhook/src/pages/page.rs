//! The frame around every page: navigation, the account of who signed in, title and icon with the state.

use super::asset;
use super::form::hidden;
use super::mark::{self, Mark};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::session;
use crate::view::text::plain;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// Seconds after which a page that changes is fetched again where there are no scripts.
const REFRESH: u32 = 10;
/// The part that only administrators look at.
const REGISTRY: &str = "/registry";
/// The parts of the service: path, name, and the key that leads there after `g`.
const PARTS: [(&str, &str, &str); 5] = [
    ("/", "Builds", "b"),
    ("/queue", "Queue", "q"),
    ("/repos", "Repositories", "r"),
    ("/deliveries", "Deliveries", "d"),
    (REGISTRY, "Registry", "i"),
];

/// A page around its content.
pub(super) struct Page<'p> {
    /// Title, without the sign of the state.
    pub(super) title: &'p str,
    /// Which part of the navigation it belongs to.
    pub(super) part: &'p str,
    /// The person who looks at it, if known.
    pub(super) viewer: Option<&'p Caller>,
    /// The state that title and icon show.
    pub(super) mark: Option<Mark>,
    /// Whether it changes while one looks at it.
    pub(super) live: Live,
}

/// How a page stays up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    /// It does not change.
    No,
    /// It may change at any time; its own address streams when.
    List,
    /// It changes often until something has ended.
    UntilEnd,
}

impl Page<'_> {
    pub(super) fn around(&self, content: &Markup) -> Response {
        let sign = self.mark.map(|mark| mark.sign).unwrap_or_default();
        let title = format!("{sign} {} · slipway", self.title);
        let icon = match self.mark {
            Some(mark) if mark.colour() == "bad" => asset::ICON_FAILED,
            Some(mark) if mark.is_running() => asset::ICON_RUNNING,
            _ => asset::ICON,
        };
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if self.live == Live::UntilEnd { noscript { meta http-equiv="refresh" content=(REFRESH); } }
                    title { (title.trim()) }
                    link rel="icon" href=(icon.path()) type="image/svg+xml";
                    link rel="stylesheet" href=(asset::STYLE.path());
                    script src=(asset::SCRIPT.path()) defer {}
                }
                body data-live[self.live != Live::No] {
                    (mark::shapes())
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/" { "slipway" }
                        nav aria-label="Main" {
                            @for (path, name, key) in self.parts() {
                                a aria-current=[(name == self.part).then_some("page")] data-key=(key) href=(path) { (name) }
                            }
                        }
                        (self.account())
                    }
                    main #main { (content) }
                    div.vh #said role="status" {}
                    dialog #keys aria-label="Keys" { (keys()) }
                    footer { "slipway " (env!("CARGO_PKG_VERSION")) " " a href="/v1/openapi.json" { "API" } span.keyed { "Keys: " kbd { "?" } } }
                }
            }
        };
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
        (headers, document.into_string()).into_response()
    }

    /// Returns the parts that the viewer may look at.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let is_administrator = self.viewer.is_some_and(|viewer| viewer.may_everywhere(Scope::Admin));
        PARTS.into_iter().filter(move |(path, ..)| *path != REGISTRY || is_administrator)
    }

    fn account(&self) -> Markup {
        let Some(viewer) = self.viewer else { return html! {} };
        html! {
            @match (&viewer.token, &viewer.session) {
                (Some(token), Some(session)) => {
                    details.menu {
                        summary aria-label=(format!("Account: {}", token.name)) { (plain(token.name.as_bytes())) }
                        form action="/logout" method="post" {
                            @if viewer.person.is_some() { a href="/account" { "Account" } }
                            @if viewer.may_everywhere(Scope::Admin) { a href="/forges" { "Forges" } a href="/audit" { "Audit log" } }
                            (hidden(&session::proof(session))) button { "Sign out" }
                        }
                    }
                }
                (Some(token), None) => span.who { (plain(token.name.as_bytes())) },
                _ => a.who href="/login" { "Sign in" },
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        h2 { "Keys" }
        dl {
            dt { kbd { "j" } " " kbd { "k" } } dd { "next, previous" }
            dt { kbd { "Enter" } } dd { "open" }
            dt { kbd { "/" } } dd { "search" }
            @for (_, name, key) in PARTS { dt { kbd { "g" } " " kbd { (key) } } dd { (name.to_lowercase()) } }
            dt { kbd { "l" } " " kbd { "t" } " " kbd { "e" } } dd { "log, timeline, next error of a build" }
            dt { kbd { "f" } } dd { "follow the log, or pause" }
            dt { kbd { "?" } } dd { "this list" }
        }
        form method="dialog" { button { "Close" } }
    }
}

/// Refuses callers that may not read; a browser is then shown the page to sign in.
pub(super) fn admit(caller: &Caller) -> Result<(), crate::http::problem::Problem> {
    caller.may_read()
}
