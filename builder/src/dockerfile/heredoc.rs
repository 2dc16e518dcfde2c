//! Heredocs: which ones a line announces, and what becomes of their bodies.

use super::words;

/// A file or script that stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, unquoted; also the file's name.
    pub name: String,
    /// The file descriptor in front of `<<`, 0 if there is none.
    pub descriptor: u32,
    /// Whether variables in it are expanded: the word was not quoted.
    pub expand: bool,
    /// Whether leading tabs are removed: `<<-`.
    pub chomp: bool,
    /// Its lines, as they stand in the file.
    pub content: String,
}

impl Heredoc {
    /// Returns the content without the leading tabs that `<<-` removes.
    pub fn chomped(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Returns the heredocs that an instruction announces, without content: only `RUN`, `COPY` and `ADD` can.
pub fn announced(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let mut rest = line.trim();
    loop {
        let (keyword, arguments) = words::keyword(rest);
        match keyword.to_lowercase().as_str() {
            "onbuild" => rest = arguments,
            "run" | "copy" | "add" => {
                let after_flags = words::after_flags(arguments);
                if super::exec::parse(after_flags).is_ok_and(|words| words.is_some()) {
                    return Vec::new();
                }
                return words::shell_words(after_flags).iter().filter_map(|word| parse(word)).collect();
            }
            _ => return Vec::new(),
        }
    }
}

/// Tells whether the command of a `RUN` is nothing but one heredoc, which then is the script.
pub fn is_alone(command: &str) -> bool {
    let words = words::shell_words(command);
    matches!(words.as_slice(), [only] if parse(only).is_some())
}

/// Parses a whole word `[fd]<<[-]WORD`.
pub fn parse(word: &str) -> Option<Heredoc> {
    let digits = word.len() - word.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (descriptor, rest) = word.split_at(digits);
    let rest = rest.strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() || rest.starts_with('<') {
        return None;
    }
    let name = unquote(rest)?;
    if name.is_empty() || name.contains(['<', '\n']) {
        return None;
    }
    let expand = !rest.contains(['\'', '"', '\\']);
    let descriptor = if descriptor.is_empty() { 0 } else { descriptor.parse().ok()? };
    Some(Heredoc { name, descriptor, expand, chomp, content: String::new() })
}

/// Removes the quotes of a word as a shell does; `None` if they do not match.
fn unquote(word: &str) -> Option<String> {
    let mut unquoted = String::new();
    let mut letters = word.chars();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', None) => unquoted.push(letters.next()?),
            ('\\', Some('"')) => match letters.next()? {
                escaped @ ('"' | '\\' | '$') => unquoted.push(escaped),
                other => unquoted.extend(['\\', other]),
            },
            (letter, _) => unquoted.push(letter),
        }
    }
    quote.is_none().then_some(unquoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_announce_a_heredoc() {
        let found =
            |word: &str| parse(word).map(|heredoc| (heredoc.name, heredoc.expand, heredoc.chomp, heredoc.descriptor));
        assert_eq!(found("<<EOF"), Some(("EOF".into(), true, false, 0)));
        assert_eq!(found("<<-'EOF'"), Some(("EOF".into(), false, true, 0)));
        assert_eq!(found("3<<\"E F\""), Some(("E F".into(), false, false, 3)));
        for word in ["<<", "<<<EOF", "a<<EOF", "<EOF", "<<'EOF", "EOF<<"] {
            assert_eq!(found(word), None, "{word}");
        }
    }
}
