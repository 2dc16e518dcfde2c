//! Workers on the page of the queue: what each runs, since when, and how long that is likely to take.

use super::form::button;
use super::mark::Mark;
use super::moment::time;
use super::words::{count, now_ms, seconds, shown_ref, size};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::view::text::plain;
use database::{RunningBuild, WorkerRecord};
use maud::{Markup, html};

/// A build that runs, and how long it is likely to take from now on.
pub(super) type Running = (RunningBuild, Option<i64>);

/// Returns what runs where.
pub(super) fn running(caller: &Caller, running: &[Running]) -> Markup {
    let seen: Vec<&Running> = running.iter().filter(|(build, _)| caller.sees(&build.repository)).collect();
    let hidden = (running.len() - seen.len()) as i64;
    html! {
        h2 { "Running" }
        @if running.is_empty() { p.empty { "Nothing runs." } }
        @if !seen.is_empty() {
            table.cards {
                thead { tr { th { "State" } th { "Build" } th { "Ref" } th { "Worker" } th.num { "Runs for" } th.num { "Left" } } }
                tbody { @for (build, left) in seen { (row(build, *left)) } }
            }
        }
        @if hidden > 0 { p.hint { (count(hidden, "build")) " of repositories that you do not see." } }
    }
}

fn row(build: &RunningBuild, left: Option<i64>) -> Markup {
    let so_far = (now_ms() - build.started_ms).max(0);
    html! {
        tr {
            td { (Mark::of_state(build.state).label()) }
            td.wide {
                a.go href=(format!("/builds/{}", build.id.as_str())) { (plain(build.repository.as_bytes())) " " b { "#" (build.number) } }
                " " span.dim { (plain(build.commit_message.as_bytes())) }
            }
            td { (shown_ref(&build.git_ref)) }
            td { code.cut title=(plain(build.worker.as_bytes())) { (plain(build.worker.as_bytes())) } }
            td.num { span data-so-far=(so_far) { (seconds(so_far)) } }
            td.num { @match left { Some(left) => { "about " (seconds(left)) } None => span.dim title="builds before it took very different times, or there are too few" { "not known" } } }
        }
    }
}

/// Returns the workers.
pub(super) fn list(caller: &Caller, workers: &[WorkerRecord], running: &[Running]) -> Markup {
    let busy = |worker: &WorkerRecord| running.iter().filter(|(build, _)| build.worker == worker.name).count() as i64;
    html! {
        h2 #workers { "Workers" }
        @if workers.is_empty() { p.notice.hold { "No worker is there: nothing is built. " code { "slipway worker" } " starts one." } } @else {
            table.cards {
                thead { tr { th { "Worker" } th { "State" } th.num { "Runs" } th.num { "At once" } th { "Version" } th { "Platform" } th.num { "Disk" } th.num { "Heard of" } th { span.vh { "Actions" } } } }
                tbody {
                    @for worker in workers {
                        tr {
                            td { code.cut title=(plain(worker.name.as_bytes())) { (plain(worker.name.as_bytes())) } }
                            td { (state(worker, busy(worker))) }
                            td.num { (busy(worker)) }
                            td.num { (worker.slots) }
                            (info(worker))
                            td.num { (time(worker.seen_ms)) }
                            td { (switch(caller, worker)) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns cells with what a worker says of itself.
fn info(worker: &WorkerRecord) -> Markup {
    let Some(info) = &worker.info else { return html! { td { "older" } td {} td {} } };
    html! {
        td { (plain(info.version.as_bytes())) }
        td {
            (plain(info.platform.as_bytes()))
            @if !info.unprotected.is_empty() {
                " " span.state.hold title=(format!("its machine does not have: {}", info.unprotected.join(", "))) { "Less protected" }
            }
        }
        td.num { (size(info.disk_free_bytes)) " free of " (size(info.disk_bytes)) }
    }
}

fn state(worker: &WorkerRecord, busy: i64) -> Markup {
    html! {
        @match (worker.is_drained, busy) {
            (true, 0) => span.state.hold { "Drained" },
            (true, _) => span.state.hold { "Drains" },
            (false, 0) => span.state.off { "Idle" },
            _ => span.state.run { "Works" },
        }
    }
}

fn switch(caller: &Caller, worker: &WorkerRecord) -> Markup {
    if !caller.may_everywhere(Scope::Admin) {
        return html! {};
    }
    let name = url::form_urlencoded::byte_serialize(worker.name.as_bytes()).collect::<String>();
    let (action, word) = if worker.is_drained { ("undrain", "Give it builds again") } else { ("drain", "Drain") };
    button(caller, &format!("/workers/{name}/{action}"), &html! { button title="What it runs goes on" { (word) } })
}
