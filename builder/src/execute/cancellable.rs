//! Reading and writing that ends when the build does, however much is left.

use crate::Error;
use runtime::CancellationToken;
use std::io::{self, Read, Write};
use tokio::runtime::Handle;

/// A stream that fails once the build is cancelled.
pub struct Cancellable<S> {
    inner: S,
    cancel: CancellationToken,
}

impl<S> Cancellable<S> {
    /// Wraps a stream of the build that `cancel` ends.
    pub fn new(inner: S, cancel: &CancellationToken) -> Self {
        Cancellable { inner, cancel: cancel.clone() }
    }

    fn check(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() { Err(io::Error::other("the build was cancelled")) } else { Ok(()) }
    }
}

impl<R: Read> Read for Cancellable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Cancellable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Waits for `future` on `tokio`; `None` if the build is cancelled before.
pub fn until_cancelled<T>(tokio: &Handle, cancel: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio.block_on(async {
        tokio::select! {
            value = future => Some(value),
            () = cancel.cancelled() => None,
        }
    })
}

/// A registry gave no answer that helps.
pub enum Unanswered {
    /// It said no, or nothing.
    Failed(registry_client::Error),
    /// The build was cancelled.
    Cancelled,
}

impl Unanswered {
    /// Says what was being done.
    pub fn at(self, doing: String) -> Error {
        match self {
            Unanswered::Failed(error) => Error::registry(doing, error),
            Unanswered::Cancelled => Error::cancelled(),
        }
    }
}

/// Asks a registry on `tokio`; ends when the build is cancelled, however long the registry makes the client wait.
pub fn ask<T>(
    tokio: &tokio::runtime::Handle,
    cancel: &CancellationToken,
    asking: impl Future<Output = Result<T, registry_client::Error>>,
) -> Result<T, Unanswered> {
    match until_cancelled(tokio, cancel, asking) {
        Some(answer) => answer.map_err(Unanswered::Failed),
        None => Err(Unanswered::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_with_the_build() {
        let cancel = CancellationToken::new();
        let mut endless = Cancellable::new(io::repeat(0), &cancel);
        let mut sink = Cancellable::new(io::sink(), &cancel);
        let mut buffer = [0; 16];
        endless.read_exact(&mut buffer).unwrap();
        sink.write_all(&buffer).unwrap();
        cancel.cancel();
        assert!(endless.read_exact(&mut buffer).is_err());
        assert!(sink.write_all(&buffer).is_err());
    }

    #[test]
    fn waiting_ends_with_the_build() {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cancel = CancellationToken::new();
        assert_eq!(until_cancelled(tokio.handle(), &cancel, async { 1 }), Some(1));
        let other = cancel.clone();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            other.cancel();
        });
        assert_eq!(until_cancelled(tokio.handle(), &cancel, std::future::pending::<()>()), None);
        ending.join().unwrap();
    }
}
