//! Texts from elsewhere as a terminal may show them.

/// Returns a text in which nothing moves the cursor, sets a title, or turns around how what follows is read.
pub fn harmless(text: &str) -> String {
    text.chars().map(|char| if can_harm(char) { '\u{fffd}' } else { char }).collect()
}

fn can_harm(char: char) -> bool {
    let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || char.is_control() && char != '\n' && char != '\t'
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_terminal_is_not_steered_by_what_others_wrote() {
        // SEC-30
        let text = "fine\n\t\x1b[2J\x1b]0;title\x07 \u{202e}back\u{2066}";
        assert_eq!(harmless(text), "fine\n\t\u{fffd}[2J\u{fffd}]0;title\u{fffd} \u{fffd}back\u{fffd}");
        assert_eq!(harmless("**@everyone** <b> ä 雪"), "**@everyone** <b> ä 雪");
    }
}
