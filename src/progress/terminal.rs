//! The display on a terminal: finished steps as lines, running ones below them with their last line of output, and a head that
//! counts.

use super::display::{Display, result_lines, seconds};
use super::plain::failure_text;
use builder::Built;
use builder::event::{Event, Observer, StepSummary};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use webhook::sanitize;

/// Columns of a terminal that does not say how many it has.
const DEFAULT_WIDTH: usize = 80;
/// Columns in front of the title of a step.
const MARGIN: usize = 11;
/// How often times are drawn.
const TICK: Duration = Duration::from_millis(120);
/// Codes of colours.
const RED: &str = "31";
const CYAN: &str = "36";

/// Draws on standard error.
pub(crate) struct Terminal {
    bars: MultiProgress,
    began: Instant,
    is_coloured: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Begins each title: the name of one of several builds.
    label: String,
    steps: Vec<StepSummary>,
    running: HashMap<usize, ProgressBar>,
    /// Counts the finished steps, of which some came from the cache.
    head: Option<ProgressBar>,
    finished: usize,
    cached: usize,
}

impl Terminal {
    /// Returns a display that has shown nothing yet; those of several builds draw below one another.
    pub(crate) fn new(bars: MultiProgress, name: Option<&str>) -> Self {
        let label = name.map_or_else(String::new, |name| format!("[{name}] "));
        let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let state = Mutex::new(State { label, ..State::default() });
        Terminal { bars, began: Instant::now(), is_coloured, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str) {
        let _ = self.bars.println(text);
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Begins the head, which counts on its own.
    fn begin(&self, state: &mut State) {
        let head = self.bars.insert(0, ProgressBar::new(state.steps.len() as u64));
        let took = |state: &ProgressState, to: &mut dyn Write| {
            let _ = write!(to, "{}", seconds(state.elapsed()));
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix}[+] Building {took} ({pos}/{len})") {
            head.set_style(style.with_key("took", took));
        }
        head.set_prefix(state.label.clone());
        head.enable_steady_tick(TICK);
        state.head = Some(head);
    }

    fn start(&self, state: &mut State, step: usize) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let dim = if self.is_coloured { ".dim" } else { "" };
        let template =
            format!("{{spinner}} {{elapsed:>6}}  {{prefix}}\n           {{msg:{dim}}}").replace("{msg:}", "{msg}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(title(state, step));
        bar.enable_steady_tick(TICK);
        state.running.insert(step, bar);
    }

    fn end(&self, state: &mut State, step: usize, how: &str, colour: Option<&str>) {
        if let Some(bar) = state.running.remove(&step) {
            bar.finish_and_clear();
        }
        let line = format!(" {how:>8}  {}", title(state, step));
        self.line(&colour.map_or(line.clone(), |colour| self.paint(colour, &line)));
    }

    fn finished(&self, state: &mut State) {
        state.finished += 1;
        if let Some(head) = &state.head {
            head.inc(1);
        }
    }

    /// Puts a last head in the place of the one that counts.
    fn close(&self, how: &str, colour: &str) -> State {
        let mut state = std::mem::take(&mut *self.state());
        for bar in state.running.drain().map(|running| running.1).chain(state.head.take()) {
            bar.finish_and_clear();
        }
        let State { label, steps, finished, .. } = &state;
        let took = seconds(self.began.elapsed());
        let head = format!("{label}[+] Building {took} ({finished}/{}) {how}", steps.len());
        self.line(&self.paint(colour, &head));
        state
    }
}

/// Returns how many columns of a step's line are left.
fn width() -> usize {
    let size = runtime::terminal_size(std::io::stderr()).map(|size| usize::from(size.columns));
    size.filter(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH).saturating_sub(MARGIN).max(1)
}

fn cut(text: &str) -> String {
    let width = width();
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn title(state: &State, step: usize) -> String {
    let summary = step.checked_sub(1).and_then(|index| state.steps.get(index));
    let text = summary
        .map_or_else(String::new, |summary| format!("{}{} {}", state.label, summary.place(), summary.instruction));
    cut(&sanitize(&text).replace('\n', " "))
}

/// Returns the last line of output.
fn last_line(bytes: &[u8]) -> String {
    let text = sanitize(&String::from_utf8_lossy(bytes));
    cut(text.trim_end().rsplit('\n').next().unwrap_or_default())
}

impl Observer for Terminal {
    fn observe(&self, event: Event<'_>) {
        let mut state = self.state();
        let state = &mut *state;
        match event {
            Event::Planned(steps) => {
                state.steps = steps.to_vec();
                self.begin(state);
            }
            Event::Commit { id, message } => self.line(&format!("{}commit {id} {}", state.label, sanitize(message))),
            Event::Warning(text) | Event::StaleImage(text) => {
                self.line(&format!("{}WARN: {}", state.label, sanitize(text)))
            }
            Event::Started { step } => self.start(state, step),
            Event::Output { step, bytes } => {
                if let Some(bar) = state.running.get(&step) {
                    bar.set_message(last_line(bytes));
                }
            }
            Event::Finished { step, cached: true, .. } => {
                state.cached += 1;
                self.finished(state);
                self.end(state, step, "CACHED", Some(CYAN));
            }
            Event::Finished { step, duration, .. } => {
                self.finished(state);
                self.end(state, step, &seconds(duration), None);
            }
            Event::Failed { step, .. } => self.end(state, step, "ERROR", Some(RED)),
            Event::Cancelled { step, .. } => self.end(state, step, "CANCELED", None),
            Event::Phase(..) | Event::Layer { .. } | Event::Waiting { .. } => {}
        }
    }
}

impl Display for Terminal {
    fn done(&self, built: &Built, took: Duration) {
        let state = self.close("FINISHED", CYAN);
        let mut lines = result_lines(built, took);
        if let Some(first) = lines.first_mut() {
            let _ = write!(first, ", {} of {} steps cached", state.cached, state.steps.len());
        }
        lines.iter().for_each(|line| self.line(&format!("{}{line}", state.label)));
    }

    fn failed(&self, error: &builder::Error) {
        let how = if error.code() == builder::Code::Cancelled { "CANCELED" } else { "ERROR" };
        let state = self.close(how, RED);
        let text = failure_text(error);
        let (detail, sentence) = text.rsplit_once('\n').map_or(("", text.as_str()), |(detail, last)| (detail, last));
        if !detail.is_empty() {
            self.line(&format!("{}{detail}", state.label));
        }
        self.line(&format!("{}{}", state.label, self.paint(RED, sentence)));
    }
}
