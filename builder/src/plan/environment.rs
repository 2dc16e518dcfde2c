//! The variables a stage's instructions see, and the expansion of their words.

use crate::Error;
use crate::dockerfile::expand::{ExpandError, Expander};
use registry_client::Platform;
use std::collections::BTreeMap;

/// Names of proxies: passed to every `RUN`, never part of a cache key or the history.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The path that commands are looked for in when the image does not say.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order in which they were first set; a later value keeps the place of the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// Returns the variables of an image's `Env`.
    pub fn from_env(env: &[String]) -> Self {
        let mut variables = Variables::default();
        for pair in env {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            variables.set(name, value);
        }
        variables
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Sets a variable and moves it to the end, where what was set last stands.
    pub fn set_last(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns `NAME=value` for each variable, in order.
    pub fn pairs(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// Expands words with some variables; collects the names that were not set.
pub struct Words<'a> {
    expander: Expander,
    variables: &'a Variables,
}

impl<'a> Words<'a> {
    /// Returns an expansion with the Dockerfile's escape character.
    pub fn new(escape: char, variables: &'a Variables) -> Self {
        Words { expander: Expander::new(escape), variables }
    }

    /// Expands one word.
    pub fn one(&self, word: &str) -> Result<String, Error> {
        let lookup = |name: &str| self.variables.get(name).map(str::to_owned);
        self.expander.word(word, &lookup).map(|expanded| expanded.text).map_err(|error| failed(word, &error))
    }

    /// Expands each of several words.
    pub fn each(&self, words: &[String]) -> Result<Vec<String>, Error> {
        words.iter().map(|word| self.one(word)).collect()
    }

    /// Expands one word and splits the result at white space.
    pub fn split(&self, word: &str) -> Result<Vec<String>, Error> {
        let lookup = |name: &str| self.variables.get(name).map(str::to_owned);
        self.expander.words(word, &lookup).map_err(|error| failed(word, &error))
    }

    /// Expands the body of a heredoc: variables are replaced, quotes stay.
    pub fn heredoc(&self, body: &str) -> Result<String, Error> {
        let lookup = |name: &str| self.variables.get(name).map(str::to_owned);
        self.expander.heredoc(body, &lookup).map(|expanded| expanded.text).map_err(|error| failed(body, &error))
    }
}

fn failed(word: &str, error: &ExpandError) -> Error {
    Error::user("expansion", format!("failed to process \"{word}\": {error}"))
}

/// The arguments of a build: what was given, what the platform says, what the Dockerfile declares before the first `FROM`.
#[derive(Debug, Clone)]
pub struct Arguments {
    given: BTreeMap<String, String>,
    automatic: Variables,
}

impl Arguments {
    /// Returns the arguments for a result on `platform`, built on `host`.
    pub fn new(given: &BTreeMap<String, String>, (platform, host): (&Platform, &Platform), target_stage: &str) -> Self {
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
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Returns the variables that `FROM` lines see without declaring them.
    pub fn automatic(&self) -> &Variables {
        &self.automatic
    }

    /// Returns the proxies that were given and that `declared` does not make ordinary arguments, for `RUN`.
    pub fn proxies(&self, declared: &Variables) -> Vec<String> {
        let mut proxies = BTreeMap::new();
        for (name, value) in &self.given {
            if PROXIES.contains(&name.as_str()) && declared.get(name).is_none() {
                proxies.insert(name.to_uppercase(), value);
                proxies.insert(name.to_lowercase(), value);
            }
        }
        proxies.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}
