//! Patterns of ignore files: as `path.Match`, with `**` for any number of directories.
//!
//! A pattern is run as a set of positions over the path, so that no pattern takes longer than its length times the path's.

use std::iter::Peekable;
use std::str::Chars;

/// A pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    /// The prefix of every path that matches.
    head: String,
    /// The suffix of every path that matches.
    tail: String,
}

#[derive(Debug, Clone)]
enum Token {
    Char(char),
    /// Any character but a slash.
    One,
    /// Any characters but slashes.
    Star,
    /// Nothing, or anything that ends with a slash.
    Directories,
    /// Anything.
    All,
    /// A character that is, or is not, in one of these ranges.
    Class(bool, Vec<(char, char)>),
}

impl Glob {
    /// Reads a pattern that is well formed, as [`crate::pattern::matches`] says.
    pub(crate) fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    // `**/` may stand for no directory at all.
                    let _ = chars.next_if_eq(&'/');
                    if chars.peek().is_none() { Token::All } else { Token::Directories }
                }
                '*' => Token::Star,
                '?' => Token::One,
                '[' => class(&mut chars),
                '\\' => Token::Char(chars.next().unwrap_or('\\')),
                char => Token::Char(char),
            });
        }
        let char = |token: &Token| match token {
            Token::Char(char) => Some(*char),
            _ => None,
        };
        let head = tokens.iter().map_while(char).collect();
        let tail: Vec<char> = tokens.iter().rev().map_while(char).collect();
        Glob { head, tail: tail.into_iter().rev().collect(), tokens }
    }

    /// Tells whether the whole of `path` matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        // Most patterns of a long file are refused here.
        if !path.starts_with(&self.head) || !path.ends_with(&self.tail) {
            return false;
        }
        let mut positions = Positions::new(&self.tokens);
        positions.add(0);
        for char in path.chars() {
            if !positions.step(char) {
                return false;
            }
        }
        positions.at[self.tokens.len()]
    }
}

/// Where in the pattern the path may be.
struct Positions<'g> {
    tokens: &'g [Token],
    at: Vec<bool>,
    /// In the middle of what a [`Token::Directories`] stands for.
    inside: Vec<bool>,
    /// Where it was before the last character.
    before: (Vec<bool>, Vec<bool>),
}

impl<'g> Positions<'g> {
    fn new(tokens: &'g [Token]) -> Self {
        let none = || vec![false; tokens.len() + 1];
        Positions { tokens, at: none(), inside: none(), before: (none(), none()) }
    }

    /// Adds a position and those that nothing separates from it.
    fn add(&mut self, position: usize) {
        let mut position = position;
        while !std::mem::replace(&mut self.at[position], true) {
            match self.tokens.get(position) {
                Some(Token::Star | Token::Directories | Token::All) => position += 1,
                _ => return,
            }
        }
    }

    /// Reads a character; tells whether any position is left.
    fn step(&mut self, char: char) -> bool {
        std::mem::swap(&mut self.at, &mut self.before.0);
        std::mem::swap(&mut self.inside, &mut self.before.1);
        self.at.fill(false);
        self.inside.fill(false);
        let mut any = false;
        for (position, token) in self.tokens.iter().enumerate() {
            let at = self.before.0[position];
            if self.before.1[position] || at && matches!(token, Token::Directories) {
                any = true;
                self.inside[position] = true;
                if char == '/' {
                    self.add(position + 1);
                }
            }
            let next = match token {
                _ if !at => continue,
                Token::Char(wanted) if *wanted == char => position + 1,
                Token::One if char != '/' => position + 1,
                Token::Class(negated, ranges) if is_in(ranges, char) != *negated => position + 1,
                Token::Star if char != '/' => position,
                Token::All => position,
                _ => continue,
            };
            any = true;
            self.add(next);
        }
        any
    }
}

fn is_in(ranges: &[(char, char)], char: char) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&char))
}

/// Reads what follows an opening bracket.
fn class(chars: &mut Peekable<Chars<'_>>) -> Token {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let literal = |chars: &mut Peekable<Chars<'_>>, char: char| match char {
        '\\' => chars.next().unwrap_or('\\'),
        char => char,
    };
    while let Some(char) = chars.next() {
        if char == ']' && !ranges.is_empty() {
            break;
        }
        let low = literal(chars, char);
        let high = match chars.next_if_eq(&'-') {
            Some(_) => chars.next().map_or(low, |char| literal(chars, char)),
            None => low,
        };
        ranges.push((low, high));
    }
    Token::Class(negated, ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_moby() {
        let cases = [
            ("**", "file/dir", true),
            ("**/", "file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file/dir", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir2/file", true),
            ("**file", "dir/file", true),
            ("**/file", "xfile", false),
            ("**/file*txt", "dir/dir/fileXtxt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("a**/*.txt", "a/file/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/**/b/**/c", "a/x/b/y/z/c", true),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "aze", true),
            ("a[\\]]e", "a]e", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            (".*", ".foo", true),
            ("abc.def", "abcdef", false),
            ("a(b)c/def", "a(b)c/def", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("?", "é", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn no_pattern_explodes() {
        let began = std::time::Instant::now();
        assert!(!Glob::new(&"**/*a".repeat(200)).matches(&"a/".repeat(2000)));
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
