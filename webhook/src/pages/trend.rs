//! Durations and cache rate of a repository's builds over the last 90 days, and what they cost.

use super::sizes::bar_width;
use super::words::{count, seconds};
use database::TrendPoint;
use maud::{Markup, html};
use std::time::Duration;

/// The span of the figures.
pub(super) const SPAN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Height of the chart's area.
const HEIGHT: i64 = 72;
/// Points of a chart: of more, neighbours are put together.
const MAX_POINTS: usize = 90;

/// Returns the figures; nothing where nothing was built.
pub(super) fn shown(points: &[TrendPoint]) -> Markup {
    if points.is_empty() {
        return html! {};
    }
    let (steps, cached) = points.iter().fold((0, 0), |(steps, cached), it| (steps + it.steps, cached + it.cached));
    let told = format!("Durations of the last {}", count(points.len() as i64, "build"));
    html! {
        section.chart {
            h2 { "The last 90 days" }
            dl.figs {
                div { dt { "Took, in the middle" } dd { (seconds(middle(points.iter().map(|it| it.duration_ms)))) } }
                div { dt { "Longest" } dd { (seconds(points.iter().map(|it| it.duration_ms).max().unwrap_or(0))) } }
                div { dt { "From the cache" } dd { (percent(cached, steps)) small { (cached) " of " (count(steps, "step")) } } }
                div { dt { "Processor time" } dd { (seconds(points.iter().map(|it| it.cpu_ms).sum())) small { "of " (count(points.len() as i64, "build")) } } }
            }
            (picture(points, &told))
            p.hint { "Durations of builds that succeeded, oldest first; at most the newest 300." }
        }
    }
}

fn picture(points: &[TrendPoint], told: &str) -> Markup {
    let groups: Vec<&[TrendPoint]> = points.chunks(points.len().div_ceil(MAX_POINTS)).collect();
    let middles: Vec<i64> = groups.iter().map(|group| middle(group.iter().map(|it| it.duration_ms))).collect();
    let most = middles.iter().copied().max().unwrap_or(1).max(1);
    let step = bar_width(groups.len());
    html! {
        svg.bars role="img" aria-label=(told) height=(HEIGHT) {
            @for (at, (group, took)) in groups.iter().zip(&middles).enumerate() {
                @let height = (took * HEIGHT / most).max(1);
                rect x=(format!("{:.2}%", at as f64 * step)) y=(HEIGHT - height) width=(format!("{:.2}%", step * 0.8)) height=(height) {
                    title { "#" (group[0].number) @if group.len() > 1 { " to #" (group[group.len() - 1].number) } ": " (seconds(*took)) }
                }
            }
        }
    }
}

fn middle(durations: impl Iterator<Item = i64>) -> i64 {
    let mut sorted: Vec<i64> = durations.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn percent(part: i64, whole: i64) -> String {
    if whole == 0 { "nothing".to_owned() } else { format!("{} %", (part * 100 + whole / 2) / whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_middle() {
        assert_eq!((middle([9, 1, 2].into_iter()), middle([].into_iter())), (2, 0));
        assert_eq!([percent(1, 3), percent(2, 3), percent(0, 0)], ["33 %", "67 %", "nothing"]);
        let point = |number| TrendPoint { number, created_ms: 0, duration_ms: 1_000, steps: 4, cached: 3, cpu_ms: 5 };
        let points: Vec<TrendPoint> = (0..200).map(point).collect();
        let page = shown(&points).into_string();
        assert!(page.contains("75 %") && page.contains("1.0 s") && page.matches("<rect").count() == 67, "{page}");
        assert_eq!(shown(&[]).into_string(), "");
    }
}
