//! The styles of progress, and the display of each.

use super::display::Display;
use super::{json, plain, quiet, terminal};
use indicatif::MultiProgress;
use std::io::IsTerminal;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// A display on a terminal, plain lines otherwise.
    #[default]
    Auto,
    /// Plain lines.
    Plain,
    /// The display of a terminal, whatever it is.
    Tty,
    /// One JSON object a line.
    #[value(alias = "rawjson")]
    Json,
    /// Nothing but the digest of the image.
    Quiet,
}

/// Returns the display for `style`; progress goes to standard error, as docker's does.
pub(crate) fn observer(style: Style) -> Box<dyn Display> {
    display(style, &MultiProgress::new(), None)
}

/// The displays of several builds side by side.
pub(crate) struct Displays {
    style: Style,
    bars: MultiProgress,
}

impl Displays {
    /// Returns displays for `style`.
    pub(crate) fn new(style: Style) -> Self {
        Displays { style, bars: MultiProgress::new() }
    }

    /// Returns the display of one build, which names it.
    pub(crate) fn of(&self, name: &str) -> Box<dyn Display> {
        display(self.style, &self.bars, Some(name))
    }
}

fn display(style: Style, bars: &MultiProgress, name: Option<&str>) -> Box<dyn Display> {
    match style {
        Style::Json => Box::new(json::Json(name.map(str::to_owned))),
        Style::Quiet => Box::new(quiet::Quiet),
        Style::Tty => Box::new(terminal::Terminal::new(bars.clone(), name)),
        Style::Auto if std::io::stderr().is_terminal() => Box::new(terminal::Terminal::new(bars.clone(), name)),
        Style::Auto | Style::Plain => Box::new(plain::Plain::new(name)),
    }
}
