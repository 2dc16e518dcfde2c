//! Text of others as it is shown: nothing in it changes how it is read.

use super::terminal::sanitize;

/// Returns a text without escape sequences, control characters and characters that change the direction of writing.
pub fn plain(bytes: &[u8]) -> String {
    sanitize(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_cannot_change_how_they_are_read() {
        // SEC-25, SEC-26
        assert_eq!(plain(b"\x1b[31mred\x1b[0m\x1b]0;title\x07 a\r\nb\x08\x00"), "red a\nb\u{fffd}\u{fffd}");
        assert_eq!(plain("a\u{202e}b".as_bytes()), "a\u{fffd}b");
    }
}
