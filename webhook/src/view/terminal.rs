//! The terminal sanitiser: text that steps, commits, forges and registries wrote, as a terminal may be given it.
//!
//! Colours pass; whatever else steers a terminal does not: cursor moves, titles, the clipboard (OSC 52), C1 controls,
//! characters that turn the direction of writing.

/// Longest parameters of a colour sequence; a terminal's own limit is not much higher.
const MAX_PARAMETERS: usize = 64;
/// Turns all colours off.
const RESET: &str = "\x1b[0m";
/// Replaces a character that is not passed on.
const REPLACEMENT: char = '\u{fffd}';

/// Returns a text without colours, in which nothing steers a terminal.
pub fn sanitize(text: &str) -> String {
    filter(text, Colours::Dropped)
}

/// Returns a text with its colours, in which nothing else steers a terminal.
pub fn sanitize_output(bytes: &[u8]) -> String {
    filter(&String::from_utf8_lossy(bytes), Colours::Allowed)
}

fn filter(text: &str, colours: Colours) -> String {
    let mut sanitizer = Sanitizer { colours, ..Sanitizer::default() };
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|char| sanitizer.take(char, &mut shown));
    sanitizer.reset(&mut shown);
    shown
}

/// Sanitizes a stream whose parts may end anywhere, also within a character or an escape sequence.
#[derive(Debug, Default)]
pub struct Sanitizer {
    state: State,
    colours: Colours,
    /// Bytes of a character that has not come whole.
    partial: Vec<u8>,
    /// Whether a colour is on.
    is_coloured: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Colours {
    #[default]
    Allowed,
    Dropped,
}

/// Where in an escape sequence the next character stands.
#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// After a carriage return.
    Return,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate character: one more follows.
    Designation,
    /// In a control sequence, after its parameters so far.
    Control(String),
    /// In a string for the terminal: a title, the clipboard, a picture.
    TerminalString,
    /// After ESC in such a string.
    TerminalStringEscape,
}

impl Sanitizer {
    /// Returns the part of the stream that may be shown after `bytes`.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.partial.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let mut shown = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            chunk.valid().chars().for_each(|char| self.take(char, &mut shown));
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_incomplete(invalid) {
                self.partial = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.take(REPLACEMENT, &mut shown);
            }
        }
        shown
    }

    /// Returns what turns colours off that are still on.
    pub fn finish(&mut self) -> String {
        let mut shown = String::new();
        self.reset(&mut shown);
        shown
    }

    fn reset(&mut self, shown: &mut String) {
        if std::mem::take(&mut self.is_coloured) {
            shown.push_str(RESET);
        }
    }

    fn take(&mut self, char: char, shown: &mut String) {
        self.state = match (std::mem::take(&mut self.state), char) {
            (State::TerminalString | State::TerminalStringEscape, '\x07' | '\u{9c}')
            | (State::TerminalStringEscape, '\\') => State::Text,
            (State::TerminalString, '\x1b') => State::TerminalStringEscape,
            // A string that is never ended must not hide what comes after it.
            (State::TerminalString | State::TerminalStringEscape, '\n') => self.text('\n', shown),
            (State::TerminalString | State::TerminalStringEscape, _) => State::TerminalString,
            (State::Control(parameters), char) => self.control(parameters, char, shown),
            (State::Designation, ' '..='~') => State::Text,
            (State::Escape, '[') => State::Control(String::new()),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::TerminalString,
            (State::Escape, ' '..='/') => State::Designation,
            (State::Escape, '0'..='~') => State::Text,
            (State::Return, '\r') => State::Return,
            (State::Return, '\n') => self.text('\n', shown),
            (State::Return, char) => {
                // A line that is drawn again stands below itself: nothing is written over.
                shown.push('\n');
                self.text(char, shown)
            }
            (_, char) => self.text(char, shown),
        };
    }

    fn text(&mut self, char: char, shown: &mut String) -> State {
        match char {
            '\x1b' => return State::Escape,
            '\u{9b}' => return State::Control(String::new()),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => return State::TerminalString,
            '\r' => return State::Return,
            '\n' | '\t' => shown.push(char),
            char if char.is_control() || turns_direction(char) => shown.push(REPLACEMENT),
            char => shown.push(char),
        }
        State::Text
    }

    fn control(&mut self, mut parameters: String, char: char, shown: &mut String) -> State {
        match char {
            ' '..='?' if parameters.len() < MAX_PARAMETERS => {
                parameters.push(char);
                State::Control(parameters)
            }
            ' '..='?' => State::Control(parameters),
            'm' => {
                if self.colours == Colours::Allowed && is_colour(&parameters) {
                    shown.push_str(&format!("\x1b[{parameters}m"));
                    self.is_coloured = !matches!(parameters.as_str(), "" | "0" | "00");
                }
                State::Text
            }
            '@'..='~' => State::Text,
            // Not a control sequence after all.
            char => self.text(char, shown),
        }
    }
}

