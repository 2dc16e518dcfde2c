//! Source lines as they are shown with an error.

use std::collections::HashSet;

/// Longest line that is shown.
const WIDTH: usize = 400;

/// Returns the lines of `text` in `places`, marked, with some around them, as BuildKit shows them.
pub fn snippet(name: &str, text: &[u8], places: &[(usize, usize)]) -> String {
    shown(&lines(&String::from_utf8_lossy(text)), places, &|first| format!("{name}:{first}"))
}

/// Returns the same for an error that says `message`, headed by line and column: of the word that the message names, else
/// of the beginning of the instruction.
pub fn snippet_of_error(name: &str, text: &[u8], places: &[(usize, usize)], message: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = lines(&text);
    shown(&lines, places, &|first| {
        let (line, column) = position(&lines, places, message).unwrap_or((first, 1));
        format!("{name}:{line}:{column}")
    })
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
}

fn shown(lines: &[&str], places: &[(usize, usize)], header: &dyn Fn(usize) -> String) -> String {
    let first = places.iter().map(|(first, _)| *first).min().unwrap_or(0);
    let last = places.iter().map(|(_, last)| *last).max().unwrap_or(0).clamp(first, lines.len().max(first));
    if first == 0 || first > lines.len() {
        return String::new();
    }
    let (from, until) = around(first, last, lines.len());
    let rule = "-".repeat(20);
    let mut shown = format!("{}\n{rule}\n", header(first));
    for number in from..=until {
        let marked = places.iter().any(|(first, last)| (*first..=*last).contains(&number));
        let mark = if marked { ">>>" } else { "   " };
        let line: String =
            lines[number - 1].chars().filter(|letter| !letter.is_control() || *letter == '\t').take(WIDTH).collect();
        shown.push_str(&format!(" {number:3} | {mark} {line}\n"));
    }
    shown.push_str(&rule);
    shown
}

/// Returns line and column, from 1 and in characters, of the longest word in `places` that `message` names; where it names
/// none, of the first word there.
fn position(lines: &[&str], places: &[(usize, usize)], message: &str) -> Option<(usize, usize)> {
    let marked = places.iter().flat_map(|(first, last)| *first..=(*last).min(lines.len()));
    let words: Vec<_> = marked.flat_map(|number| words(lines[number - 1]).map(move |word| (number, word))).collect();
    let named: HashSet<&str> = message.split(is_between).collect();
    // Of words that are as long as each other the first counts.
    let longest =
        words.iter().rev().filter(|(_, (_, word))| named.contains(word)).max_by_key(|(_, (_, word))| word.len());
    let (number, (start, _)) = longest.or(words.first())?;
    Some((*number, lines[number - 1][..*start].chars().count() + 1))
}

/// Returns the words of a line with the bytes at which they begin.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    line.split(is_between).filter(|word| !word.is_empty()).map(move |word| (start(word), word))
}

/// Tells whether a character stands between words, in Dockerfiles and in messages about them.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || "=,:;\"'`()[]{}/".contains(letter)
}

/// Returns the lines to show for those that are marked: more for one line than for several.
fn around(first: usize, last: usize, lines: usize) -> (usize, usize) {
    let (mut from, mut until) = (first, last);
    let wanted = if first == last { 4 } else { 2 };
    let mut added = 0;
    while added < wanted {
        if from > 1 {
            from -= 1;
            added += 1;
        }
        if until < lines {
            until += 1;
            added += 1;
        }
        added += 1;
    }
    (from, until)
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-302
    #[test]
    fn the_lines_are_marked() {
        let text = b"FROM a\nRUN b\nRNU c\nRUN d\n";
        let expected = "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     RUN b\n   3 | >>> RNU c\n   4 |     RUN d\n   5 |     \n--------------------";
        assert_eq!(snippet("Dockerfile", text, &[(3, 3)]), expected);
        assert_eq!(snippet("Dockerfile", text, &[(9, 9)]), "");
        assert_eq!(snippet("Dockerfile", text, &[]), "");
    }

    // DF-01
    #[test]
    fn errors_name_the_column_of_what_they_are_about() {
        let text =
            "FROM a\n  RNU b\nCOPY --chwon=1 a b\nRUN --mount=type=b\u{e4}nd,\\\n  id=x true\nENV a=\"b\n".as_bytes();
        for ((first, last), message, expected) in [
            ((2, 2), "unknown instruction: RNU (did you mean RUN?)", "D:2:3"),
            ((3, 3), "unknown flag: --chwon (did you mean chown?)", "D:3:6"),
            ((4, 5), "unsupported mount type \"b\u{e4}nd\"", "D:4:18"),
            ((4, 5), "unexpected key 'id'", "D:5:3"),
            ((6, 6), "unexpected end of statement", "D:6:1"),
        ] {
            let shown = snippet_of_error("D", text, &[(first, last)], message);
            assert_eq!(shown.lines().next(), Some(expected), "{message}");
        }
    }

    // DF-307
    #[test]
    fn several_places_are_marked() {
        let text = b"1\n2\n3\n4\n5\n6\n7";
        let expected = "D:2\n--------------------\n   1 |     1\n   2 | >>> 2\n   3 |     3\n   4 | >>> 4\n   5 | >>> 5\n   6 |     6\n--------------------";
        assert_eq!(snippet("D", text, &[(2, 2), (4, 5)]), expected);
    }
}
