//! Seals parts of repositories and builds as secrets are: documents, in which values of `env` and URLs of webhooks stand,
//! and the values of build arguments, which those of `env` become.
//!
//! Equal values of one place are sealed alike, so that requests for builds can be compared. Rows of before, and those of a
//! database that was given no key, are read as they are.

use crate::access::secret_key::{Place, SecretKey};
use crate::error::Error;
use crate::model::bake::TargetContext;
use crate::model::build_request::BuildSpec;
use crate::model::json::{json, to_json};
use std::sync::{Arc, Mutex, PoisonError};

/// Prefix of a sealed text.
const MARK: &str = "sealed:";
/// The name under which a document is sealed; no secret of a user is called so.
const DOCUMENT: &str = "@document";
/// The keys that databases of this process were given: what one sealed, no other opens.
static KEYS: Mutex<Vec<Arc<SecretKey>>> = Mutex::new(Vec::new());

/// Takes note of a key, for rows that are read.
pub(crate) fn remember(key: &Arc<SecretKey>) {
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if !keys.iter().any(|known| known.as_bytes() == key.as_bytes()) {
        keys.push(key.clone());
    }
}

fn seal(key: &SecretKey, place: &Place<'_>, text: &str) -> Result<String, Error> {
    let sealed = key.seal_alike(place, text.as_bytes()).ok_or(Error::NoKey)?;
    Ok(format!("{MARK}{}", hex::encode(sealed)))
}

/// Opens a sealed text; `None` if it is not one, or none of the keys opens it.
fn open(place: &Place<'_>, text: &str) -> Option<String> {
    let sealed = hex::decode(text.strip_prefix(MARK)?).ok()?;
    let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let opened = keys.iter().find_map(|key| key.open(place, &sealed))?;
    String::from_utf8(opened).ok()
}

/// Returns a document as it is stored.
pub(crate) fn seal_document(key: Option<&Arc<SecretKey>>, repository: &str, document: &str) -> Result<String, Error> {
    match key {
        Some(key) => seal(key, &Place { repository, name: DOCUMENT }, document),
        None => Ok(document.to_owned()),
    }
}

/// Returns a document as it was written. One that no key opens stays as it is, which is not a document: one repository is
/// lost then, and not all.
pub(crate) fn open_document(repository: &str, stored: String) -> String {
    open(&Place { repository, name: DOCUMENT }, &stored).unwrap_or(stored)
}

/// Returns what is to be built as it is stored.
pub(crate) fn seal_spec(key: Option<&Arc<SecretKey>>, repository: &str, spec: &BuildSpec) -> Result<String, Error> {
    let Some(key) = key else { return to_json(spec) };
    let mut sealed = spec.clone();
    for_each_argument(&mut sealed, &mut |name, value| {
        *value = seal(key, &Place { repository, name: &argument(name) }, value)?;
        Ok(())
    })?;
    to_json(&sealed)
}

/// Reads what is to be built. A value that no key opens stays as it is: [`BuildSpec::is_sealed`].
pub(crate) fn open_spec(repository: &str, stored: &str) -> Result<BuildSpec, Error> {
    let mut spec: BuildSpec = json(stored)?;
    for_each_argument(&mut spec, &mut |name, value| {
        if value.starts_with(MARK)
            && let Some(opened) = open(&Place { repository, name: &argument(name) }, value)
        {
            *value = opened;
        }
        Ok(())
    })?;
    Ok(spec)
}

/// Changes the values of build arguments, those of targets included that are contexts.
fn for_each_argument(
    spec: &mut BuildSpec,
    change: &mut impl FnMut(&str, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    for (name, value) in &mut spec.build_args {
        change(name, value)?;
    }
    for context in spec.options.baked.iter_mut().flat_map(|baked| baked.contexts.values_mut()) {
        if let TargetContext::Target(target) = context {
            for_each_argument(target, change)?;
        }
    }
    Ok(())
}

fn argument(name: &str) -> String {
    format!("@argument/{name}")
}

impl BuildSpec {
    /// Tells whether it holds a value that could not be opened: the key is another one than it was sealed with.
    pub fn is_sealed(&self) -> bool {
        let is_sealed = |value: &String| {
            value.strip_prefix(MARK).is_some_and(|digits| digits.len() > 56 && hex::decode(digits).is_ok())
        };
        let contexts = self.options.baked.iter().flat_map(|baked| baked.contexts.values());
        self.build_args.values().any(is_sealed)
            || contexts
                .into_iter()
                .any(|context| matches!(context, TargetContext::Target(target) if target.is_sealed()))
    }
}
