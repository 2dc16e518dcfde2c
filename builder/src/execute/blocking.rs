//! Lets the registry client's downloads, which are asynchronous, write into a file, which is not.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Writes to `W` in place: the future is driven by a thread of the build that may block.
pub(crate) struct BlockingSink<W>(W);

impl<W: Write + Unpin> BlockingSink<W> {
    /// Wraps a writer.
    pub(crate) fn new(writer: W) -> Self {
        BlockingSink(writer)
    }

    /// Returns the writer.
    pub(crate) fn into_inner(self) -> W {
        self.0
    }
}

impl<W: Write + Unpin> AsyncWrite for BlockingSink<W> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_flush(context)
    }
}
