//! Taking a logical line apart: keyword, flags, words.

/// White space between keyword and arguments.
const BLANK: [char; 5] = [' ', '\t', '\x0b', '\x0c', '\r'];

/// Splits a line into its keyword and its arguments, both trimmed.
pub fn keyword(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.find(BLANK) {
        Some(end) => (&line[..end], line[end..].trim()),
        None => (line, ""),
    }
}

/// Splits the flags off the arguments: words that begin with `--`, up to the first that does not, or a bare `--`.
pub fn split_flags(arguments: &str) -> (Vec<String>, &str) {
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
pub fn after_flags(arguments: &str) -> &str {
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
pub fn quoted_words(text: &str, escape: char) -> Vec<String> {
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

/// Splits a shell line roughly into words, as is needed to find heredocs: quotes group and stay, `<< WORD` is one word.
pub fn shell_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in quoted_words(text, '\\') {
        match words.last_mut() {
            Some(last) if is_redirection(last) => last.push_str(&word),
            _ => words.push(word),
        }
    }
    words
}

/// Tells whether `word` is `<<` or `<<-` still waiting for its word.
fn is_redirection(word: &str) -> bool {
    let rest = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
    rest == "<<" || rest == "<<-"
}
