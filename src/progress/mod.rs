//! Shows the progress of `slipway build`: a display on a terminal, plain lines or JSON otherwise.

mod json;
mod plain;
mod quiet;
mod terminal;

use builder::Built;
use builder::event::Observer;
use std::io::IsTerminal;
use std::time::Duration;

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

/// An observer that also shows how the build ended.
pub trait Display: Observer {
    /// Shows the image.
    fn done(&self, built: &Built, took: Duration);

    /// Shows why there is none.
    fn failed(&self, error: &builder::Error);
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

/// Returns a duration as people read it: `0.3s`, `12.0s`.
fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// Returns what is shown of a finished image.
fn result_lines(built: &Built, took: Duration) -> Vec<String> {
    let mut lines = vec![format!("image {} ({} bytes) in {}", built.image.digest, built.image.size(), seconds(took))];
    lines.extend(built.pushed.iter().map(|tag| format!("pushed {tag}")));
    lines
}
