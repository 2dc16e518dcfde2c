//! The first page: the newest builds, of all repositories or one.

use super::moment::time;
use super::page::{Page, admit, build_link, short, shown_ref, state, took};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::response::Response;
use database::{Build, BuildFilter};
use maud::{Markup, html};

/// Builds on the page.
const MAX_LISTED: u32 = 50;

/// Shows the newest builds.
pub async fn list(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let filter = BuildFilter { among: caller.only(), limit: MAX_LISTED, ..BuildFilter::default() };
    let builds = service.database.builds(&filter).await?;
    let seen: Vec<&Build> = builds.iter().filter(|build| caller.sees(&build.request.repository)).collect();
    let changes = seen.iter().any(|build| !build.state.has_ended());
    let paused = service.database.is_queue_paused().await?;
    let content = html! {
        h1 { "Builds" }
        @if paused { p.notice { "The queue is paused: new builds wait until somebody resumes it." } }
        (table(&seen))
    };
    Ok(Page { title: "Builds", part: "Builds", changes }.around(&content))
}

/// Returns a table of builds.
pub fn table(builds: &[&Build]) -> Markup {
    html! {
        @if builds.is_empty() {
            p.empty { "Nothing has been built yet. Push to a repository, or start a build with " code { "slipway trigger" } "." }
        } @else {
            table {
                thead { tr { th { "Build" } th { "State" } th.more { "Ref" } th { "Commit" } th.more { "Rule" } th { "Accepted" } th.more { "Took" } } }
                tbody {
                    @for build in builds {
                        tr {
                            td { (build_link(build)) }
                            td { (state(build.state)) }
                            td.more { (shown_ref(&build.request.spec.git_ref)) }
                            td.wide { code { (short(build.commit.as_deref())) } " " (plain(build.request.commit_message.as_bytes())) }
                            td.more { (plain(build.request.rule.as_bytes())) }
                            td { (time(build.created_ms)) }
                            td.number.more { @if let Some(took) = took(build) { (took) } }
                        }
                    }
                }
            }
        }
    }
}
