//! Webhooks on the page of a repository: their names, never their URLs, and the deliveries to them.

use super::moment::time;
use crate::configuration::document::Webhook;
use crate::view::text::plain;
use database::{Notice, NoticeState};
use maud::{Markup, html};

/// Deliveries on the page.
pub const MAX_LISTED: u32 = 10;

/// Returns the webhooks and the newest deliveries to them.
pub fn told(webhooks: &[Webhook], notices: &[Notice]) -> Markup {
    let names: Vec<String> = webhooks.iter().map(|webhook| plain(webhook.name.as_bytes())).collect();
    html! {
        p { "Told of builds: " (names.join(", ")) "." }
        @if !notices.is_empty() {
            table {
                thead { tr { th { "When" } th { "Webhook" } th { "Event" } th { "Build" } th { "Outcome" } } }
                tbody { @for notice in notices { (row(notice)) } }
            }
        }
    }
}

fn row(notice: &Notice) -> Markup {
    html! {
        tr {
            td { (time(notice.created_ms)) }
            td { (plain(notice.webhook.as_bytes())) }
            td { (notice.event.as_str()) @if let Some(tag) = &notice.tag { " " code.tag { (plain(tag.as_bytes())) } } }
            td { a href=(format!("/builds/{}", notice.build.as_str())) { "its build" } }
            td.wide { (outcome(notice)) }
        }
    }
}

fn outcome(notice: &Notice) -> Markup {
    let class = match notice.state {
        NoticeState::Pending => "queued",
        NoticeState::Delivered => "succeeded",
        NoticeState::Failed => "failed",
    };
    html! {
        span class=(format!("state {class}")) { (notice.state.as_str()) }
        @if let Some(problem) = &notice.problem { " " (plain(problem.as_bytes())) }
        @if notice.state == NoticeState::Pending && notice.tries > 0 { "; next try " (time(notice.due_ms)) }
    }
}
