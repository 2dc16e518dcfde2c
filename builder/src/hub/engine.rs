//! The engine of an attempt, as the `docker` of its hooks speaks to it.
//!
//! It can do what the repository itself could: build with the repository's own cache, secrets and rights, and push where
//! the rule pushes. For other registries a hook logs in by itself, and is connected to public addresses only.

use super::images::Images;
use super::named_machine::NamedMachine;
use crate::execute::{BuildResources, Options};
use crate::image::push::TagOrder;
use crate::trace::Trace;
use crate::{Error, Image, Services};
use database::BaseImage;
use registry_client::Reference;
use runtime::{CancellationToken, ContainerId, Sandbox};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything of a build that its engine needs.
#[derive(Clone)]
pub(crate) struct Terms {
    /// The services, with the rights of the build.
    pub services: Services,
    /// How steps are executed.
    pub options: Options,
    /// Labels that images have unless their Dockerfiles say otherwise.
    pub default_labels: BTreeMap<String, String>,
    /// The repository's own cache.
    pub cache_namespace: String,
    /// Names the directories of the attempt.
    pub attempt: String,
    /// Takes note of where the time goes.
    pub trace: Trace,
    /// Ends everything.
    pub cancel: CancellationToken,
    /// The images that the rule pushes, with their tags; none where it does not push.
    pub tags: Vec<Reference>,
    /// Decides which tags may move.
    pub order: Arc<dyn TagOrder + Send + Sync>,
    /// Where contexts are kept while they are read.
    pub scratch: PathBuf,
}

/// Why a command failed: its exit code, and the line that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The exit code.
    pub code: u8,
    /// The line.
    pub text: String,
}

impl Failed {
    /// Returns the failure of a command line that makes no sense: docker's code for that is 125.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Failed { code: 125, text: text.into() }
    }

    /// Returns the failure of what was asked for.
    pub(crate) fn daemon(text: impl std::fmt::Display) -> Self {
        Failed { code: 1, text: format!("Error response from daemon: {text}") }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed { code: 1, text: format!("ERROR: {}", error.report_without_output()) }
    }
}

/// The engine of an attempt.
pub(crate) struct Engine {
    /// The terms that it keeps to.
    pub terms: Terms,
    /// Its images.
    pub images: Arc<Images>,
    /// The sandbox of the attempt.
    pub sandbox: Sandbox,
    /// The container of the hooks.
    pub hook: ContainerId,
    logins: Mutex<HashMap<String, (String, String)>>,
    pushed: Mutex<Vec<(Reference, Image)>>,
    base_images: Mutex<BTreeSet<BaseImage>>,
    containers: Mutex<Vec<Arc<NamedMachine>>>,
    numbers: AtomicU64,
}

impl Engine {
    /// Returns the engine of the attempt whose hooks are in `hook`.
    pub(crate) fn new(terms: Terms, sandbox: Sandbox, hook: ContainerId) -> Self {
        let images = Arc::new(Images::new(&terms.services, &terms.cancel));
        Engine {
            terms,
            images,
            sandbox,
            hook,
            logins: Mutex::default(),
            pushed: Mutex::default(),
            base_images: Mutex::default(),
            containers: Mutex::default(),
            numbers: AtomicU64::new(1),
        }
    }

    /// Returns a number that nothing else of the attempt has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the resources for one thing that is asked for.
    pub(crate) fn resources(&self, services: &Services, cancel: &CancellationToken) -> Result<BuildResources, Error> {
        let resources = BuildResources::new(services, &self.terms.attempt, cancel.clone(), self.terms.trace.clone())?;
        Ok(resources.sharing(Some(&self.sandbox)))
    }

    /// Returns the logins of the hooks, by registry.
    pub(crate) fn logins(&self) -> MutexGuard<'_, HashMap<String, (String, String)>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the containers of the hooks, the newest last.
    pub(crate) fn containers(&self) -> MutexGuard<'_, Vec<Arc<NamedMachine>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an image that was pushed.
    pub(crate) fn note_pushed(&self, tags: Vec<Reference>, image: &Image) {
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        for tag in tags {
            pushed.retain(|(known, _)| *known != tag);
            pushed.push((tag, image.clone()));
        }
    }

    /// Returns the images that were pushed, the last one at the end.
    pub(crate) fn pushed(&self) -> Vec<(Reference, Image)> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of images that one was made from.
    pub(crate) fn note_bases(&self, bases: Vec<BaseImage>) {
        self.base_images.lock().unwrap_or_else(PoisonError::into_inner).extend(bases);
    }

    /// Returns the images of registries that images of the attempt were made from.
    pub(crate) fn base_images(&self) -> Vec<BaseImage> {
        self.base_images.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
