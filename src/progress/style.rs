//! The styles of progress, and the display of each.

use super::display::Display;
use super::{json, plain, quiet, terminal};
use std::io::IsTerminal;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
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
pub fn observer(style: Style) -> Box<dyn Display> {
    match style {
        Style::Json => Box::new(json::Json),
        Style::Quiet => Box::new(quiet::Quiet),
        Style::Tty => Box::new(terminal::Terminal::new()),
        Style::Auto if std::io::stderr().is_terminal() => Box::new(terminal::Terminal::new()),
        Style::Auto | Style::Plain => Box::new(plain::Plain::new()),
    }
}
