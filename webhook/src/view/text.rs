//! Texts as they are shown: those of others without what could change how they are read, and words of the API.

use database::marks;
use serde::Serialize;
use std::collections::BTreeMap;

/// Returns the word that a value of a fixed set has in the API.
pub fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Returns values by their names, with the variable in place of a value that is not known yet.
pub fn shown_values(values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.iter().map(|(name, text)| (name.clone(), marks::shown(text))).collect()
}

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
