//! The text of a check run: what failed and its last lines, or what there is now; how long each step took, and which were cached.

use super::text::{StatusFacts, failed_step, size};
use crate::background::markdown::{block, cell, code};
use crate::forges::{Annotation, Check, CheckAction};
use crate::view::text::plain;
use crate::view::time::moment;
use database::{BuildState, Step};
use std::fmt::Write;

/// Steps that a table lists.
const MAX_STEPS: usize = 100;
/// Lines of what the failing step printed.
const MAX_LINES: usize = 30;
/// Characters of a summary; GitHub takes 65535 bytes.
const MAX_SUMMARY: usize = 16_000;
/// Characters of an instruction.
const MAX_INSTRUCTION: usize = 120;

/// Returns what a check run shows of a build besides its status.
pub(crate) fn check(known: &StatusFacts<'_>) -> Check {
    let (state, build) = (known.status.state, known.build);
    let awaits_approval = state == BuildState::Queued && build.is_some_and(|build| build.awaits_approval);
    let may_retry =
        matches!(state, BuildState::Failed | BuildState::Errored | BuildState::TimedOut | BuildState::Cancelled);
    let action = if awaits_approval { Some(CheckAction::Approve) } else { may_retry.then_some(CheckAction::Retry) };
    let at = |milliseconds: Option<i64>| milliseconds.and_then(moment);
    Check {
        external_id: known.status.build.as_str().to_owned(),
        summary: summary(known),
        annotations: annotations(known),
        actions: action.into_iter().collect(),
        awaits_approval,
        is_skipped: state == BuildState::Skipped,
        is_timed_out: state == BuildState::TimedOut,
        started_at: at(build.and_then(|build| build.started_ms)),
        completed_at: at(build.and_then(|build| build.finished_ms)),
    }
}

fn summary(known: &StatusFacts<'_>) -> String {
    let mut text = String::new();
    if let Some(step) = failed_step(known.steps) {
        let _ = writeln!(text, "Step {} failed: {}\n", step.number, code(&shown(step)));
        let _ = writeln!(text, "{}\n", block(&last_lines(known.output)));
    } else if let Some(reason) = known.build.and_then(|build| build.reason.as_ref()) {
        let _ = writeln!(text, "{}\n", block(&plain(database::redact(&reason.message).as_bytes())));
    }
    if let Some(image) = known.build.and_then(|build| build.image.as_ref()) {
        let _ = writeln!(text, "| | |\n|---|---|\n| Image | {} |", cell(&image.digest));
        for tag in &image.tags {
            let _ = writeln!(text, "| Tag | {} |", cell(tag));
        }
        let _ = writeln!(text, "| Size | {} |\n", size(image.size));
    }
    if !known.steps.is_empty() {
        text.push_str(&table(known.steps));
    }
    if text.is_empty() {
        text.push_str(if known.status.state.has_ended() { "There is no more to say." } else { "The build goes on." });
    }
    text.chars().take(MAX_SUMMARY).collect()
}

fn table(steps: &[Step]) -> String {
    let cached = steps.iter().filter(|step| step.cached).count();
    let mut text =
        format!("{cached} of {} steps cached\n\n| | Step | Took | Layer |\n|---:|---|---:|---:|\n", steps.len());
    for step in steps.iter().take(MAX_STEPS) {
        let took = match (step.cached, step.duration_ms) {
            (true, _) => "cached".to_owned(),
            (false, Some(took)) => format!("{:.1} s", took as f64 / 1000.0),
            (false, None) => step.state.as_str().replace('_', " "),
        };
        let layer = step.layer_size.map(size).unwrap_or_default();
        let _ = writeln!(text, "| {} | {} | {took} | {layer} |", step.number, cell(&shown(step)));
    }
    if let Some(more) = steps.len().checked_sub(MAX_STEPS).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n{more} more steps.");
    }
    text
}

/// Returns remarks about lines: why a step failed, or what is wrong with the Dockerfile where it could not be read.
fn annotations(known: &StatusFacts<'_>) -> Vec<Annotation> {
    let (Some(build), true) = (known.build, known.status.state.has_ended()) else { return Vec::new() };
    let Some(reason) = &build.reason else { return Vec::new() };
    let path = build.request.spec.dockerfile.trim_start_matches('/');
    let first = reason.message.lines().next().unwrap_or_default();
    let step = failed_step(known.steps);
    let file = path.rsplit('/').next().unwrap_or(path);
    let of_file = |line: &str| {
        let rest = line.strip_prefix(path).or_else(|| line.strip_prefix(file))?;
        rest.strip_prefix(':')?.split(':').next()?.trim().parse().ok()
    };
    let written = || reason.message.lines().find_map(of_file);
    let Some(line) = step.map(|step| step.line).or_else(written).filter(|line| *line > 0) else { return Vec::new() };
    let message = match step {
        Some(_) => format!("{}\n{}", sentence(first), last_lines(known.output)),
        None => sentence(&reason.message),
    };
    vec![Annotation {
        path: path.to_owned(),
        line,
        is_failure: true,
        message: message.trim().chars().take(4000).collect(),
    }]
}

fn sentence(text: &str) -> String {
    plain(database::redact(text).as_bytes())
}

fn shown(step: &Step) -> String {
    let instruction = sentence(&step.instruction);
    let mut shown: String = instruction.chars().take(MAX_INSTRUCTION).collect();
    if shown.len() < instruction.len() {
        shown.push('…');
    }
    shown
}

fn last_lines(output: &[u8]) -> String {
    let text = plain(output);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(MAX_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_without_colours() {
        assert_eq!(last_lines(b"one\n\n\x1b[31mtwo\x1b[0m\n\n"), "one\ntwo");
        let many: String = (0..50).map(|number| format!("{number}\n")).collect();
        assert_eq!(last_lines(many.as_bytes()).lines().next(), Some("20"));
    }
}
