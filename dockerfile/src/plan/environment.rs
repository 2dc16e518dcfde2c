//! The variables a stage's instructions see, and the expansion of their words.

use super::error::{Code, Error};
use crate::expand::{ExpandError, Expanded, Expander};
use crate::quote::go_quoted;
use registry_client::Platform;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names of proxies in lower case: passed to every `RUN` in both cases, never part of a cache key or the history.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// Arguments that speak to the builder alone: commands never see them.
const BUILDERS_OWN: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Most bytes that the variables of a stage may have.
const MAX_ENVIRONMENT: usize = 4 * 1024 * 1024;

/// The path that commands are looked for in when the image does not say.
pub(crate) const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order in which they were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Values by name, each with its place in the order.
    known: HashMap<String, (usize, String)>,
    next_place: usize,
    size: usize,
}

impl Variables {
    /// Returns the variables of an image's `Env`.
    pub(crate) fn from_env(env: &[String]) -> Self {
        let mut variables = Variables::default();
        for (name, value) in env.iter().map(|pair| split(pair)) {
            variables.set(name, value);
        }
        variables
    }

    /// Sets a variable, in the place it has or at the end.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let place = self.known.get(name).map_or(self.next_place, |(place, _)| *place);
        self.put(name, value, place);
    }

    /// Sets a variable and moves it to the end, where what was set last stands.
    pub(crate) fn set_last(&mut self, name: &str, value: &str) {
        self.put(name, value, self.next_place);
    }

    fn put(&mut self, name: &str, value: &str, place: usize) {
        self.next_place += 1;
        self.size += name.len() + value.len();
        if let Some((_, old)) = self.known.insert(name.to_owned(), (place, value.to_owned())) {
            self.size -= name.len() + old.len();
        }
    }

    /// Sets the variables of an image's `Env`, each as if it were set last.
    pub(crate) fn set_all_last(&mut self, env: &[String]) {
        for (name, value) in env.iter().map(|pair| split(pair)) {
            self.set_last(name, value);
        }
    }

    /// Returns the bytes of all names and values.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Refuses more than any command can be given.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        if self.size <= MAX_ENVIRONMENT {
            return Ok(());
        }
        let text = format!("the variables have {} bytes: at most {MAX_ENVIRONMENT} are possible", self.size);
        Err(Error::new(Code::EnvironmentTooLarge, text))
    }

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(|(_, value)| value.as_str())
    }

    /// Returns the names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.in_order().into_iter().map(|(name, _)| name)
    }

    /// Returns `NAME=value` for each variable, in order.
    pub(crate) fn pairs(&self) -> Vec<String> {
        self.in_order().iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn in_order(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> =
            self.known.iter().map(|(name, (place, value))| (*place, (name.as_str(), value.as_str()))).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, pair)| pair).collect()
    }
}

/// Takes a pair of an image's `Env` apart.
fn split(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

/// Expands words with some variables; notes the names that were not set.
pub(crate) struct Words<'a> {
    expander: Expander,
    variables: &'a Variables,
    notes: Option<&'a RefCell<Notes>>,
}

/// Notes that expansions take.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Names that were not set.
    pub unset: BTreeSet<String>,
    /// Characters that the patterns looked at.
    pub work: usize,
}

impl<'a> Words<'a> {
    /// Returns an expansion with the Dockerfile's escape character.
    pub(crate) fn new(escape: char, variables: &'a Variables) -> Self {
        Words { expander: Expander::new(escape), variables, notes: None }
    }

    /// Makes the expansion take notes.
    #[must_use]
    pub(crate) fn noting(self, notes: &'a RefCell<Notes>) -> Self {
        Words { notes: Some(notes), ..self }
    }

    /// Expands one word and tells which names it used.
    pub(crate) fn expanded(&self, word: &str) -> Result<Expanded, Error> {
        let lookup = |name: &str| self.variables.get(name).map(str::to_owned);
        self.noted(word, self.expander.word(word, &lookup))
    }

    /// Expands one word.
    pub(crate) fn one(&self, word: &str) -> Result<String, Error> {
        // Most words hold nothing to expand.
        if !word.contains(['$', '\'', '"', '\\', '`']) {
            return Ok(word.to_owned());
        }
        Ok(self.expanded(word)?.text)
    }

    /// Expands each of several words.
    pub(crate) fn each(&self, words: &[String]) -> Result<Vec<String>, Error> {
        words.iter().map(|word| self.one(word)).collect()
    }

    /// Expands one word and splits the result at white space.
    pub(crate) fn split(&self, word: &str) -> Result<Vec<String>, Error> {
        Ok(self.expanded(word)?.words)
    }

    /// Expands the body of a heredoc: variables are replaced, quotes stay.
    pub(crate) fn heredoc(&self, body: &str) -> Result<String, Error> {
        let lookup = |name: &str| self.variables.get(name).map(str::to_owned);
        Ok(self.noted(body, self.expander.heredoc(body, &lookup))?.text)
    }

    fn noted(&self, word: &str, expanded: Result<Expanded, ExpandError>) -> Result<Expanded, Error> {
        let expanded = expanded.map_err(|error| failed(word, &error))?;
        if let Some(notes) = self.notes {
            let mut notes = notes.borrow_mut();
            notes.unset.extend(expanded.unset.iter().cloned());
            notes.work += expanded.work;
        }
        Ok(expanded)
    }
}

fn failed(word: &str, error: &ExpandError) -> Error {
    Error::new(Code::Expansion, format!("failed to process {}: {error}", go_quoted(word)))
}

/// The arguments of a build: what was given, what the platform says, what the Dockerfile declares before the first `FROM`.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    given: BTreeMap<String, String>,
    automatic: Variables,
}

impl Arguments {
    /// Returns the arguments for a result on `platform`, built on `host`.
    pub(crate) fn new(
        given: &BTreeMap<String, String>,
        platform: &Platform,
        host: &Platform,
        target_stage: &str,
    ) -> Self {
        let mut automatic = Variables::default();
        for (prefix, platform) in [("BUILD", host), ("TARGET", platform)] {
            automatic.set(&format!("{prefix}PLATFORM"), &platform.to_string());
            automatic.set(&format!("{prefix}OS"), &platform.os);
            automatic.set(&format!("{prefix}OSVERSION"), "");
            automatic.set(&format!("{prefix}ARCH"), &platform.architecture);
            automatic.set(&format!("{prefix}VARIANT"), platform.variant.as_deref().unwrap_or(""));
        }
        automatic.set("TARGETSTAGE", target_stage);
        for (name, value) in given {
            if automatic.get(name).is_some() {
                automatic.set(name, value);
            }
        }
        Arguments { given: given.clone(), automatic }
    }

    /// Returns the value that was given for `name`.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Returns the variables that `FROM` lines see without declaring them.
    pub(crate) fn automatic(&self) -> &Variables {
        &self.automatic
    }

    /// Returns the same arguments with nothing given.
    pub(crate) fn without_given(&self) -> Self {
        Arguments { given: BTreeMap::new(), automatic: self.automatic.clone() }
    }

    /// Returns the proxies that were given, for `RUN`; of several cases of a name the last in order counts.
    pub(crate) fn proxies(&self) -> Vec<String> {
        let mut proxies = BTreeMap::new();
        for (name, value) in &self.given {
            if PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name)) {
                proxies.insert(name.to_uppercase(), value);
                proxies.insert(name.to_lowercase(), value);
            }
        }
        proxies.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// Tells whether the argument `name` is for the builder alone.
pub(crate) fn is_builders_own(name: &str) -> bool {
    BUILDERS_OWN.contains(&name)
}