/// Returns whether the parameters of a sequence for colours hold nothing but colours: concealed text is not shown as such.
fn is_colour(parameters: &str) -> bool {
    if parameters.len() >= MAX_PARAMETERS || !parameters.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')) {
        return false;
    }
    let mut numbers = parameters.split(';');
    while let Some(number) = numbers.next() {
        match (number, number.parse::<u32>()) {
            (_, Ok(8)) => return false,
            // The numbers of a colour of the palette or of one by its parts.
            (_, Ok(38 | 48 | 58)) => match numbers.next() {
                Some("5") => drop(numbers.next()),
                Some("2") => drop(numbers.nth(2)),
                _ => return false,
            },
            _ => {}
        }
    }
    true
}

fn turns_direction(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Returns whether bytes at the end of a part may become a character with those of the next.
fn is_incomplete(bytes: &[u8]) -> bool {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.len() < length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_do_not_steer_a_terminal() {
        // SEC-30
        let text = "fine\n\t\x1b[2J\x1b]0;title\x07 \u{202e}back\u{2066}";
        assert_eq!(sanitize(text), "fine\n\t \u{fffd}back\u{fffd}");
        assert_eq!(sanitize("**@everyone** <b> ä 雪"), "**@everyone** <b> ä 雪");
        assert_eq!(sanitize("\x1b[31mred\x1b[0m"), "red");
    }

    #[test]
    fn only_colours_of_an_output_reach_a_terminal() {
        // SEC-M6
        let cases: [(&[u8], &str); 19] = [
            (b"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
            (b"\x1b[38;5;8mgrey\x1b[m", "\x1b[38;5;8mgrey\x1b[m"),
            (b"\x1b[32mopen", "\x1b[32mopen\x1b[0m"),
            (b"a\x1b]52;c;AAAA\x07b", "ab"),
            (b"a\x1b]52;c;AAAA\x1b\\b", "ab"),
            (b"a\x1b]0;never ended\nb", "a\nb"),
            (b"a\x1bPq#0\x1b\\b\x1b_x\x1b\\c\x1b^x\x1b\\d", "abcd"),
            (b"a\x1b[2J\x1b[H\x1b[5A\x1b[?1049hb", "ab"),
            (b"a\x1bcb\x1b7c\x1b(0d", "abcd"),
            (b"a\x1b[8mhidden\x1b[0mb\x1b[1;8;31mhidden", "ahidden\x1b[0mbhidden"),
            ("a\u{9b}2Jb\u{9d}52;c;x\u{9c}c\u{85}d".as_bytes(), "abc\u{fffd}d"),
            (b"abc\x08\x08\x7fd\x00", "abc\u{fffd}\u{fffd}\u{fffd}d\u{fffd}"),
            (b"10%\r20%\r\n30%\r\r\n", "10%\n20%\n30%\n"),
            ("a\u{202e}b\u{2067}c\u{61c}d".as_bytes(), "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            (b"\x1b[>4;1m\x1b[?25m\x1b[1 mx", "x"),
            (b"\x1b[31\x1b[2Jx", "x"),
            (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b"),
            (b"\x1b\x1b[2Jx", "x"),
            (b"\x1b[38;2;1;8;3mx\x1b[0m", "\x1b[38;2;1;8;3mx\x1b[0m"),
        ];
        for (bytes, expected) in cases {
            let mut whole = Sanitizer::default();
            let shown = whole.push(bytes) + &whole.finish();
            assert_eq!(shown, expected, "{:?}", String::from_utf8_lossy(bytes));
            // Parts may end anywhere.
            let mut parts = Sanitizer::default();
            let shown: String = bytes.iter().map(|byte| parts.push(&[*byte])).collect();
            assert_eq!(shown + &parts.finish(), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
