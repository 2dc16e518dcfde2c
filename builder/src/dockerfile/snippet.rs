//! Source lines as they are shown with an error.

/// Longest line that is shown.
const WIDTH: usize = 400;

/// Returns the lines of `text` in `places`, marked, with some around them, as BuildKit shows them.
pub fn snippet(name: &str, text: &[u8], places: &[(usize, usize)]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let first = places.iter().map(|(first, _)| *first).min().unwrap_or(0);
    let last = places.iter().map(|(_, last)| *last).max().unwrap_or(0).clamp(first, lines.len().max(first));
    if first == 0 || first > lines.len() {
        return String::new();
    }
    let (from, until) = around((first, last), lines.len());
    let rule = "-".repeat(20);
    let mut shown = format!("{name}:{first}\n{rule}\n");
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

/// Returns the lines to show for those that are marked: more for one line than for several.
fn around((first, last): (usize, usize), lines: usize) -> (usize, usize) {
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

    // DF-307
    #[test]
    fn several_places_are_marked() {
        let text = b"1\n2\n3\n4\n5\n6\n7";
        let expected = "D:2\n--------------------\n   1 |     1\n   2 | >>> 2\n   3 |     3\n   4 | >>> 4\n   5 | >>> 5\n   6 |     6\n--------------------";
        assert_eq!(snippet("D", text, &[(2, 2), (4, 5)]), expected);
    }
}
