//! Files that Git LFS keeps elsewhere: what is in the commit is a pointer to them.

use std::io::{self, Cursor, Read};

/// How a pointer begins.
const START: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// The line that follows the version in a pointer.
const OBJECT: &[u8] = b"oid sha256:";
/// Longest pointer.
const MAX_POINTER: u64 = 1024;

/// A file is a pointer.
#[derive(Debug, thiserror::Error)]
#[error("Git LFS keeps its content elsewhere, and what the commit holds is only a pointer to it")]
pub struct Pointer;

/// Returns `content` as it is, unless it is a pointer.
pub(crate) fn refuse_pointer(mut content: Box<dyn Read + Send>) -> io::Result<Result<Box<dyn Read + Send>, Pointer>> {
    let mut start = Vec::with_capacity(START.len());
    content.by_ref().take(START.len() as u64).read_to_end(&mut start)?;
    if start == START {
        content.by_ref().take(MAX_POINTER).read_to_end(&mut start)?;
        if start.windows(OBJECT.len()).any(|bytes| bytes == OBJECT) {
            return Ok(Err(Pointer));
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
}
