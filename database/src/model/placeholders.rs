//! Marks in a request's tags, build arguments and labels, for what is known only later: the build's number, which is filled in
//! whenever a build is read, and the commit of a ref, which a worker resolves.
//!
//! They are private-use characters: no tag may hold them, and texts from outside have them removed.

use crate::model::build::Build;
use crate::model::build_request::BuildSpec;
/// Stands for the build's number.
pub const NUMBER: char = '\u{e000}';
/// Stands for the commit's full hash.
pub const COMMIT: char = '\u{e001}';
/// Stands for the first seven digits of the commit's hash.
pub const COMMIT7: char = '\u{e002}';

/// Tells whether a character is a mark.
pub fn is_mark(char: char) -> bool {
    matches!(char, NUMBER | COMMIT | COMMIT7)
}

/// Returns a text from outside without marks.
pub fn without(text: &str) -> String {
    text.chars().filter(|char| !is_mark(*char)).collect()
}

/// Returns a text with its marks as the variables that they came from, for people.
pub fn shown(text: &str) -> String {
    if !text.contains(is_mark) {
        return text.to_owned();
    }
    text.replace(NUMBER, "{number}").replace(COMMIT, "{sha}").replace(COMMIT7, "{sha7}")
}

impl Build {
    /// Returns the tags for people, with the commit as soon as it is known: another attempt may still find another one.
    pub fn shown_tags(&self) -> Vec<String> {
        let spec = &self.request.spec;
        match &self.commit {
            Some(commit) => spec.with_commit(commit).shown_tags(),
            None => spec.shown_tags(),
        }
    }
}

impl BuildSpec {
    /// Returns the tags for people. A group has none: its targets have them.
    pub fn shown_tags(&self) -> Vec<String> {
        let own = self.tags.iter().filter(|_| self.options.bake.is_none());
        own.map(|tag| shown(tag)).collect()
    }

    /// Tells whether the build's number is to be filled in.
    pub fn names_number(&self) -> bool {
        let texts = self.tags.iter().chain(self.build_args.values()).chain(self.options.labels.values());
        texts.into_iter().any(|text| text.contains(NUMBER))
    }

    /// Fills in the build's number.
    pub fn with_number(&self, number: i64) -> BuildSpec {
        self.filled(|text| text.replace(NUMBER, &number.to_string()))
    }

    /// Fills in the commit.
    pub fn with_commit(&self, commit: &str) -> BuildSpec {
        let short: String = commit.chars().take(7).collect();
        self.filled(|text| text.replace(COMMIT, commit).replace(COMMIT7, &short))
    }

    fn filled(&self, fill: impl Fn(&str) -> String) -> BuildSpec {
        let mut spec = self.clone();
        let texts = spec.tags.iter_mut().chain(spec.build_args.values_mut()).chain(spec.options.labels.values_mut());
        for text in texts {
            if text.contains(is_mark) {
                *text = fill(text);
            }
        }
        spec
    }
}
