//! The log: on standard error, without the logins that URLs hold.

use std::io::{IsTerminal, Write};

/// Writes lines of the log without the logins that URLs in them hold.
struct Redacting(std::io::Stderr);

impl Write for Redacting {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(database::redact(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Writes the log to standard error; `SLIPWAY_LOG` says how much of it.
pub(crate) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG").unwrap_or_else(|_| "info".into());
    // Colours are for terminals: in a file or a journal they are noise.
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A closed standard error must not end the program.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Redacting(std::io::stderr()))
        .with_ansi(coloured)
        .log_internal_errors(false)
        .init();
}
