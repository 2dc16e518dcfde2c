//! The display on a terminal: finished steps as lines, running ones below them with their last line of output.

use super::display::{Display, result_lines, seconds};
use super::plain::failure_text;
use builder::Built;
use builder::event::{Event, Observer, StepSummary};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use webhook::sanitize;

/// Widest text that is shown of a running step.
const WIDTH: usize = 100;

/// Draws on standard error.
pub(crate) struct Terminal {
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Begins each title: the name of one of several builds.
    label: String,
    steps: Vec<StepSummary>,
    running: HashMap<usize, ProgressBar>,
}

impl Terminal {
    /// Returns a display that has shown nothing yet; those of several builds draw below one another.
    pub(crate) fn new(bars: MultiProgress, name: Option<&str>) -> Self {
        let label = name.map_or_else(String::new, |name| format!("[{name}] "));
        Terminal { bars, state: Mutex::new(State { label, ..State::default() }) }
    }

    fn label(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).label.clone()
    }

    fn line(&self, text: &str) {
        let _ = self.bars.println(text);
    }

    fn end(&self, state: &mut State, step: usize, how: &str) {
        if let Some(bar) = state.running.remove(&step) {
            bar.finish_and_clear();
        }
        self.line(&format!(" {how:>8}  {}", title(state, step)));
    }
}

fn title(state: &State, step: usize) -> String {
    let summary = step.checked_sub(1).and_then(|index| state.steps.get(index));
    let text = summary
        .map_or_else(String::new, |summary| format!("{}{} {}", state.label, summary.place(), summary.instruction));
    sanitize(&text).chars().take(WIDTH).collect()
}

/// Returns the last line of output.
fn last_line(bytes: &[u8]) -> String {
    let text = sanitize(&String::from_utf8_lossy(bytes));
    text.trim_end().rsplit('\n').next().unwrap_or_default().chars().take(WIDTH).collect()
}

impl Observer for Terminal {
    fn observe(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned(steps) => state.steps = steps.to_vec(),
            Event::Commit { id, message } => self.line(&format!("{}commit {id} {}", state.label, sanitize(message))),
            Event::Warning(text) => self.line(&format!("{}WARN: {}", state.label, sanitize(text))),
            Event::Started { step } => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                if let Ok(style) =
                    ProgressStyle::with_template("{spinner} {elapsed:>6}  {prefix}\n           {msg:.dim}")
                {
                    bar.set_style(style);
                }
                bar.set_prefix(title(&state, step));
                bar.enable_steady_tick(Duration::from_millis(120));
                state.running.insert(step, bar);
            }
            Event::Output { step, bytes } => {
                if let Some(bar) = state.running.get(&step) {
                    bar.set_message(last_line(bytes));
                }
            }
            Event::Finished { step, cached: true, .. } => self.end(&mut state, step, "CACHED"),
            Event::Finished { step, duration, .. } => self.end(&mut state, step, &seconds(duration)),
            Event::Failed { step, .. } => self.end(&mut state, step, "ERROR"),
            Event::Cancelled { step, .. } => self.end(&mut state, step, "CANCELED"),
            Event::Phase(..) | Event::Layer { .. } | Event::Waiting { .. } => {}
        }
    }
}

impl Display for Terminal {
    fn done(&self, built: &Built, took: Duration) {
        let label = self.label();
        result_lines(built, took).iter().for_each(|line| self.line(&format!("{label}{line}")));
    }

    fn failed(&self, error: &builder::Error) {
        self.line(&format!("{}{}", self.label(), failure_text(error)));
    }
}
