//! How the steps of a build are executed.

use crate::Error;
use crate::git::Fetching;
use crate::layer::Compression;
use crate::secrets::Leak;
use registry_client::Descriptor;
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether names in a Dockerfile may mean images of the local store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LocalImages {
    /// They mean images of registries: what one repository built is nothing to another.
    #[default]
    Ignore,
    /// A local image comes before that of a registry.
    Prefer,
}

/// Images that the builds of an attempt know by names of their own.
pub trait OwnImages: Send + Sync {
    /// Returns the image of the store that `name` stands for, whole.
    fn find(&self, name: &str) -> Result<Option<Descriptor>, Error>;
}

/// How the steps are executed.
#[derive(Clone)]
pub struct Options {
    /// Whether cached layers are used; results are stored either way.
    pub use_cache: bool,
    /// The time that made files carry, in seconds since 1970.
    pub now: i64,
    /// The time that the image and its history carry; without it, that of its newest layer.
    pub created: Option<i64>,
    /// Times after this one that files of layers get become it, so that a build tells nothing of when it ran.
    pub latest: Option<i64>,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of ssh agents by id.
    pub ssh: BTreeMap<String, std::path::PathBuf>,
    /// How repositories and files are fetched that the Dockerfile names by URL.
    pub fetching: Fetching,
    /// Stages whose steps are executed whatever is known, by name.
    pub no_cache_stages: Vec<String>,
    /// Whether steps may have a network.
    pub network: bool,
    /// Lines of the steps' `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    /// Size of the steps' `/dev/shm`, if it is not the usual one.
    pub shm_bytes: Option<u64>,
    /// Limits of each process of the steps.
    pub ulimits: Vec<runtime::Ulimit>,
    /// Whether images that were built here by hand are preferred.
    pub local_images: LocalImages,
    /// Images that come before all others of their names.
    pub own_images: Option<Arc<dyn OwnImages>>,
    /// Digests that images are taken with, whatever their names lead to by now.
    pub pinned: Vec<database::BaseImage>,
    /// How a step ends whose layer holds a secret.
    pub leak: Leak,
    /// How the layers of steps are compressed.
    pub compression: Compression,
    /// Whether it is one of several builds of a push or a command: a layer that they share is made by one, for which the
    /// others wait.
    pub is_one_of_several: bool,
    /// The sandbox of the attempt that the steps are a part of; without one they have one of their own.
    pub sandbox: Option<runtime::Sandbox>,
}

impl Options {
    /// Returns the usual options of a build whose time is `now`, seconds since 1970.
    pub fn new(now: i64, fetching: Fetching) -> Self {
        Options {
            use_cache: true,
            now,
            created: None,
            latest: None,
            step_timeout: Duration::from_secs(24 * 60 * 60),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            fetching,
            no_cache_stages: Vec::new(),
            network: true,
            hosts: Vec::new(),
            shm_bytes: None,
            ulimits: Vec::new(),
            local_images: crate::execute::options::LocalImages::Ignore,
            own_images: None,
            pinned: Vec::new(),
            leak: Leak::default(),
            compression: Compression::default(),
            is_one_of_several: false,
            sandbox: None,
        }
    }

    /// Returns what ends the build, also while nothing is executed yet.
    pub fn cancel(&self) -> &CancellationToken {
        &self.fetching.settings.cancel
    }

    /// Returns whether the steps of the stage `name` may come from the cache.
    pub(crate) fn uses_cache(&self, name: &str) -> bool {
        self.use_cache && !self.no_cache_stages.iter().any(|stage| stage.eq_ignore_ascii_case(name))
    }
}
