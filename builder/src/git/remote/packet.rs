//! Packets of git's wire protocol ("pkt-lines"): four hexadecimal digits of length, then as many bytes.

use super::RemoteError;
use crate::git::ssh::SshSession;
use bytes::{Buf, Bytes, BytesMut};
use registry_client::WebAnswer;

/// Bytes of lines, all together, after which a server is not listened to any longer; a million refs are less.
const MAX_LINES: usize = 128 * 1024 * 1024;
/// First byte of a packet that carries bytes of the pack.
const PACK: u8 = 1;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// A line or a piece of data.
    Data(Bytes),
    /// The end of a list or of the answer.
    Flush,
    /// The border between two parts.
    Delimiter,
}

/// Adds a line to a request.
pub(crate) fn line(request: &mut Vec<u8>, text: &str) {
    // The length counts its own digits and the end of the line.
    request.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

/// Adds the end of a list to a request.
pub(crate) fn flush(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0000");
}

/// Adds the border between a command and its arguments.
pub(crate) fn delimiter(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0001");
}

/// Returns the text of a line, without its end.
pub(crate) fn text(data: &[u8]) -> String {
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    String::from_utf8_lossy(data).into_owned()
}

/// Where the bytes of an answer come from.
enum Source {
    Web(Box<WebAnswer>),
    Ssh(Box<SshSession>),
    #[cfg(any(test, fuzzing))]
    Pieces(std::vec::IntoIter<Bytes>),
}

impl Source {
    async fn chunk(&mut self) -> Result<Option<Bytes>, RemoteError> {
        match self {
            Source::Web(answer) => answer.chunk().await.map_err(RemoteError::from),
            Source::Ssh(session) => session.chunk().await.map_err(RemoteError::Ssh),
            #[cfg(any(test, fuzzing))]
            Source::Pieces(pieces) => Ok(pieces.next()),
        }
    }
}

/// The packets of an answer.
pub(crate) struct Packets {
    answer: Source,
    buffer: BytesMut,
    lines: usize,
}

impl Packets {
    /// Reads packets from the body of `answer`.
    pub(crate) fn new(answer: WebAnswer) -> Self {
        Packets { answer: Source::Web(Box::new(answer)), buffer: BytesMut::new(), lines: 0 }
    }

    /// Reads packets from a session, which is told what to say when its server has announced itself.
    pub(crate) fn of_session(session: SshSession) -> Self {
        Packets { answer: Source::Ssh(Box::new(session)), buffer: BytesMut::new(), lines: 0 }
    }

    /// Returns the session that the packets are from, if they are from one.
    pub(crate) fn session(&mut self) -> Option<&mut SshSession> {
        match &mut self.answer {
            Source::Ssh(session) => Some(session),
            _ => None,
        }
    }

    /// Reads packets from an answer that arrives in these pieces.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_pieces(pieces: &[&[u8]]) -> Self {
        let pieces: Vec<_> = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        Packets { answer: Source::Pieces(pieces.into_iter()), buffer: BytesMut::new(), lines: 0 }
    }

    /// Returns the next packet; `None` at the end of the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>, RemoteError> {
        loop {
            if let Some(packet) = take(&mut self.buffer)? {
                self.count(&packet)?;
                return Ok(Some(packet));
            }
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(RemoteError::Malformed("the answer ends in the middle of a packet")),
            }
        }
    }

    /// Returns whether the next bytes are these, which begin no packet.
    pub(crate) async fn begins_with(&mut self, start: &[u8]) -> Result<bool, RemoteError> {
        while self.buffer.len() < start.len() {
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(false),
            }
        }
        Ok(self.buffer.starts_with(start))
    }

    /// Returns the next bytes as they are; `None` at the end of the answer.
    pub(crate) async fn rest(&mut self) -> Result<Option<Bytes>, RemoteError> {
        if !self.buffer.is_empty() {
            return Ok(Some(self.buffer.split().freeze()));
        }
        self.answer.chunk().await
    }

    fn count(&mut self, packet: &Packet) -> Result<(), RemoteError> {
        let Packet::Data(data) = packet else { return Ok(()) };
        if data.first() != Some(&PACK) {
            self.lines += data.len();
        }
        if self.lines > MAX_LINES { Err(RemoteError::TooTalkative) } else { Ok(()) }
    }
}

/// Takes a whole packet off the buffer, if it has one.
fn take(buffer: &mut BytesMut) -> Result<Option<Packet>, RemoteError> {
    let Some(digits) = buffer.first_chunk::<4>() else { return Ok(None) };
    let malformed = RemoteError::Malformed("it does not speak git's protocol");
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let Some(length) = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()) else { return Err(malformed) };
    let packet = match length {
        0 | 2 => Packet::Flush,
        1 => Packet::Delimiter,
        3 => return Err(malformed),
        length if buffer.len() < length => return Ok(None),
        length => {
            buffer.advance(4);
            return Ok(Some(Packet::Data(buffer.split_to(length - 4).freeze())));
        }
    };
    buffer.advance(4);
    Ok(Some(packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_they_were_written() {
        let mut request = Vec::new();
        line(&mut request, "command=ls-refs");
        delimiter(&mut request);
        flush(&mut request);
        assert_eq!(request, b"0014command=ls-refs\n00010000");
        let mut buffer = BytesMut::from(&request[..]);
        let data = take(&mut buffer).unwrap().unwrap();
        assert!(matches!(&data, Packet::Data(line) if text(line) == "command=ls-refs"), "{data:?}");
        assert_eq!(take(&mut buffer).unwrap(), Some(Packet::Delimiter));
        assert_eq!(take(&mut buffer).unwrap(), Some(Packet::Flush));
        assert_eq!(take(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"0009ab");
        assert_eq!(take(&mut buffer).unwrap(), None, "a packet that has not come yet");
        buffer.extend_from_slice(b"cde0004");
        assert_eq!(take(&mut buffer).unwrap(), Some(Packet::Data(Bytes::from_static(b"abcde"))));
        assert_eq!(take(&mut buffer).unwrap(), Some(Packet::Data(Bytes::new())));
        for bad in ["<htm", "0003", "+004", "-001"] {
            assert!(take(&mut BytesMut::from(bad)).is_err(), "{bad}");
        }
    }
}
