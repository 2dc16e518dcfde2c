//! Storage of a body while it arrives: in memory, or in an unlinked file.

use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::{Error, Read, Result, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes that are written to the file at once.
const BUFFER: usize = 256 * 1024;

/// A body that arrives.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    buffer: BytesMut,
    file: Option<File>,
    written: u64,
}

/// A body that has arrived.
#[derive(Debug)]
pub(crate) enum Received {
    /// A short one.
    Memory(Bytes),
    /// A long one, and its length.
    File(File, u64),
}

impl Default for Received {
    fn default() -> Self {
        Received::Memory(Bytes::new())
    }
}

impl Spool {
    /// Lets the body go on in a file in `directory`.
    pub(crate) async fn open(&mut self, directory: &Path) -> Result<()> {
        let directory: PathBuf = directory.to_owned();
        self.file = Some(blocking(move || tempfile::tempfile_in(directory)).await?);
        Ok(())
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.buffer.extend_from_slice(&chunk);
        if self.file.is_some() && self.buffer.len() >= BUFFER { self.flush().await } else { Ok(()) }
    }

    /// Ends the body.
    pub(crate) async fn finish(mut self) -> Result<Received> {
        if self.file.is_some() {
            self.flush().await?;
        }
        Ok(match self.file {
            Some(file) => Received::File(file, self.written),
            None => Received::Memory(self.buffer.freeze()),
        })
    }

    async fn flush(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let bytes = std::mem::take(&mut self.buffer);
        let (file, bytes) = blocking(move || {
            file.write_all(&bytes)?;
            Ok((file, bytes))
        })
        .await
        .inspect(|(_, bytes)| self.written += bytes.len() as u64)?;
        self.file = Some(file);
        self.buffer = bytes;
        self.buffer.clear();
        Ok(())
    }
}

impl Received {
    /// Returns the length.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Received::Memory(bytes) => bytes.len() as u64,
            Received::File(_, length) => *length,
        }
    }

    /// Passes over the body from its beginning, in parts.
    pub(crate) fn each_part(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Received::Memory(bytes) => take(bytes),
            Received::File(file, _) => {
                file.rewind()?;
                let mut buffer = vec![0; BUFFER];
                loop {
                    match file.read(&mut buffer)? {
                        0 => break,
                        length => take(&buffer[..length]),
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the whole body.
    pub(crate) fn read(&mut self) -> Result<Bytes> {
        match self {
            Received::Memory(bytes) => Ok(bytes.clone()),
            Received::File(file, length) => {
                file.rewind()?;
                let mut bytes = Vec::with_capacity(usize::try_from(*length).unwrap_or(0));
                file.read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_the_same_in_memory_and_in_a_file() {
        // SEC-M3
        let directory = tempfile::tempdir().unwrap();
        let chunk = Bytes::from(vec![7; 100_000]);
        for in_file in [false, true] {
            let mut spool = Spool::default();
            for number in 0..7 {
                if in_file && number == 1 {
                    spool.open(directory.path()).await.unwrap();
                }
                spool.write(chunk.clone()).await.unwrap();
            }
            let mut received = spool.finish().await.unwrap();
            assert_eq!((received.len(), matches!(received, Received::File(..))), (700_000, in_file));
            let mut passed = 0;
            received.each_part(|part| passed += part.len()).unwrap();
            assert_eq!((passed, received.read().unwrap().len()), (700_000, 700_000));
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
        }
    }
}
