//! The common interface of all displays of a build.

use builder::Built;
use builder::event::Observer;
use std::time::Duration;

/// An observer that also shows how the build ended.
pub(crate) trait Display: Observer {
    /// Shows the image.
    fn done(&self, built: &Built, took: Duration);

    /// Shows why there is none.
    fn failed(&self, error: &builder::Error);
}

/// Returns a duration as people read it: `0.3s`, `12.0s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// Returns what is shown of a finished image.
pub(crate) fn result_lines(built: &Built, took: Duration) -> Vec<String> {
    let mut lines = vec![format!("image {} ({} bytes) in {}", built.image.digest, built.image.size(), seconds(took))];
    lines.extend(built.pushed.iter().map(|tag| format!("pushed {tag}")));
    lines
}
