//! The timeline of a build: stages below each other, steps as bars, the critical path in full colour.

use super::mark::Mark;
use super::words::{now_ms, seconds};
use crate::view::text::plain;
use database::{Build, PathPiece, Step, StepState};
use maud::{Markup, html};

/// Ticks of the axis, at most.
const MAX_TICKS: i64 = 6;
/// Pieces of the critical path that are shown took at least this part of the build.
const NEGLIGIBLE: i64 = 200;
/// Distances between two ticks, in milliseconds.
const DISTANCES: [i64; 14] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];

/// The timeline of a build.
pub(crate) struct Timeline<'b> {
    build: &'b Build,
    steps: &'b [Step],
    path: &'b [PathPiece],
    began: i64,
    span: i64,
}

/// A piece of work before the first or after the last step.
struct Piece {
    name: String,
    from: i64,
    took: i64,
}

impl<'b> Timeline<'b> {
    /// Returns the timeline of a build; `None` before it has started.
    pub(crate) fn new(build: &'b Build, steps: &'b [Step], path: &'b [PathPiece]) -> Option<Timeline<'b>> {
        let ended = build.finished_ms.unwrap_or_else(now_ms);
        let first = steps.iter().filter_map(|step| step.started_ms).min();
        // Steps are those of the last attempt, which began long after the first one.
        let before: i64 = before(path).iter().map(milliseconds).sum();
        let began = match (build.attempt, first) {
            (2.., Some(first)) => first - before,
            _ => build.started_ms?,
        };
        Some(Timeline { build, steps, path, began, span: (ended - began).max(1) })
    }

    /// Returns the timeline.
    pub(crate) fn shown(&self) -> Markup {
        let stages = self.steps.chunk_by(|one, other| one.stage == other.stage);
        let (before, after) = (self.pieces_before(), self.pieces_after());
        html! {
            ol.tl {
                li.ax aria-hidden="true" { svg.axis { @for tick in self.ticks() {
                    line x1=(self.percent(tick)) x2=(self.percent(tick)) y1="16" y2="22" {}
                    text x=(self.percent(tick)) y="12" { (short(tick)) }
                } } }
                @if !before.is_empty() { li { span.st { "Before" } ol { @for piece in &before { (self.piece(piece)) } } } }
                @for stage in stages {
                    li {
                        span.st.cut title=(plain(stage[0].stage.as_bytes())) { (plain(stage[0].stage.as_bytes())) }
                        ol { @for steps in stage.chunk_by(|one, other| is_quiet(one) && is_quiet(other) && Mark::of_step(one) == Mark::of_step(other)) { (self.row(steps)) } }
                    }
                }
                @if !after.is_empty() { li { span.st { "After" } ol { @for piece in &after { (self.piece(piece)) } } } }
            }
        }
    }

    fn row(&self, steps: &[Step]) -> Markup {
        let first = &steps[0];
        let mark = Mark::of_step(first);
        let names: Vec<String> = steps.iter().map(|step| plain(step.instruction.as_bytes())).collect();
        html! {
            li {
                a href=(format!("#s{}", first.number)) {
                    span.lab { (mark.icon()) code.cut title=(names.join("\n")) { (names.join(", ")) } }
                    svg.t.(mark.colour()) aria-hidden="true" { (self.bar(first)) }
                    span.num { (time_of(first)) }
                }
            }
        }
    }

    fn bar(&self, step: &Step) -> Markup {
        let Some(started) = step.started_ms.map(|started| started - self.began) else {
            let waits = step.state == StepState::Waiting;
            return html! { @if waits { line.w x1="0%" x2="100%" y1="13" y2="13" {} } };
        };
        let until = match step.duration_ms {
            Some(duration) => started + duration,
            None if self.build.state.has_ended() => started,
            None => self.span,
        };
        if step.cached {
            return html! { rect.c x=(self.percent(started)) y="9" width="3" height="8" {} };
        }
        let is_critical = self.is_critical(step);
        let (y, height) = if is_critical { (6, 14) } else { (9, 8) };
        html! { rect.p[!is_critical] x=(self.percent(started)) width=(self.width(until - started)) y=(y) height=(height) rx="2" {} }
    }

    /// Tells whether the end of the build waited for a step; nobody knows before that.
    fn is_critical(&self, step: &Step) -> bool {
        self.path.is_empty() || self.path.iter().any(|piece| piece.work == "step" && piece.name == step.instruction)
    }

    /// Returns when a piece began, in milliseconds of the axis: the clock of the path is set by the first step that is on it.
    fn start_of(&self, piece: &PathPiece) -> Option<i64> {
        let first = self.path.iter().find(|piece| piece.work == "step" && piece.start_us.is_some());
        let offset = first.and_then(|first| {
            let step = self.steps.iter().find(|step| step.instruction == first.name)?;
            Some(step.started_ms? - self.began - first.start_us? / 1000)
        });
        Some(piece.start_us? / 1000 + offset.unwrap_or(0).max(0))
    }

    fn pieces_before(&self) -> Vec<Piece> {
        let mut at = 0;
        let of = |piece: &PathPiece| {
            let (from, took) = (self.start_of(piece).unwrap_or(at), milliseconds(piece));
            at = from + took;
            Piece { name: told(piece), from, took }
        };
        let pieces = before(self.path).iter().map(of).filter(|piece| piece.took * NEGLIGIBLE >= self.span);
        pieces.collect()
    }

    fn pieces_after(&self) -> Vec<Piece> {
        let last = self.path.iter().rposition(|piece| piece.work == "step").map_or(self.path.len(), |at| at + 1);
        let mut until = self.span;
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in self.path[last..].iter().rev() {
            let took = milliseconds(piece);
            until = self.start_of(piece).unwrap_or(until - took).max(0);
            pieces.push(Piece { name: told(piece), from: until, took });
        }
        pieces.reverse();
        pieces.retain(|piece| piece.took * NEGLIGIBLE >= self.span);
        pieces
    }

    fn piece(&self, piece: &Piece) -> Markup {
        html! {
            li {
                span.bare {
                    span.lab { (Mark::done().icon()) span.cut title=(piece.name) { (piece.name) } }
                    svg.t.ok aria-hidden="true" { rect x=(self.percent(piece.from)) width=(self.width(piece.took)) y="6" height="14" rx="2" {} }
                    span.num { (seconds(piece.took)) }
                }
            }
        }
    }

    fn percent(&self, at: i64) -> String {
        format!("{:.2}%", (at as f64 / self.span as f64 * 100.0).clamp(0.0, 100.0))
    }

    fn width(&self, took: i64) -> String {
        format!("{:.2}%", (took as f64 / self.span as f64 * 100.0).clamp(0.2, 100.0))
    }

    fn ticks(&self) -> impl Iterator<Item = i64> {
        let distance = DISTANCES.into_iter().find(|distance| self.span / distance < MAX_TICKS).unwrap_or(self.span);
        // The last tick leaves room for its text.
        (0..).map(move |number| number * distance).take_while(|tick| *tick <= self.span * 19 / 20)
    }
}

/// Returns how long a step took, or has been running; nothing for those that did not run.
pub(crate) fn time_of(step: &Step) -> Markup {
    html! {
        @match (step.state, step.duration_ms, step.started_ms) {
            (StepState::Succeeded, _, _) if step.cached => "cached",
            (StepState::Running, None, Some(started)) => {
                @let so_far = (now_ms() - started).max(0);
                span data-so-far=(so_far) { (seconds(so_far)) }
            }
            (StepState::Waiting, _, _) => "waits",
            // A setting takes no time.
            (_, Some(duration), _) if duration > 0 => (seconds(duration)),
            _ => "",
        }
    }
}

/// Tells whether a step can share a row with others of its kind.
fn is_quiet(step: &Step) -> bool {
    step.cached || matches!(step.state, StepState::Pending | StepState::NotReached)
}

/// Returns the pieces of the critical path before the first step.
fn before(path: &[PathPiece]) -> &[PathPiece] {
    let end = path.iter().position(|piece| piece.work == "step").unwrap_or(0);
    &path[..end]
}

fn milliseconds(piece: &PathPiece) -> i64 {
    piece.duration_us / 1000
}

fn told(piece: &PathPiece) -> String {
    let name = plain(piece.name.as_bytes());
    let name = name.strip_prefix("sha256:").map_or(name.as_str(), |digits| digits.get(..12).unwrap_or(digits));
    let mut work = piece.work.clone();
    work.get_mut(..1).map(str::make_ascii_uppercase);
    format!("{work} {name}")
}

/// Returns a moment of the axis.
fn short(milliseconds: i64) -> String {
    match milliseconds {
        0 => "0".to_owned(),
        1..60_000 if milliseconds % 1000 != 0 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        1..60_000 => format!("{} s", milliseconds / 1000),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{BuildId, BuildOptions, BuildRequest, BuildSpec, BuildState, Trigger};

    fn build(started_ms: i64, finished_ms: i64) -> Build {
        let spec = BuildSpec {
            clone_url: "https://git.example.com/team/app.git".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            commit: None,
            dockerfile: "Dockerfile".to_owned(),
            context: String::new(),
            target: None,
            build_args: Default::default(),
            tags: Vec::new(),
            use_cache: true,
            push: true,
            options: BuildOptions::default(),
        };
        let trigger = Trigger::Manual { by: "me".to_owned() };
        let (repository, rule, commit_message) = ("team/app".to_owned(), "main".to_owned(), String::new());
        Build {
            id: BuildId::parse("bld_00000000000000000000000000000000").unwrap(),
            number: 1,
            request: BuildRequest { repository, rule, commit_message, trigger, spec },
            sequence: 1,
            state: BuildState::Succeeded,
            attempt: 1,
            commit: None,
            reason: None,
            image: None,
            created_ms: 0,
            started_ms: Some(started_ms),
            finished_ms: Some(finished_ms),
            version: 1,
            cancel_requested: false,
            awaits_approval: false,
            approved_by: None,
            log_removed_ms: None,
            warnings: Vec::new(),
        }
    }

    fn step(instruction: &str, started_ms: i64, duration_ms: i64) -> Step {
        Step {
            number: 1,
            instruction: instruction.to_owned(),
            stage: "stage-0".to_owned(),
            line: 2,
            state: StepState::Succeeded,
            cached: false,
            exit_code: None,
            layer_digest: None,
            layer_size: None,
            started_ms: Some(started_ms),
            duration_ms: Some(duration_ms),
        }
    }

    fn piece(work: &str, name: &str, start_us: Option<i64>, duration_us: i64) -> PathPiece {
        PathPiece { work: work.to_owned(), name: name.to_owned(), start_us, duration_us }
    }

    #[test]
    fn pieces_stand_where_they_happened() {
        let path = [
            piece("fetch", "the commit", Some(0), 14_000),
            piece("step", "RUN x", Some(20_000), 30_000),
            piece("push", "latest", Some(60_000), 5_000),
        ];
        let (build, steps) = (build(1_000, 1_104), [step("RUN x", 1_027, 30)]);
        let timeline = Timeline::new(&build, &steps, &path).unwrap();
        let places = |pieces: Vec<Piece>| pieces.iter().map(|piece| (piece.from, piece.took)).collect::<Vec<_>>();
        assert_eq!(places(timeline.pieces_before()), [(7, 14)]);
        assert_eq!(places(timeline.pieces_after()), [(67, 5)]);
        // Rows of earlier versions only say how long.
        let path: Vec<_> = path.into_iter().map(|piece| PathPiece { start_us: None, ..piece }).collect();
        let timeline = Timeline::new(&build, &steps, &path).unwrap();
        assert_eq!(places(timeline.pieces_after()), [(99, 5)]);
    }
}
