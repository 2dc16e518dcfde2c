//! Colours of logs: the sequences that the sanitiser lets through become classes of the style, line by line.

use super::words::is_error;
use crate::view::terminal::sanitize_output;
use maud::{Markup, html};

/// A piece of a line with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    look: Look,
}

/// How text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    /// 0 to 7, and 8 for the dim one.
    colour: Option<u8>,
    is_bold: bool,
}

/// A line of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<Piece>);

impl Line {
    /// Returns the line with its colours.
    pub(crate) fn shown(&self) -> Markup {
        html! {
            @for piece in &self.0 {
                @match piece.look.class() {
                    None => (piece.text),
                    Some(class) => span class=(class) { (piece.text) },
                }
            }
        }
    }

    /// Tells whether the line reports an error, as compilers and tools do.
    pub(crate) fn is_error(&self) -> bool {
        let text: String = self.0.iter().map(|piece| piece.text.as_str()).collect();
        is_error(&text)
    }
}

impl Look {
    fn class(self) -> Option<String> {
        let bold = if self.is_bold { "ab" } else { "" };
        match self.colour {
            Some(colour) if self.is_bold => Some(format!("a{colour} {bold}")),
            Some(colour) => Some(format!("a{colour}")),
            None => self.is_bold.then(|| bold.to_owned()),
        }
    }

    /// Applies the numbers of a sequence.
    fn apply(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|text| text.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Look::default(),
                1 => self.is_bold = true,
                2 => self.colour = Some(8),
                22 => self.is_bold = false,
                30..=37 => self.colour = Some((number - 30) as u8),
                39 => self.colour = None,
                90 => self.colour = Some(8),
                91..=97 => self.colour = Some((number - 90) as u8),
                38 | 48 => {
                    let colour = match numbers.next() {
                        Some(5) => numbers.next().and_then(of_palette),
                        _ => numbers.by_ref().take(3).last().and(None),
                    };
                    if number == 38 {
                        self.colour = colour;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the nearest of our colours to one of the palette's first ones.
fn of_palette(number: u16) -> Option<u8> {
    match number {
        0..=7 => Some(number as u8),
        8 => Some(8),
        9..=15 => Some((number - 8) as u8),
        _ => None,
    }
}

/// Returns the lines of a part of a log.
pub(crate) fn lines(bytes: &[u8]) -> Vec<Line> {
    let text = sanitize_output(bytes);
    let mut look = Look::default();
    let mut found: Vec<Line> = text.lines().map(|line| line_of(line, &mut look)).collect();
    // The sanitiser's own reset at the end is not a line.
    if text.ends_with('m') && found.last().is_some_and(|line| line.0.is_empty()) && !bytes.ends_with(b"m") {
        found.pop();
    }
    found
}

fn line_of(line: &str, look: &mut Look) -> Line {
    let mut pieces = Vec::new();
    let mut push = |text: &str, look: Look| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), look });
        }
    };
    let mut parts = line.split("\x1b[");
    push(parts.next().unwrap_or_default(), *look);
    for part in parts {
        match part.split_once('m') {
            Some((parameters, text)) => {
                look.apply(parameters);
                push(text, *look);
            }
            None => push(part, *look),
        }
    }
    Line(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html_of(text: &[u8]) -> Vec<String> {
        lines(text).iter().map(|line| line.shown().into_string()).collect()
    }

    #[test]
    fn colours_become_classes_and_nothing_else_passes() {
        assert_eq!(html_of(b"a\n\x1b[31mred\x1b[0m <b>\n"), ["a", "<span class=\"a1\">red</span> &lt;b&gt;"]);
        assert_eq!(
            html_of(b"\x1b[1;92mx\ny\x1b[m z"),
            ["<span class=\"a2 ab\">x</span>", "<span class=\"a2 ab\">y</span> z"]
        );
        assert_eq!(html_of(b"\x1b[38;5;9mx\x1b[38;2;1;2;3my\x1b[48;5;1mz"), ["<span class=\"a1\">x</span>yz"]);
        assert_eq!(html_of(b"\x1b]0;title\x07\x1b[2Jx"), ["x"]);
        assert_eq!(html_of(b"\x1b[31mx\n"), ["<span class=\"a1\">x</span>"]);
        assert_eq!(html_of(b"\n\nx"), ["", "", "x"]);
    }

    #[test]
    fn errors_are_found_behind_their_colours() {
        assert!(lines(b"\x1b[1merror\x1b[0m[E0425]: x")[0].is_error());
    }
}
