//! Plain lines: `#3 [build 2/4] RUN make`, then `#3 0.512 output`, then `#3 DONE 1.2s`.

use super::display::{Display, result_lines, seconds};
use crate::terminal::OutputWriter;
use builder::Built;
use builder::event::{Event, Observer, StepSummary};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use webhook::{sanitize, sanitize_output};

/// Writes plain lines to standard error.
pub(crate) struct Plain(Mutex<State>);

#[derive(Default)]
struct State {
    /// Begins each line: the name of one of several builds.
    label: String,
    steps: Vec<StepSummary>,
    began: HashMap<usize, Instant>,
    partial: HashMap<usize, Vec<u8>>,
}

impl Plain {
    /// Returns a display that has shown nothing yet; one of several builds has a name that begins each of its lines.
    pub(crate) fn new(name: Option<&str>) -> Self {
        let label = name.map_or_else(String::new, |name| format!("[{name}] "));
        Plain(Mutex::new(State { label, ..State::default() }))
    }

    fn label(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).label.clone()
    }
}

impl State {
    fn output(&mut self, step: usize, bytes: &[u8], to: &mut impl Write) -> std::io::Result<()> {
        let since = self.began.get(&step).map_or(0.0, |began| began.elapsed().as_secs_f64());
        let partial = self.partial.entry(step).or_default();
        partial.extend_from_slice(bytes);
        while let Some(end) = partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = partial.drain(..=end).collect();
            write!(to, "{}#{step} {since:.3} ", self.label)?;
            to.write_all(&line)?;
        }
        Ok(())
    }

    fn flush(&mut self, step: usize, to: &mut impl Write) -> std::io::Result<()> {
        if self.partial.get(&step).is_some_and(|line| !line.is_empty()) {
            self.output(step, b"\n", to)?;
        }
        Ok(())
    }

    fn show(&mut self, event: &Event<'_>, to: &mut impl Write) -> std::io::Result<()> {
        let label = self.label.clone();
        match event {
            Event::Planned(steps) => self.steps = steps.to_vec(),
            Event::Commit { id, message } => writeln!(to, "{label}commit {id} {}", sanitize(message))?,
            Event::Warning(text) | Event::StaleImage(text) => writeln!(to, "{label}WARN: {}", sanitize(text))?,
            Event::Started { step } => {
                self.began.insert(*step, Instant::now());
                if let Some(summary) = step.checked_sub(1).and_then(|index| self.steps.get(index)) {
                    writeln!(to, "{label}#{step} {} {}", summary.place(), sanitize(&summary.instruction))?;
                }
            }
            Event::Output { step, bytes } => self.output(*step, bytes, to)?,
            Event::Finished { step, cached: true, .. } => writeln!(to, "{label}#{step} CACHED")?,
            Event::Finished { step, duration, .. } => {
                self.flush(*step, to)?;
                writeln!(to, "{label}#{step} DONE {}", seconds(*duration))?;
            }
            Event::Failed { step, duration, .. } => {
                self.flush(*step, to)?;
                writeln!(to, "{label}#{step} ERROR after {}", seconds(*duration))?;
            }
            Event::Cancelled { step, .. } => {
                self.flush(*step, to)?;
                writeln!(to, "{label}#{step} CANCELED")?;
            }
            Event::Phase(..) | Event::Layer { .. } | Event::Waiting { .. } => {}
        }
        Ok(())
    }
}

impl Observer for Plain {
    fn observe(&self, event: Event<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed standard error must not end a build.
        let stderr = std::io::stderr();
        let mut to = OutputWriter::new(stderr.lock(), stderr.is_terminal());
        let _ = state.show(&event, &mut to).and_then(|()| to.finish());
    }
}

impl Display for Plain {
    fn done(&self, built: &Built, took: Duration) {
        let label = self.label();
        result_lines(built, took).iter().for_each(|line| eprintln!("{label}{line}"));
    }

    fn failed(&self, error: &builder::Error) {
        let label = self.label();
        failure_text(error).lines().for_each(|line| eprintln!("{label}{line}"));
    }
}

/// Returns what is shown of a failed build: the source and the last output first, the sentence last.
pub(crate) fn failure_text(error: &builder::Error) -> String {
    let report = error.report();
    let sentence = report.strip_suffix(error.detail()).unwrap_or(&report).trim_end();
    let sentence = sanitize(sentence);
    if error.code() == builder::Code::Cancelled {
        return format!("CANCELLED: {sentence}");
    }
    if error.detail().is_empty() {
        return format!("ERROR: failed to solve: {sentence}");
    }
    let detail = sanitize_output(error.detail().trim_end().as_bytes());
    format!("------\n{detail}\n------\nERROR: failed to solve: {sentence}")
}
