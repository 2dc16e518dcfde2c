//! How layers on their way are shown: bars on a terminal, a line for each change elsewhere.

use crate::hand::bytes;
use container::LayerStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use registry_client::Descriptor;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// Shows layers.
pub(crate) struct Layers {
    bars: Option<MultiProgress>,
    shown: Mutex<HashMap<String, ProgressBar>>,
    is_quiet: bool,
    to_stderr: bool,
}

impl Layers {
    /// Shows layers on standard output, or on standard error where that is for what a container prints.
    pub(crate) fn new(is_quiet: bool, to_stderr: bool) -> Layers {
        let is_terminal = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let bars = (is_terminal && !is_quiet).then(MultiProgress::new);
        Layers { bars, shown: Mutex::default(), is_quiet, to_stderr }
    }

    /// Shows a layer that is pulled.
    pub(crate) fn pulled(&self, layer: &Descriptor, status: LayerStatus) {
        match status {
            LayerStatus::Waiting => self.show(layer, "Pulling fs layer"),
            LayerStatus::Exists => self.show(layer, "Already exists"),
            LayerStatus::Complete => self.show(layer, "Pull complete"),
            LayerStatus::Downloading(done) if self.bars.is_some() => {
                self.show(layer, &format!("Downloading {}/{}", bytes(done), bytes(layer.size)));
            }
            LayerStatus::Downloading(_) => {}
        }
    }

    /// Shows what became of a layer.
    pub(crate) fn show(&self, layer: &Descriptor, status: &str) {
        if self.is_quiet {
            return;
        }
        let id = &layer.digest.hex()[..12];
        match &self.bars {
            Some(bars) => {
                let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                let bar = shown.entry(id.to_owned()).or_insert_with(|| {
                    let style = ProgressStyle::with_template("{msg}");
                    let bar = bars.add(ProgressBar::new(layer.size));
                    style.map_or(bar.clone(), |style| bar.with_style(style))
                });
                bar.set_message(format!("{id}: {status}"));
            }
            None => self.line(&format!("{id}: {status}")),
        }
    }

    /// Prints a line, unless nothing was to be shown.
    pub(crate) fn line(&self, line: &str) {
        match (self.is_quiet, self.to_stderr) {
            (true, _) => {}
            (false, true) => eprintln!("{line}"),
            (false, false) => println!("{line}"),
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn finish(&self) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(ProgressBar::abandon);
    }
}
