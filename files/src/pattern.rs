//! Wildcards of `COPY` and `ADD`: Go's `path.Match`, because that is what Dockerfiles are written for.

/// A pattern that cannot match anything because it is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Tells whether `text` holds a character with a meaning in patterns; protected characters do not count.
pub fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// Tells whether `name` matches `pattern`; neither `*` nor `?` matches a slash.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let matched = match_here(&pattern, &name)?;
    if !matched {
        // A pattern is refused whatever the name, so that mistakes do not depend on the files.
        check(&pattern)?;
    }
    Ok(matched)
}

/// Matches greedily with one point to go back to: the last star.
fn match_here(pattern: &[char], name: &[char]) -> Result<bool, BadPattern> {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if at < pattern.len() && pattern[at] == '*' {
            star = Some((at + 1, read));
            at += 1;
            continue;
        }
        if at == pattern.len() && read == name.len() {
            return Ok(true);
        }
        if at < pattern.len() && read < name.len() {
            let (matched, next) = match_one(pattern, at, name[read])?;
            if matched {
                (at, read) = (next, read + 1);
                continue;
            }
        }
        match star {
            Some((after, from)) if from < name.len() && name[from] != '/' => {
                star = Some((after, from + 1));
                (at, read) = (after, from + 1);
            }
            _ => return Ok(false),
        }
    }
}

/// Matches one character; returns where the pattern goes on.
fn match_one(pattern: &[char], at: usize, char: char) -> Result<(bool, usize), BadPattern> {
    match pattern[at] {
        '?' => Ok((char != '/', at + 1)),
        '[' => match_class(pattern, at, char),
        '\\' => match pattern.get(at + 1) {
            Some(&literal) => Ok((literal == char, at + 2)),
            None => Err(BadPattern),
        },
        literal => Ok((literal == char, at + 1)),
    }
}

fn match_class(pattern: &[char], at: usize, char: char) -> Result<(bool, usize), BadPattern> {
    let mut at = at + 1;
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let (mut found, mut ranges) = (false, 0);
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            return Ok((found != negated && char != '/', at + 1));
        }
        let (low, next) = class_char(pattern, at)?;
        let (high, next) = match pattern.get(next) {
            Some('-') => class_char(pattern, next + 1)?,
            _ => (low, next),
        };
        found |= (low..=high).contains(&char);
        ranges += 1;
        at = next;
    }
}

fn class_char(pattern: &[char], at: usize) -> Result<(char, usize), BadPattern> {
    match pattern.get(at) {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => pattern.get(at + 1).map(|&char| (char, at + 2)).ok_or(BadPattern),
        Some(&char) => Ok((char, at + 1)),
    }
    .and_then(|(char, next)| if next < pattern.len() { Ok((char, next)) } else { Err(BadPattern) })
}

/// Checks a whole pattern.
fn check(pattern: &[char]) -> Result<(), BadPattern> {
    let mut at = 0;
    while at < pattern.len() {
        at = match pattern[at] {
            '[' => match_class(pattern, at, 'a')?.1,
            '\\' if at + 1 == pattern.len() => return Err(BadPattern),
            '\\' => at + 2,
            _ => at + 1,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        let cases = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("*x", "xxx", true),
            ("[[]x]", "[x]", true),
            ("a?b", "a/b", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern} against {name}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused_whatever_the_name() {
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "a[", "[a-b-c]", "[", "[^", "x\\"] {
            assert_eq!(matches(pattern, "zzz"), Err(BadPattern), "{pattern}");
        }
    }

    #[test]
    fn protected_characters_are_no_wildcards() {
        assert!(!has_wildcard("a\\*b"));
        assert!(has_wildcard("a\\\\*b"));
    }
}
