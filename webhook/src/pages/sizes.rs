//! Sizes as pictures: bars, and the size of a rule's images over time with the commits that moved it.

use super::links;
use super::moment::time;
use super::words::{author, short, size};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use database::{Build, BuildFilter, BuildState};
use maud::{Markup, html};

/// Builds of a chart.
const MAX_POINTS: u32 = 120;
/// Commits that are named.
const MAX_NAMED: usize = 8;
/// Height of a chart's area.
const HEIGHT: u64 = 96;
/// A change of fewer bytes is not worth a line.
const SMALL: u64 = 100_000;

/// Returns builds of branches and tags that have an image, oldest first.
pub(super) async fn history(service: &Service, repository: &str, rule: Option<&str>) -> Result<Vec<Build>, Problem> {
    let filter = BuildFilter {
        repository: Some(repository.to_owned()),
        rule: rule.map(str::to_owned),
        state: Some(BuildState::Succeeded),
        is_of_repository: true,
        limit: MAX_POINTS,
        ..BuildFilter::default()
    };
    let mut builds = service.database.builds(&filter).await?;
    builds.retain(|build| build.image.is_some());
    builds.reverse();
    Ok(builds)
}

/// Returns the chart of builds of one rule, oldest first; nothing where there are fewer than two.
pub(super) fn shown(builds: &[Build], heading: &str) -> Markup {
    let (Some(first), Some(last)) = (builds.first(), builds.last().filter(|_| builds.len() > 1)) else {
        return html! {};
    };
    let moves = moves(builds);
    let told =
        format!("{}: {} in #{}, {} in #{}", heading, size(bytes(first)), first.number, size(bytes(last)), last.number);
    html! {
        section.chart {
            h2 { (heading) }
            (picture(builds, &told))
            p.hint { (size(bytes(first))) " in #" (first.number) ", " (time(first.created_ms)) "; " (size(bytes(last))) " in #" (last.number) ", " (time(last.created_ms)) "." }
            @if !moves.is_empty() {
                h3 { "Commits that moved it" }
                table.cards {
                    thead { tr { th { "Commit" } th { "Build" } th { "By" } th.num { "Change" } th { span.vh { "Actions" } } } }
                    tbody { @for (build, before) in moves.iter().rev().take(MAX_NAMED) { (row(build, before)) } }
                }
            }
        }
    }
}

/// Returns a bar that stands for `part` of `whole`.
pub(super) fn amount(part: u64, whole: u64) -> Markup {
    let width = format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    html! { svg.bar aria-hidden="true" { rect.b0 width="100%" height="8" rx="2" {} rect width=(width) height="8" rx="2" {} } }
}

/// Returns a change of size in words: `+1.4 MB`.
pub(super) fn change(new: u64, old: u64) -> String {
    if new == old {
        return "the same".to_owned();
    }
    format!("{}{}", if new > old { "+" } else { "−" }, size(new.abs_diff(old)))
}

/// Returns how many per cent of a chart one of its bars gets: few bars are not broad.
pub(super) fn bar_width(bars: usize) -> f64 {
    (100.0 / bars.max(1) as f64).min(2.5)
}

fn picture(builds: &[Build], told: &str) -> Markup {
    let most = builds.iter().map(bytes).max().unwrap_or(1).max(1);
    let step = bar_width(builds.len());
    html! {
        svg.bars role="img" aria-label=(told) height=(HEIGHT) {
            @for (at, build) in builds.iter().enumerate() {
                @let height = (bytes(build) * HEIGHT / most).max(1);
                rect x=(format!("{:.2}%", at as f64 * step)) y=(HEIGHT - height) width=(format!("{:.2}%", step * 0.8)) height=(height) {
                    title { "#" (build.number) " " (short(build.commit.as_deref())) ": " (size(bytes(build))) }
                }
            }
        }
    }
}

/// Returns builds whose image has clearly another size than that of the build before, which is the second.
fn moves(builds: &[Build]) -> Vec<(&Build, &Build)> {
    let moved = |pair: &&[Build]| {
        let (old, new) = (bytes(&pair[0]), bytes(&pair[1]));
        new.abs_diff(old) >= SMALL.max(old / 100)
    };
    builds.windows(2).filter(moved).map(|pair| (&pair[1], &pair[0])).collect()
}

fn row(build: &Build, before: &Build) -> Markup {
    let commit = build.commit.as_deref().unwrap_or_default();
    html! {
        tr {
            td.wide {
                @match links::commit(&build.request.spec.clone_url, commit) {
                    Some(link) => a href=(link) { code { (short(Some(commit))) } },
                    None => code { (short(Some(commit))) },
                }
                " " (plain(build.request.commit_message.as_bytes()))
            }
            td { a.go href=(format!("/builds/{}", build.id.as_str())) { "#" (build.number) } }
            td { (author(build)) }
            td.num { (change(bytes(build), bytes(before))) }
            td { a href=(format!("/builds/{}/diff?against={}", build.id.as_str(), before.number)) { "Compare" } }
        }
    }
}

fn bytes(build: &Build) -> u64 {
    build.image.as_ref().map_or(0, |image| image.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_signs_and_bars_a_share() {
        assert_eq!([change(3_000, 1_000), change(1_000, 3_000), change(5, 5)], ["+2.0 kB", "−2.0 kB", "the same"]);
        assert!(amount(1, 4).into_string().contains(r#"width="25.00%""#));
        assert!(amount(0, 0).into_string().contains(r#"width="0.00%""#));
    }
}
