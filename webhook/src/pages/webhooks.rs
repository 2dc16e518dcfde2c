//! Webhooks on the page of a repository: their names, never their URLs, and the deliveries to them.

use super::form::button;
use super::moment::time;
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::Caller;
use crate::view::text::plain;
use database::{Notification, NotificationState};
use maud::{Markup, html};

/// Deliveries on the page.
pub(crate) const MAX_LISTED: u32 = 10;

/// Returns the webhooks and the newest deliveries to them.
pub(crate) fn told(caller: &Caller, repository: &Repository, notifications: &[Notification]) -> Markup {
    let names: Vec<String> = repository.webhooks.iter().map(|webhook| plain(webhook.name.as_bytes())).collect();
    html! {
        p { "Told of builds: " (names.join(", ")) "." }
        @if !notifications.is_empty() {
            table.cards {
                thead { tr { th { "Webhook" } th { "Event" } th { "Build" } th { "Outcome" } th.num { "When" } th { span.vh { "Actions" } } } }
                tbody { @for notification in notifications { (row(caller, notification)) } }
            }
        }
    }
}

fn row(caller: &Caller, notification: &Notification) -> Markup {
    let action = format!("/repos/{}/webhooks/deliveries/{}/replay", notification.repository, notification.id);
    html! {
        tr {
            td { (plain(notification.webhook.as_bytes())) }
            td { (notification.event.as_str()) @if let Some(tag) = &notification.tag { " " code.tag { (plain(tag.as_bytes())) } } }
            td { a href=(format!("/builds/{}", notification.build.as_str())) { "its build" } }
            td.wide { (outcome(notification)) }
            td.num { (time(notification.created_ms)) }
            td { @if caller.may(Scope::Admin, &notification.repository) { (button(caller, &action, &html! { button { "Send again" } })) } }
        }
    }
}

fn outcome(notification: &Notification) -> Markup {
    let class = match notification.state {
        NotificationState::Pending => "off",
        NotificationState::Delivered => "ok",
        NotificationState::Failed => "bad",
    };
    html! {
        span class=(format!("state {class}")) { (notification.state.as_str()) }
        @if let Some(problem) = &notification.problem { " " (plain(problem.as_bytes())) }
        @if notification.state == NotificationState::Pending && notification.tries > 0 { "; next try " (time(notification.due_ms)) }
    }
}
