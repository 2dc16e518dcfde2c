//! Source lines as they are shown with an error.

/// Lines shown before and after those that are marked.
const CONTEXT: usize = 3;
/// Longest line that is shown.
const WIDTH: usize = 400;

/// Returns lines `first` to `last` of `text`, marked, with some around them, as BuildKit shows them.
pub fn snippet(name: &str, text: &[u8], (first, last): (usize, usize)) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    if first == 0 || first > lines.len() {
        return String::new();
    }
    let last = last.clamp(first, lines.len());
    let from = first.saturating_sub(CONTEXT).max(1);
    let until = (last + CONTEXT).min(lines.len());
    let rule = "-".repeat(20);
    let mut shown = format!("{name}:{first}\n{rule}\n");
    for number in from..=until {
        let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
        let line: String =
            lines[number - 1].chars().filter(|letter| !letter.is_control() || *letter == '\t').take(WIDTH).collect();
        shown.push_str(&format!(" {number:3} | {mark} {line}\n"));
    }
    shown.push_str(&rule);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_marked() {
        let text = b"FROM a\nRUN b\nRNU c\nRUN d\n";
        let expected = "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     RUN b\n   3 | >>> RNU c\n   4 |     RUN d\n--------------------";
        assert_eq!(snippet("Dockerfile", text, (3, 3)), expected);
        assert_eq!(snippet("Dockerfile", text, (9, 9)), "");
    }
}
