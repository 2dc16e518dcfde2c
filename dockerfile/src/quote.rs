//! Strings as Go prints them.

/// Returns a string as Go's `%q` prints it.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\x0b' => quoted.push_str("\\v"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", control as u32)),
            // Spaces other than the usual one and what is not printed at all stand as their numbers.
            odd if odd.is_control() || (odd.is_whitespace() && odd != ' ') || is_invisible(odd) => {
                quoted.push_str(&format!("\\u{:04x}", odd as u32));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns a text with control characters written out, so that a terminal shows them and does not obey them.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' | '\n' => shown.push(letter),
            control if control.is_control() || is_invisible(control) => shown.extend(control.escape_default()),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Tells whether a character only changes how others are shown.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-22
    #[test]
    fn terminals_are_not_spoken_to() {
        assert_eq!(printable("a\u{1b}[31mé\u{7}\t\u{202e}"), "a\\u{1b}[31mé\\u{7}\t\\u{202e}");
    }

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (text, expected) in [
            ("a \"b\"\n\\", r#""a \"b\"\n\\""#),
            ("\u{1}\t\u{7f}", r#""\x01\t\x7f""#),
            ("é\u{a0}\u{200b}", r#""é\u00a0\u200b""#),
        ] {
            assert_eq!(go_quoted(text), expected);
        }
    }
}
