//! The page of all repositories.

use super::page::{Live, Page, admit};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::response::Response;
use maud::html;

/// Lists repositories.
pub(crate) async fn list(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let all = service.catalog.all(&service.database).await?;
    let seen: Vec<_> = all.iter().filter(|entry| caller.sees(&entry.document.name)).collect();
    let content = html! {
        div.head {
            h1 { "Repositories" }
            @if caller.session.is_some() && caller.may_everywhere(Scope::Admin) { a.btn.first.push href="/connect" { "Connect a repository" } }
        }
        @if seen.is_empty() {
            p.empty { "There are none yet: "
                @if caller.may_everywhere(Scope::Admin) { a href="/connect" { "connect one" } ", " }
                "add one to slipway.toml, or use " code { "slipway repo add" } "." }
        } @else {
            table.cards {
                thead { tr { th { "Repository" } th { "Image" } th { "Source" } th { "Rules" } th { "Defined in" } } }
                tbody {
                    @for entry in seen {
                        tr {
                            td { a href=(format!("/repos/{}", entry.document.name)) { (entry.document.name) } }
                            td { @for image in entry.repository.images() { code { (image) } " " } }
                            td.wide { (plain(entry.document.clone_url.as_bytes())) }
                            td.number { @if entry.repository.own_rules.is_some() { "its own" } @else { (entry.repository.rules.len()) } }
                            td { @if entry.version.is_some() { "the API" } @else { "slipway.toml" } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page { title: "Repositories", part: "Repositories", viewer: Some(&caller), mark: None, live: Live::No }
        .around(&content))
}
