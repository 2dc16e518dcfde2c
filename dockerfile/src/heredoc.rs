//! Heredocs: which ones a line announces, and what becomes of their bodies.

use crate::expand;
use crate::words;

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
pub(crate) fn announced(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let mut rest = line.trim();
    loop {
        let (keyword, arguments) = words::keyword(rest);
        match keyword.to_lowercase().as_str() {
            "onbuild" => rest = words::after_flags(arguments),
            "run" | "copy" | "add" => {
                if crate::exec::parse(words::after_flags(arguments)).is_ok_and(|words| words.is_some()) {
                    return Vec::new();
                }
                return expand::shell_words(line).iter().filter_map(|word| parse(word)).collect();
            }
            _ => return Vec::new(),
        }
    }
}

/// Tells whether the command of a `RUN` is nothing but one heredoc, which then is the script.
pub(crate) fn is_alone(command: &str) -> bool {
    parse(command.trim()).is_some()
}

/// Parses a whole word `[fd]<<[-]WORD`.
pub(crate) fn parse(word: &str) -> Option<Heredoc> {
    let digits = word.len() - word.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (descriptor, rest) = word.split_at(digits);
    let rest = rest.strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let (name, quoted) = expand::unquoted(rest)?;
    let descriptor = if descriptor.is_empty() { 0 } else { descriptor.parse().ok()? };
    Some(Heredoc { name, descriptor, expand: !quoted, chomp, content: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-033, DF-034
    #[test]
    fn words_that_announce_a_heredoc() {
        let found =
            |word: &str| parse(word).map(|heredoc| (heredoc.name, heredoc.expand, heredoc.chomp, heredoc.descriptor));
        assert_eq!(found("<<EOF"), Some(("EOF".into(), true, false, 0)));
        assert_eq!(found("<<-'EOF'"), Some(("EOF".into(), false, true, 0)));
        assert_eq!(found("3<<\"E F\""), Some(("E F".into(), false, false, 3)));
        assert_eq!(found("<< EOF"), Some(("EOF".into(), true, false, 0)));
        assert_eq!(found("<<\\EOF"), Some(("EOF".into(), true, false, 0)), "only quotes turn expansion off");
        assert_eq!(found("<<$EOF"), Some(("$EOF".into(), true, false, 0)));
        for word in ["<<", "<<<EOF", "a<<EOF", "<EOF", "<<'EOF", "EOF<<"] {
            assert_eq!(found(word), None, "{word}");
        }
    }
}
