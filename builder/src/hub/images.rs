//! The images of one attempt by their names: what its hooks and slipway itself built, pulled or loaded, and nobody else's.

use crate::execute::OwnImages;
use crate::{Error, Image, Services};
use registry_client::{Descriptor, Reference};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Digits of an id that are shown.
pub(crate) const SHORT: usize = 12;
/// Fewest digits that stand for an id.
const FEWEST: usize = 4;
/// Images that are known at once.
const MAX_IMAGES: usize = 1000;

/// An image with its names.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The image.
    pub image: Image,
    /// Its names, with their tags.
    pub names: Vec<Reference>,
}

impl Known {
    /// Returns the id that people know it by: the digest of its configuration.
    pub(crate) fn id(&self) -> &str {
        self.image.config.digest.as_str()
    }
}

/// The images of an attempt.
pub(crate) struct Images {
    services: Services,
    cancel: CancellationToken,
    known: Mutex<Vec<Known>>,
}

impl Images {
    /// Returns none yet; what a build starts from is held in the store of `services`.
    pub(crate) fn new(services: &Services, cancel: &CancellationToken) -> Self {
        Images { services: services.clone(), cancel: cancel.clone(), known: Mutex::default() }
    }

    /// Adds an image, and gives it names that others may have had.
    pub(crate) fn add(&self, image: Image, names: &[Reference]) -> Result<(), String> {
        let mut known = self.known();
        if known.len() >= MAX_IMAGES {
            return Err(format!("the build has {MAX_IMAGES} images already: remove some with `docker rmi`"));
        }
        for other in known.iter_mut() {
            other.names.retain(|name| !names.contains(name));
        }
        match known.iter_mut().find(|known| known.image.digest == image.digest) {
            Some(same) => same.names.extend_from_slice(names),
            None => known.push(Known { image, names: names.to_vec() }),
        }
        Ok(())
    }

    /// Returns the image that `text` names: by a name, or by the first digits of its id.
    pub(crate) fn get(&self, text: &str) -> Option<Known> {
        let known = self.known();
        let named = named(text).and_then(|name| known.iter().find(|known| known.names.contains(&name)));
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = digits.len() >= FEWEST && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let by_id = |known: &&Known| {
            let ids = [known.image.config.digest.hex(), known.image.digest.hex()];
            is_id && ids.iter().any(|id| id.starts_with(digits))
        };
        named.or_else(|| known.iter().find(by_id)).cloned()
    }

    /// Returns all images, the newest first.
    pub(crate) fn all(&self) -> Vec<Known> {
        self.known().iter().rev().cloned().collect()
    }

    /// Takes a name away, or an image with all its names; returns what docker says of it.
    pub(crate) fn remove(&self, text: &str) -> Option<Vec<String>> {
        let found = self.get(text)?;
        let mut known = self.known();
        let at = known.iter().position(|known| known.image.digest == found.image.digest)?;
        let name = named(text).filter(|name| known[at].names.contains(name));
        let gone: Vec<Reference> = match name {
            Some(name) => vec![name],
            None => known[at].names.clone(),
        };
        known[at].names.retain(|name| !gone.contains(name));
        let mut said: Vec<String> = gone.iter().map(|name| format!("Untagged: {}", familiar(name))).collect();
        if known[at].names.is_empty() {
            said.push(format!("Deleted: {}", known[at].id()));
            known.remove(at);
        }
        Some(said)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnImages for Images {
    fn find(&self, name: &str) -> Result<Option<Descriptor>, Error> {
        let Some(known) = self.get(name) else { return Ok(None) };
        // Layers of its base may never have been needed until now.
        crate::image::local::hold(&self.services, &known.image, &self.cancel).map(Some)
    }
}

/// Reads a name; one without a tag is `latest`.
pub(crate) fn named(text: &str) -> Option<Reference> {
    let name = Reference::parse(text).ok()?;
    if name.tag().is_some() || name.digest().is_some() { Some(name) } else { name.with_tag("latest").ok() }
}

/// Returns a name as docker shows it: what it adds to short names is left out.
pub(crate) fn familiar(name: &Reference) -> String {
    let text = name.to_string();
    let short = text.strip_prefix("docker.io/").map(|rest| rest.strip_prefix("library/").unwrap_or(rest));
    short.unwrap_or(&text).to_owned()
}

/// Returns names with their images, as a table is sorted.
pub(crate) fn by_name(known: &[Known]) -> BTreeMap<String, &Known> {
    known.iter().flat_map(|known| known.names.iter().map(move |name| (familiar(name), known))).collect()
}
