//! The page of a comparison: the reasons why steps of a build were executed.

use super::page::{Live, Page, admit};
use super::words::{build_link, count};
use crate::api::builds::find;
use crate::api::explain::{Explanation, explain};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::explanation::{sentences, summary};
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::response::Response;
use database::{ExplainedStep, Was};
use maud::{Markup, html};

/// Shows why each step of one build was executed.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let build = find(&service, &caller, &id).await?;
    let Explanation { explained, against } = explain(&service, &caller, &build, None).await?;
    let title = format!("Why {} #{} executed its steps", build.request.repository, build.number);
    let others = explained.steps.iter().filter(|step| step.was != Was::Executed).count() as i64;
    let content = html! {
        h1 { (plain(title.as_bytes())) }
        p { (build_link(&build)) @if let Some(against) = &against { " compared with " (build_link(against)) } }
        p.notice { (plain(summary(&explained, build.state).as_bytes())) "." }
        @for note in &explained.notes { p.notice { (plain(note.as_bytes())) "." } }
        (table(explained.steps.iter().filter(|step| step.was == Was::Executed)))
        @if others > 0 {
            p.empty { (count(others, "step")) " more: cached, not reached, or only settings. "
                a href=(format!("/v1/builds/{}/explain", build.id.as_str())) { "All as JSON" } }
        }
    };
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

fn table<'s>(steps: impl Iterator<Item = &'s ExplainedStep>) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "#" } th { "Instruction" } th { "Executed because" } } }
            tbody {
                @for step in steps {
                    tr {
                        td { (step.number) }
                        td.wide { code { (plain(step.instruction.as_bytes())) } }
                        td.wide { (plain(sentences(step).as_bytes())) }
                    }
                }
            }
        }
    }
}
