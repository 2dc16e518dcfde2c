//! The end of a helper that cannot go on.

/// Says on standard error what failed, and ends the process.
pub(crate) fn die(doing: &str, error: impl std::fmt::Display) -> ! {
    eprintln!("slipway sandbox: {doing}: {error}");
    std::process::exit(1)
}
