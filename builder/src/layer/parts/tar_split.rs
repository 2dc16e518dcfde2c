//! tar-split: everything of a tar but the contents of its files, from which an engine makes the same tar again.

use super::super::compression::zstd_stream;
use super::piece::FileSums;
use super::zstd_chunked::Section;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};

/// A content of a file stands here.
const FILE: u8 = 1;
/// Bytes of the tar.
const SEGMENT: u8 = 2;

/// Writes tar-split: one JSON object a line.
pub(super) struct TarSplit {
    out: zstd::stream::write::Encoder<'static, Vec<u8>>,
    size: u64,
    lines: u64,
}

impl TarSplit {
    /// Starts with nothing.
    pub(super) fn new() -> io::Result<Self> {
        Ok(TarSplit { out: zstd_stream()?, size: 0, lines: 0 })
    }

    /// Adds bytes of the tar.
    pub(super) fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let payload = STANDARD.encode(bytes);
        let line = format!("{{\"type\":{SEGMENT},\"payload\":\"{payload}\",\"position\":{}}}\n", self.lines);
        self.line(&line)
    }

    /// Adds the place of an entry's content, which may be none.
    pub(super) fn file(&mut self, name: &str, content: Option<(u64, &FileSums)>) -> io::Result<()> {
        let name = serde_json::to_string(name).map_err(io::Error::other)?;
        let position = self.lines;
        let line = match content {
            Some((size, sums)) => format!(
                "{{\"type\":{FILE},\"name\":{name},\"size\":{size},\"payload\":\"{}\",\"position\":{position}}}\n",
                STANDARD.encode(sums.crc64)
            ),
            None => format!("{{\"type\":{FILE},\"name\":{name},\"payload\":null,\"position\":{position}}}\n"),
        };
        self.line(&line)
    }

    /// Returns it compressed.
    pub(super) fn finish(self) -> io::Result<Section> {
        Ok(Section { bytes: self.out.finish()?, size: self.size })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.size += line.len() as u64;
        self.lines += 1;
        self.out.write_all(line.as_bytes())
    }
}
