//! Marks of states: a shape, a colour and a word for each; a state is never told by its colour alone.

use database::{Build, BuildState, Step, StepState};
use maud::{Markup, PreEscaped, html};

/// A mark: its shape and colour in the style, and the word that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    shape: &'static str,
    colour: &'static str,
    /// The word.
    pub word: &'static str,
    /// The character that begins a page's title.
    pub sign: &'static str,
}

const fn mark(shape: &'static str, colour: &'static str, word: &'static str, sign: &'static str) -> Mark {
    Mark { shape, colour, word, sign }
}

const HELD: Mark = mark("hold", "hold", "Needs approval", "⏸");
const QUEUED: Mark = mark("wait", "off", "Queued", "◌");
const CACHED: Mark = mark("hit", "off", "Cached", "⚡");

/// Shapes in a square of 16; `f` is filled with the colour, `k` is cut out of it.
const SHAPES: &str = concat!(
    r#"<symbol id="i-ok" viewBox="0 0 16 16"><circle class="f" cx="8" cy="8" r="7.2"/><path class="k" d="m4.7 8.2 2.3 2.3 4.3-4.7"/></symbol>"#,
    r#"<symbol id="i-bad" viewBox="0 0 16 16"><path class="f" d="M5 .8h6L15.2 5v6L11 15.200H5L.8 11V5z"/><path class="k" d="m5.5 5.5 5 5m0-5-5 5"/></symbol>"#,
    r#"<symbol id="i-late" viewBox="0 0 16 16"><path class="f" d="M5 .8h6L15.2 5v6L11 15.200H5L.8 11V5z"/><path class="k" d="M8 4.300V8l2.4 1.5"/></symbol>"#,
    r#"<symbol id="i-fault" viewBox="0 0 16 16"><path class="f" d="M8 .9 15.7 14.700H.3z"/><path class="k" d="M8 6v4m0 2.300v.1"/></symbol>"#,
    r#"<symbol id="i-run" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" opacity=".3"/><path d="M8 1.800A6.2 6.2 0 0 1 14.2 8" stroke-width="2"/></symbol>"#,
    r#"<symbol id="i-wait" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" stroke-dasharray="2 1.9"/><path d="M8 4.800v3.300l2 1.3"/></symbol>"#,
    r#"<symbol id="i-hold" viewBox="0 0 16 16"><path class="f" d="M8 .3 15.7 8 8 15.7.3 8z"/><path class="k" d="M6.4 5.800v4.400m3.2-4.400v4.4"/></symbol>"#,
    r#"<symbol id="i-stop" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2"/><path class="f" d="M5.7 5.700h4.600v4.600H5.700z"/></symbol>"#,
    r#"<symbol id="i-skip" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2"/><path d="M6 5.4 8.6 8 6 10.600m4.4-5.200v5.2"/></symbol>"#,
    r#"<symbol id="i-over" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2"/><path d="M5.4 8 8 5.4 10.6 8m-5.2 3.200L8 8.600l2.6 2.6"/></symbol>"#,
    r#"<symbol id="i-hit" viewBox="0 0 16 16"><path d="M9 1.5 3.5 9H8l-1 5.500L12.5 7H8z"/></symbol>"#,
    r#"<symbol id="i-none" viewBox="0 0 16 16"><circle cx="8" cy="8" r="2.2"/></symbol>"#,
);

/// Returns the shapes, once for a page.
pub(crate) fn shapes() -> Markup {
    html! { svg.shapes aria-hidden="true" { (PreEscaped(SHAPES)) } }
}

impl Mark {
    /// Returns the mark of a state of builds.
    pub(crate) fn of_state(state: BuildState) -> Mark {
        match state {
            BuildState::Queued => QUEUED,
            BuildState::Preparing => mark("run", "run", "Preparing", "●"),
            BuildState::Building => mark("run", "run", "Building", "●"),
            BuildState::Pushing => mark("run", "run", "Pushing", "●"),
            BuildState::Succeeded => mark("ok", "ok", "Succeeded", "✓"),
            BuildState::Failed => mark("bad", "bad", "Failed", "✗"),
            BuildState::TimedOut => mark("late", "bad", "Timed out", "✗"),
            BuildState::Errored => mark("fault", "hold", "Errored", "!"),
            BuildState::Cancelled => mark("stop", "off", "Cancelled", "■"),
            BuildState::Superseded => mark("over", "off", "Superseded", "»"),
            BuildState::Skipped => mark("skip", "off", "Skipped", "»"),
        }
    }

    /// Returns the mark of a build.
    pub(crate) fn of_build(build: &Build) -> Mark {
        let needs_approval = build.awaits_approval && !build.state.has_ended();
        if needs_approval { HELD } else { Mark::of_state(build.state) }
    }

    /// Returns the mark of a step.
    pub(crate) fn of_step(step: &Step) -> Mark {
        match step.state {
            StepState::Succeeded if step.cached => CACHED,
            StepState::Pending => mark("none", "off", "Not begun", ""),
            StepState::Waiting => mark("wait", "off", "Waiting for another stage", ""),
            StepState::Running => mark("run", "run", "Running", ""),
            StepState::Succeeded => mark("ok", "ok", "Succeeded", ""),
            StepState::Failed => mark("bad", "bad", "Failed", ""),
            StepState::Cancelled => mark("stop", "off", "Cancelled", ""),
            StepState::NotReached => mark("none", "off", "Not reached", ""),
        }
    }

    /// Returns the mark of work that ended well.
    pub(crate) fn done() -> Mark {
        Mark::of_state(BuildState::Succeeded)
    }

    /// Returns the mark of work that nobody has begun.
    pub(crate) fn open() -> Mark {
        mark("wait", "off", "To do", "")
    }

    /// Returns the same without a sign for the title.
    pub(crate) fn unsigned(self) -> Mark {
        Mark { sign: "", ..self }
    }

    /// Returns the class of its colour.
    pub(crate) fn colour(self) -> &'static str {
        self.colour
    }

    /// Tells whether something is under way.
    pub(crate) fn is_running(self) -> bool {
        self.colour == "run"
    }

    /// Returns the shape, with the word for those who do not see it.
    pub(crate) fn icon(self) -> Markup {
        html! {
            span.sc.(self.colour) title=(self.word) { (self.shape()) span.vh { (self.word) } }
        }
    }

    /// Returns shape and word.
    pub(crate) fn label(self) -> Markup {
        html! { span.state.(self.colour) { (self.shape()) (self.word) } }
    }

    fn shape(self) -> Markup {
        let reference = format!("#i-{}", self.shape);
        html! { svg.i.spin[self.shape == "run"] aria-hidden="true" { use href=(reference); } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_are_red_and_every_shape_is_there() {
        for state in BuildState::all() {
            let mark = Mark::of_state(state);
            let is_red = matches!(state, BuildState::Failed | BuildState::TimedOut);
            assert_eq!(mark.colour == "bad", is_red, "{state:?}");
            assert!(SHAPES.contains(&format!("\"i-{}\"", mark.shape)), "{state:?}");
            assert_eq!(mark.is_running(), !state.has_ended() && state != BuildState::Queued, "{state:?}");
        }
    }
}
