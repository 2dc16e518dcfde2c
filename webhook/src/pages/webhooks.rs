//! Webhooks on the page of a repository: their names, never their URLs, and the deliveries to them.

use super::form::button;
use super::moment::time;
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::Caller;
use crate::view::text::plain;
use database::{Notice, NoticeState};
use maud::{Markup, html};

/// Deliveries on the page.
pub(crate) const MAX_LISTED: u32 = 10;

/// Returns the webhooks and the newest deliveries to them.
pub(crate) fn told(caller: &Caller, repository: &Repository, notices: &[Notice]) -> Markup {
    let names: Vec<String> = repository.webhooks.iter().map(|webhook| plain(webhook.name.as_bytes())).collect();
    html! {
        p { "Told of builds: " (names.join(", ")) "." }
        @if !notices.is_empty() {
            table.cards {
                thead { tr { th { "Webhook" } th { "Event" } th { "Build" } th { "Outcome" } th.num { "When" } th { span.vh { "Actions" } } } }
                tbody { @for notice in notices { (row(caller, notice)) } }
            }
        }
    }
}

fn row(caller: &Caller, notice: &Notice) -> Markup {
    let action = format!("/repos/{}/webhooks/deliveries/{}/replay", notice.repository, notice.id);
    html! {
        tr {
            td { (plain(notice.webhook.as_bytes())) }
            td { (notice.event.as_str()) @if let Some(tag) = &notice.tag { " " code.tag { (plain(tag.as_bytes())) } } }
            td { a href=(format!("/builds/{}", notice.build.as_str())) { "its build" } }
            td.wide { (outcome(notice)) }
            td.num { (time(notice.created_ms)) }
            td { @if caller.may(Scope::Admin, &notice.repository) { (button(caller, &action, &html! { button { "Send again" } })) } }
        }
    }
}

fn outcome(notice: &Notice) -> Markup {
    let class = match notice.state {
        NoticeState::Pending => "off",
        NoticeState::Delivered => "ok",
        NoticeState::Failed => "bad",
    };
    html! {
        span class=(format!("state {class}")) { (notice.state.as_str()) }
        @if let Some(problem) = &notice.problem { " " (plain(problem.as_bytes())) }
        @if notice.state == NoticeState::Pending && notice.tries > 0 { "; next try " (time(notice.due_ms)) }
    }
}
