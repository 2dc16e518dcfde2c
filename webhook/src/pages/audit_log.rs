//! The page of the audit log, for administrators.

use super::moment::time;
use super::page::{Live, Page};
use crate::api::accounts::AuditQuery;
use crate::api::query::query;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use database::{AuditEntry, AuditFilter};
use maud::{Markup, html};

/// Entries on the page.
const MAX_LISTED: i64 = 100;

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let wanted = query(wanted)?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (actor, action, repository) = (given(&wanted.actor), given(&wanted.action), given(&wanted.repo));
    let filter = AuditFilter { actor, action, repository, before: wanted.cursor };
    let entries = service.database.audit_log(&filter, MAX_LISTED).await?;
    let older = entries.last().filter(|_| entries.len() as i64 == MAX_LISTED).map(|last| older(&filter, last.id));
    let content = html! {
        div.head { h1 { "Audit log" } }
        form.filter action="/audit" method="get" {
            input name="actor" placeholder="Who" aria-label="Who" value=[&filter.actor] autocomplete="off";
            input name="action" placeholder="Deed" aria-label="Deed" value=[&filter.action] autocomplete="off";
            input name="repo" placeholder="Repository" aria-label="Repository" value=[&filter.repository] autocomplete="off";
            button { "Show" }
        }
        @if entries.is_empty() { p.empty { "Nothing of this kind is recorded." } }
        @else { (table(&entries)) }
        @if let Some(older) = older { nav.older aria-label="Pages" { a.btn href=(older) { "Older" } } }
    };
    Ok(Page { title: "Audit log", part: "", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

fn table(entries: &[AuditEntry]) -> Markup {
    html! {
        table.cards {
            thead { tr { th.num { "When" } th { "Who" } th { "Deed" } th { "Repository" } th { "To what" } th { "Address" } } }
            tbody {
                @for entry in entries {
                    tr {
                        td.num { (time(entry.at_ms)) }
                        td { (plain(entry.actor.as_bytes())) }
                        td { (entry.action.replace('_', " ")) }
                        td { (plain(entry.repository.as_bytes())) }
                        td.wide { (plain(entry.subject.as_bytes())) }
                        td { (entry.address) }
                    }
                }
            }
        }
    }
}

fn older(filter: &AuditFilter, before: i64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("actor", &filter.actor), ("action", &filter.action), ("repo", &filter.repository)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/audit?{}", query.append_pair("cursor", &before.to_string()).finish())
}
