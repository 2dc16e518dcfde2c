//! Output of steps on a terminal: sanitized there, and as it is for files and other programs.

use std::io::{self, Write};
use webhook::Sanitizer;

/// Writes what a step printed: sanitized where a person's terminal shows it, as it is for files and other programs.
pub(crate) struct OutputWriter<W> {
    to: W,
    sanitizer: Option<Sanitizer>,
}

impl<W: Write> OutputWriter<W> {
    /// Returns a writer to a terminal or to something else.
    pub(crate) fn new(to: W, is_terminal: bool) -> Self {
        OutputWriter { to, sanitizer: is_terminal.then(Sanitizer::default) }
    }

    /// Turns off colours that are still on.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rest = self.sanitizer.as_mut().map(Sanitizer::finish).unwrap_or_default();
        self.to.write_all(rest.as_bytes())?;
        self.to.flush()
    }
}

impl<W: Write> Write for OutputWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sanitizer {
            Some(sanitizer) => self.to.write_all(sanitizer.push(bytes).as_bytes())?,
            None => self.to.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_programs_get_an_output_as_it_is() {
        let mut written = Vec::new();
        OutputWriter::new(&mut written, false).write_all(b"\x1b[2J\xff").unwrap();
        assert_eq!(written, b"\x1b[2J\xff");
        let mut written = Vec::new();
        let mut writer = OutputWriter::new(&mut written, true);
        writer.write_all(b"\x1b[2J\x1b[31mx").unwrap();
        writer.finish().unwrap();
        assert_eq!(written, b"\x1b[31mx\x1b[0m");
    }
}
