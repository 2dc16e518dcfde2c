//! The log of a container: a line of JSON for each line that it printed, in files of bounded size.

use super::store::now;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// Bytes after which a new file is begun.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// Files that are kept.
const FILES: usize = 3;
/// Bytes of a line that are written at once.
const MAX_LINE: usize = 16 * 1024;

/// A line that a container printed, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The text with its line end, if it has one.
    pub log: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// When, RFC 3339.
    pub time: String,
}

/// Writes the log.
pub struct Log {
    directory: PathBuf,
    file: File,
    written: u64,
    /// The begun lines of both streams.
    begun: [Vec<u8>; 2],
}

fn path_of(directory: &Path, number: usize) -> PathBuf {
    directory.join(if number == 0 { "log.json".to_owned() } else { format!("log.json.{number}") })
}

impl Log {
    /// Opens the log in `directory`.
    pub fn open(directory: &Path) -> io::Result<Log> {
        let file = OpenOptions::new().create(true).append(true).open(path_of(directory, 0))?;
        let written = file.metadata()?.len();
        Ok(Log { directory: directory.to_owned(), file, written, begun: [Vec::new(), Vec::new()] })
    }

    /// Adds what was printed to stream 0 or 1.
    pub fn write(&mut self, stream: usize, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = MAX_LINE - self.begun[stream].len();
            let end = rest.iter().take(room).position(|byte| *byte == b'\n').map(|at| at + 1);
            let (part, after) = rest.split_at(end.unwrap_or(room.min(rest.len())));
            self.begun[stream].extend_from_slice(part);
            if end.is_some() || self.begun[stream].len() >= MAX_LINE {
                self.flush(stream)?;
            }
            rest = after;
        }
        Ok(())
    }

    /// Writes the lines that were begun.
    pub fn finish(&mut self) -> io::Result<()> {
        (0..2).try_for_each(|stream| self.flush(stream))
    }

    fn flush(&mut self, stream: usize) -> io::Result<()> {
        let text = std::mem::take(&mut self.begun[stream]);
        if text.is_empty() {
            return Ok(());
        }
        let stream = if stream == 0 { "stdout" } else { "stderr" }.to_owned();
        let line = LogLine { log: String::from_utf8_lossy(&text).into_owned(), stream, time: now() };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if self.written + bytes.len() as u64 > MAX_BYTES {
            self.rotate()?;
        }
        self.written += bytes.len() as u64;
        self.file.write_all(&bytes)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (0..FILES - 1).rev() {
            let from = path_of(&self.directory, number);
            if from.exists() {
                fs::rename(from, path_of(&self.directory, number + 1))?;
            }
        }
        self.file = OpenOptions::new().create(true).append(true).open(path_of(&self.directory, 0))?;
        self.written = 0;
        Ok(())
    }
}

/// Calls `line` with every line of the log in `directory`, the oldest first; a damaged line is left out.
pub fn read_log(directory: &Path, mut line: impl FnMut(LogLine)) -> Result<(), Error> {
    for number in (0..FILES).rev() {
        let path = path_of(directory, number);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("reading", &path)(error)),
        };
        for text in BufReader::new(file).lines() {
            let text = text.map_err(Error::file("reading", &path))?;
            if let Ok(read) = serde_json::from_str(&text) {
                line(read);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(directory: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        read_log(directory, |line| found.push((line.stream, line.log))).unwrap();
        found
    }

    #[test]
    fn lines_are_whole_and_long_ones_come_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(directory.path()).unwrap();
        log.write(0, b"one\ntw").unwrap();
        log.write(1, b"bad\n").unwrap();
        log.write(0, b"o\nthree").unwrap();
        log.finish().unwrap();
        let stream = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            lines(directory.path()),
            [
                stream("stdout", "one\n"),
                stream("stderr", "bad\n"),
                stream("stdout", "two\n"),
                stream("stdout", "three")
            ]
        );
    }

    #[test]
    fn a_log_without_end_takes_bounded_space() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(directory.path()).unwrap();
        let block = vec![b'x'; 1024 * 1024];
        (0..60).for_each(|_| log.write(0, &block).unwrap());
        log.write(0, b"\nlast\n").unwrap();
        let sizes = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(sizes.sum::<u64>() <= FILES as u64 * MAX_BYTES);
        assert_eq!(lines(directory.path()).last().unwrap().1, "last\n");
    }
}
