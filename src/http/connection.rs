//! Hardens HTTP/1 connections: times out stalled readers, and rejects bare line feeds in request heads so that a proxy
//! in front sees the same requests as the server.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may leave what was sent unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a line that are looked at.
const MAX_LINE: usize = 64;

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    lines: Lines,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Takes a connection over.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Connection { stream, lines: Lines::default(), stuck: None }
    }

    /// Ends a connection on which nothing could be written for too long.
    fn with_timeout(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.lines.check(&mut buffer.filled_mut()[before..]);
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.with_timeout(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.with_timeout(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Follows the lines of requests, over their bodies.
#[derive(Default)]
struct Lines {
    part: Part,
    /// The beginning of the present line.
    line: Vec<u8>,
    last: u8,
    /// Bytes of the body that are still to be skipped.
    skip: u64,
    length: u64,
    chunked: bool,
    /// Whether the present line is longer than what is kept of it.
    is_cut: bool,
    /// Whether a length could not be read: the server must not read it in another way.
    is_lost: bool,
}

/// The part of a request that the current line belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The line that begins a request.
    #[default]
    Start,
    /// The other lines of its head.
    Head,
    /// The size of a chunk of its body.
    Size,
    /// The lines after the last chunk.
    Trailer,
}

impl Lines {
    /// Makes line feeds that stand alone into bytes that no head may hold: the server refuses it and hangs up.
    fn check(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.skip -= skipped as u64;
                at += skipped;
                continue;
            }
            let byte = &mut bytes[at];
            if *byte == b'\n' && self.last != b'\r' || self.is_lost {
                *byte = 0;
            }
            self.last = *byte;
            match *byte {
                b'\n' => self.end_line(),
                b'\r' => {}
                byte if self.line.len() < MAX_LINE => self.line.push(byte.to_ascii_lowercase()),
                _ => self.is_cut = true,
            }
            if self.is_lost {
                // Before the line's end is seen, so that the head it stands in is refused.
                bytes[at] = 0;
            }
            at += 1;
        }
    }

    fn end_line(&mut self) {
        let (line, is_cut) = (std::mem::take(&mut self.line), std::mem::take(&mut self.is_cut));
        let line = String::from_utf8_lossy(&line);
        self.part = match (self.part, line.as_ref()) {
            (Part::Start, "") => Part::Start,
            (Part::Start, _) => {
                (self.length, self.chunked) = (0, false);
                Part::Head
            }
            (Part::Head, "") if self.chunked => Part::Size,
            (Part::Head, "") => {
                self.skip = self.length;
                Part::Start
            }
            (Part::Head, header) => {
                self.note(header, is_cut);
                Part::Head
            }
            (Part::Size, size) => {
                let digits = size.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(digits, 16).ok().filter(|_| !is_cut || size.contains(';'));
                self.is_lost = size.is_none();
                match size.unwrap_or(0) {
                    0 => Part::Trailer,
                    size => {
                        // The chunk ends with a line end of its own.
                        self.skip = size.saturating_add(2);
                        Part::Size
                    }
                }
            }
            (Part::Trailer, "") => Part::Start,
            (Part::Trailer, _) => Part::Trailer,
        };
    }

    /// Takes note of how long the body is.
    fn note(&mut self, header: &str, is_cut: bool) {
        match header.split_once(':') {
            Some(("content-length", length)) => {
                let length = length.trim().parse().ok().filter(|_| !is_cut);
                self.is_lost = length.is_none();
                self.length = length.unwrap_or(0);
            }
            Some(("transfer-encoding", _)) => self.chunked = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the server sees, when the bytes come in parts of `size`.
    fn seen(text: &str, size: usize) -> String {
        let (mut lines, mut bytes) = (Lines::default(), text.as_bytes().to_vec());
        bytes.chunks_mut(size).for_each(|part| lines.check(part));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_line_feeds_of_heads_that_stand_alone_are_changed() {
        // API-15
        let fine = [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\na\n\nbGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\n\n\n\n\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ];
        for (size, text) in [1, 3, 1000].into_iter().flat_map(|size| fine.map(|text| (size, text))) {
            assert_eq!(seen(text, size), text);
            let hidden = format!("{text}GET /a HTTP/1.1\r\nX: y\nGET /b HTTP/1.1\r\n\r\n");
            assert_eq!(seen(&hidden, size), hidden.replace("y\nGET", "y\0GET"));
        }
        assert_eq!(seen("GET / HTTP/1.1\n\n", 2), "GET / HTTP/1.1\0\0");
        // A length that is not read here as the server reads it: nothing that follows is a head.
        let zeros = "0".repeat(60);
        let post = format!("POST / HTTP/1.1\r\nContent-Length: {zeros}9\r\n\r\n");
        let chunked = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}00009\r\n");
        for text in [post, chunked] {
            for size in [1, 1000] {
                let shown = seen(&format!("{text}POST / HTTP/1.1\r\n\r\n"), size);
                assert!(shown.ends_with(&"\0".repeat(20)), "{shown:?}");
            }
        }
    }
}
