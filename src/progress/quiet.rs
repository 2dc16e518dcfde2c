//! Nothing but the digest of the image, for scripts.

use super::display::Display;
use super::plain::failure_text;
use builder::Built;
use builder::event::{Event, Observer};
use std::time::Duration;

/// Prints the digest on standard output, and what went wrong on standard error.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn observe(&self, _: Event<'_>) {}
}

impl Display for Quiet {
    fn done(&self, built: &Built, _: Duration) {
        println!("{}", built.image.digest);
    }

    fn failed(&self, error: &builder::Error) {
        eprintln!("{}", failure_text(error));
    }
}
