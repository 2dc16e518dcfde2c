//! The `--flags` of an instruction, checked against those it has.

use crate::suggest::hint;

/// The flags that were given, as `name` and, behind `=`, a value.
pub(crate) struct Flags {
    given: Vec<(String, Option<String>)>,
}

impl Flags {
    /// Checks that all flags are known and that only those in `repeatable` are given more than once.
    pub(crate) fn new(words: Vec<String>, known: &[&str], repeatable: &[&str]) -> Result<Self, String> {
        let mut given: Vec<(String, Option<String>)> = Vec::new();
        for word in words {
            let flag = word.strip_prefix("--").unwrap_or(&word);
            let (name, value) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
            if !known.contains(&name) {
                return Err(format!("unknown flag: --{name}{}", hint(name, known.iter().copied())));
            }
            if !repeatable.contains(&name) && given.iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("duplicate flag specified: --{name}"));
            }
            given.push((name.to_owned(), value));
        }
        Ok(Flags { given })
    }

    /// Returns the value of a flag that has one.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.texts(name)?.pop())
    }

    /// Returns all values of a flag.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let given = self.given.iter().filter(|(known, _)| known == name);
        given.map(|(_, value)| value.clone().ok_or_else(|| format!("missing a value on flag: --{name}"))).collect()
    }

    /// Returns the value of a flag that is true or false.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, String> {
        let Some((_, value)) = self.given.iter().find(|(known, _)| known == name) else { return Ok(None) };
        match value.as_deref() {
            None => Ok(Some(true)),
            Some("") => Err(format!("missing a value on flag: --{name}")),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(format!("expecting boolean value for flag --{name}, not: {other}")),
        }
    }
}
