//! Files that Git LFS keeps elsewhere: what is in the commit is a pointer to them.

use std::io::{self, Cursor, Read};

/// How a pointer begins.
const START: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// The line that follows the version in a pointer.
const OBJECT: &[u8] = b"oid sha256:";
/// Longest pointer.
const MAX_POINTER: u64 = 1024;

/// A file is a pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("Git LFS keeps its content elsewhere, and what the commit holds is only a pointer to it")]
pub struct Pointer {
    /// The SHA-256 of the content, 64 lower-case hexadecimal digits; empty if it is malformed.
    pub object: String,
    /// Bytes of the content.
    pub size: u64,
}

impl Pointer {
    /// Returns whether a file of `size` bytes may be a pointer.
    pub(crate) fn may_have(size: u64) -> bool {
        size > START.len() as u64 && size <= MAX_POINTER
    }

    /// Reads the lines of a pointer; what is not there as it should be stays empty.
    fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
        let object = value("oid sha256:");
        let is_hash = object.len() == 64 && object.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let size = value("size ").parse().ok().filter(|_| is_hash);
        Pointer { object: size.map(|_| object).unwrap_or_default(), size: size.unwrap_or_default() }
    }
}

/// Returns `content` as it is, unless it is a pointer.
pub(crate) fn refuse_pointer(mut content: Box<dyn Read + Send>) -> io::Result<Result<Box<dyn Read + Send>, Pointer>> {
    let mut start = Vec::with_capacity(START.len());
    content.by_ref().take(START.len() as u64).read_to_end(&mut start)?;
    if start == START {
        content.by_ref().take(MAX_POINTER).read_to_end(&mut start)?;
        if start.windows(OBJECT.len()).any(|bytes| bytes == OBJECT) {
            return Ok(Err(Pointer::read(&start)));
        }
    }
    Ok(Ok(Box::new(Cursor::new(start).chain(content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pointers_are_refused() {
        // SV-33
        let read = |text: &'static [u8]| refuse_pointer(Box::new(text)).unwrap();
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let extended = b"version https://git-lfs.github.com/spec/v1\next-0-x sha256:11\noid sha256:00\nsize 1\n";
        assert!(read(pointer).is_err() && read(extended).is_err());
        for text in
            [&b"x"[..], b"", b"version https://git-lfs.github.com/spec/v1\nis what pointers begin with\n", b"\0\xff"]
        {
            let mut back = Vec::new();
            read(text).ok().unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, text);
        }
    }

    #[test]
    fn a_pointer_names_an_object_and_its_size() {
        let object = "4d".repeat(32);
        let text = |object: &str, size: &str| {
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{object}\nsize {size}\n")
        };
        assert_eq!(Pointer::read(text(&object, "12").as_bytes()), Pointer { object: object.clone(), size: 12 });
        for (object, size) in [("00", "1"), (object.to_uppercase().as_str(), "1"), (&object, "-1"), ("../../../x", "1")]
        {
            assert_eq!(Pointer::read(text(object, size).as_bytes()).object, "", "{object} {size}");
        }
    }
}
