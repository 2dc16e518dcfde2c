//! The log of a container: a line of JSON for each line that it printed, in files of bounded size.

use super::store::now;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
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
pub(crate) struct Log {
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
    pub(crate) fn open(directory: &Path) -> io::Result<Log> {
        let file = OpenOptions::new().create(true).append(true).open(path_of(directory, 0))?;
        let written = file.metadata()?.len();
        Ok(Log { directory: directory.to_owned(), file, written, begun: [Vec::new(), Vec::new()] })
    }

    /// Adds what was printed to stream 0 or 1.
    pub(crate) fn write(&mut self, stream: usize, bytes: &[u8]) -> io::Result<()> {
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
    pub(crate) fn finish(&mut self) -> io::Result<()> {
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

/// Reads a log from its oldest line on, also while it is written.
pub struct LogReader {
    directory: PathBuf,
    file: Option<BufReader<File>>,
    /// The line that was begun.
    begun: Vec<u8>,
}

impl LogReader {
    /// Reads the log in `directory`.
    pub fn new(directory: &Path) -> LogReader {
        LogReader { directory: directory.to_owned(), file: None, begun: Vec::new() }
    }

    /// Calls `line` with the lines that came since the last call; a damaged one is left out.
    pub fn read(&mut self, mut line: impl FnMut(LogLine)) -> Result<(), Error> {
        loop {
            self.rest(&mut line)?;
            let Some(next) = self.next()? else { return Ok(()) };
            // The file may have been written to once more before it was replaced.
            self.rest(&mut line)?;
            self.file = Some(BufReader::new(next));
            self.begun.clear();
        }
    }

    /// Reads to the end of the file as it is now.
    fn rest(&mut self, line: &mut impl FnMut(LogLine)) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        while file.read_until(b'\n', &mut self.begun).map_err(Error::file("reading the log in", &self.directory))? > 0 {
            if self.begun.last() == Some(&b'\n') {
                if let Ok(read) = serde_json::from_slice(&self.begun) {
                    line(read);
                }
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Opens the file after this one; `None` if this is the newest, or the next one is not there yet.
    fn next(&self) -> Result<Option<File>, Error> {
        let inode = |known: fs::Metadata| (known.dev(), known.ino());
        let current = self.file.as_ref().and_then(|file| file.get_ref().metadata().ok()).map(inode);
        let number = |number: &usize| fs::metadata(path_of(&self.directory, *number)).ok().map(inode);
        let numbers = match (0..FILES).find(|at| current.is_some() && number(at) == current) {
            Some(0) => return Ok(None),
            Some(at) => at - 1..at,
            // It is new here, or so slow that its file is gone.
            None => 0..FILES,
        };
        for at in numbers.rev() {
            let path = path_of(&self.directory, at);
            match File::open(&path) {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::file("reading", &path)(error)),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(directory: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        LogReader::new(directory).read(|line| found.push((line.stream, line.log))).unwrap();
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
    #[test]
    fn a_follower_of_a_log_misses_no_line_when_a_new_file_begins() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(directory.path()).unwrap();
        let mut reader = LogReader::new(directory.path());
        let (mut written, mut read) = (0, Vec::new());
        let filling = "x".repeat(12 * 1024);
        // Each round writes less than a file, and all of them more than all files.
        for round in 0..40 {
            for _ in 0..100 + round * 7 {
                log.write(0, format!("{written} {filling}\n").as_bytes()).unwrap();
                written += 1;
            }
            reader.read(|line| read.push(line.log.split(' ').next().unwrap().parse::<usize>().unwrap())).unwrap();
        }
        assert!(read.iter().copied().eq(0..written), "{} of {written}", read.len());
    }
}
