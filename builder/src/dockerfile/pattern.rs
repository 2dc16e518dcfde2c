//! The patterns of `${name#pattern}` and its kin: `*`, `?`, and a backslash before what is special.

/// A pattern.
pub struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Letter(char),
}

impl Pattern {
    /// Parses a pattern; only special characters may be escaped.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            parts.push(match letter {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match letters.next() {
                    Some(special @ ('*' | '?' | '\\' | '/' | '}')) => Part::Letter(special),
                    Some(other) => return Err(format!("invalid escape '\\{other}'")),
                    None => return Err("invalid escape '\\'".to_owned()),
                },
                letter => Part::Letter(letter),
            });
        }
        Ok(Pattern(parts))
    }

    /// Removes the shortest or longest beginning that matches.
    pub fn trim_prefix(&self, value: &str, longest: bool) -> String {
        let letters: Vec<char> = value.chars().collect();
        let end = self.ends(&letters, longest).unwrap_or(0);
        letters[end..].iter().collect()
    }

    /// Removes the shortest or longest end that matches.
    pub fn trim_suffix(&self, value: &str, longest: bool) -> String {
        let backwards = Pattern(self.0.iter().rev().copied().collect());
        let letters: Vec<char> = value.chars().rev().collect();
        let end = backwards.ends(&letters, longest).unwrap_or(0);
        letters[end..].iter().rev().collect()
    }

    /// Replaces the first match, or all, each as long as it can be.
    pub fn replace(&self, value: &str, word: &str, all: bool) -> String {
        let letters: Vec<char> = value.chars().collect();
        let mut replaced = String::new();
        let mut at = 0;
        let mut open = true;
        while at <= letters.len() {
            match self.ends(&letters[at..], true).filter(|_| open) {
                Some(length) => {
                    replaced.push_str(word);
                    open = all;
                    at += length;
                    if length == 0 || at == letters.len() {
                        replaced.extend(letters.get(at));
                        at += 1;
                    }
                }
                None => {
                    replaced.extend(letters.get(at));
                    at += 1;
                }
            }
        }
        replaced
    }

    /// Returns where the shortest or longest match at the beginning of `letters` ends.
    ///
    /// The set of positions that the parts so far can have reached is carried along, so the time is the product of the
    /// two lengths, whatever the pattern.
    fn ends(&self, letters: &[char], longest: bool) -> Option<usize> {
        let mut reached = vec![false; letters.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            let mut next = vec![false; letters.len() + 1];
            for at in 0..=letters.len() {
                match part {
                    Part::Any => next[at] = reached[at] || (at > 0 && next[at - 1] && letters[at - 1] != '\n'),
                    Part::One => next[at] = at > 0 && reached[at - 1] && letters[at - 1] != '\n',
                    Part::Letter(letter) => next[at] = at > 0 && reached[at - 1] && letters[at - 1] == *letter,
                }
            }
            reached = next;
        }
        let found = |at: &usize| reached[*at];
        if longest { (0..reached.len()).rev().find(found) } else { (0..reached.len()).find(found) }
    }
}
