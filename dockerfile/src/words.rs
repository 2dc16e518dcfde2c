//! Taking a logical line apart: keyword, flags, words.

/// White space between keyword and arguments, and between a legacy key and its value.
pub(crate) const BLANK: [char; 5] = [' ', '\t', '\x0b', '\x0c', '\r'];

/// Splits a line into its keyword and its arguments, both trimmed.
pub(crate) fn keyword(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.find(BLANK) {
        Some(end) => (&line[..end], line[end..].trim()),
        None => (line, ""),
    }
}

/// Splits the flags off the arguments: words that begin with `--`, up to the first that does not, or a bare `--`.
pub(crate) fn split_flags(arguments: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = arguments;
    loop {
        rest = rest.trim_start_matches(char::is_whitespace);
        if !rest.starts_with("--") {
            return (flags, rest);
        }
        let (word, after) = flag_word(rest);
        if word == "--" {
            return (flags, after);
        }
        flags.push(word);
        rest = after;
    }
}

/// Returns the arguments after the flags.
pub(crate) fn after_flags(arguments: &str) -> &str {
    split_flags(arguments).1
}

/// Takes one word off `text`; quotes group and are removed, a backslash protects the next character.
fn flag_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (letter, quote) {
            (letter, None) if letter.is_whitespace() => return (word, &text[at..]),
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', _) => word.extend(letters.next().map(|(_, letter)| letter)),
            (letter, _) => word.push(letter),
        }
    }
    (word, "")
}

/// Splits `k=v` arguments into words: quotes group, and stay for the expansion to remove.
pub(crate) fn quoted_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default().push(letter);
            }
            (letter, Some(open)) if letter == open => {
                quote = None;
                word.get_or_insert_default().push(letter);
            }
            (letter, quote) if letter == escape && quote != Some('\'') => {
                // A lone escape at the end is dropped.
                if let Some(next) = letters.next() {
                    word.get_or_insert_default().extend([letter, next]);
                }
            }
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Splits arguments at white space, whatever quotes they hold.
pub(crate) fn blank_words(text: &str) -> Vec<String> {
    text.split(BLANK).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-029
    #[test]
    fn quotes_group_words_and_stay() {
        for (text, expected) in [
            (r#"a=1 b="x y" c='\' d=e\ f"#, vec!["a=1", r#"b="x y""#, r"c='\'", r"d=e\ f"]),
            (r#""" x"#, vec![r#""""#, "x"]),
            (r#"a="\"" b"#, vec![r#"a="\"""#, "b"]),
            ("a\\", vec!["a"]),
            ("  ", vec![]),
        ] {
            assert_eq!(quoted_words(text, '\\'), expected, "{text}");
        }
        assert_eq!(quoted_words("a` b c", '`'), ["a` b", "c"]);
    }

    // DF-019
    #[test]
    fn flags_end_at_two_dashes_or_at_another_word() {
        for (text, flags, rest) in [
            ("--a --b=c d --e", vec!["--a", "--b=c"], "d --e"),
            ("--a -- --b", vec!["--a"], " --b"),
            (r#"--a="x y" --b='z' c"#, vec!["--a=x y", "--b=z"], "c"),
            (r"--a=x\ y c", vec!["--a=x y"], "c"),
            ("-a", vec![], "-a"),
            ("--", vec![], ""),
        ] {
            let (found, after) = split_flags(text);
            assert_eq!((found, after), (flags.into_iter().map(str::to_owned).collect(), rest), "{text}");
        }
    }
}
