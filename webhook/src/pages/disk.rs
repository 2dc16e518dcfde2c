//! The page of the disk, for administrators: what takes up room on the machine of a worker, and removing what nobody needs.

use super::form::{Posted, button, see_other};
use super::page::{Live, Page};
use super::sizes::amount;
use super::words::{count, size};
use crate::api::images;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use axum::extract::State;
use axum::response::Response;
use database::DiskUse;
use maud::{Markup, html};

/// Shows what takes up room.
pub(crate) async fn show(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let disk = images::disk(&service, false).await?;
    let content = html! {
        div.head { h1 { "Disk" } (button(&caller, "/disk/clean", &html! { button { "Remove what nobody needs" } })) }
        p.hint { "On the machine of the worker " code { (disk.worker) } ". Builds stay, and whatever tags name; what was removed is fetched or made again when a build needs it." }
        (table(&disk))
        @if disk.is_partial { p.notice { "Not everything could be measured: it took too long, or belongs to the users of steps." } }
    };
    let (title, part) = ("Disk", "Queue");
    Ok(Page { title, part, viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

/// Removes what nobody needs.
pub(crate) async fn clean(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let by = posted.caller.require_everywhere(Scope::Admin)?;
    tracing::info!(by = by.name, "what nobody needs is removed from the disk");
    images::disk(&service, true).await?;
    Ok(see_other("/disk"))
}

fn table(disk: &DiskUse) -> Markup {
    let largest = disk.parts.iter().map(|part| part.bytes).max().unwrap_or(1).max(1);
    let all: u64 = disk.parts.iter().map(|part| part.bytes).sum();
    html! {
        table.cards {
            thead { tr { th { "Kind" } th.num { "Files" } th.opt { span.vh { "Share" } } th.num { "Size" } } }
            tbody {
                @for part in &disk.parts {
                    tr {
                        td { (part.name) }
                        td.num { (part.files) }
                        td.barcol.opt { (amount(part.bytes, largest)) }
                        td.num { (size(part.bytes)) }
                    }
                }
                tr { td { b { "All" } } td.num { (count(disk.parts.iter().map(|part| part.files as i64).sum(), "file")) } td.opt {} td.num { b { (size(all)) } } }
            }
        }
    }
}
