//! Gets hold of what steps work on: blobs, indexes and snapshots of layers, each fetched or made only when it is needed.

use super::cancellable::{Cancellable, Unanswered, ask};
use super::layer::{Committed, Layer};
use crate::Error;
use crate::error::Code;
use crate::layer::{ESTARGZ_TABLE, Growth, Shown, Verified, decompress_within};
use crate::trace::{Trace, Work};
use crate::walk::MAX_PATHS;
use files::tree::{Index, Tree};
use image_store::Store;
use registry_client::{Client, Digest};
use runtime::{CancellationToken, Changes, FileInSnapshot, Sandbox};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes that the headers of a layer's tar may have besides its files.
const MAX_HEADERS: u64 = 2 * 1024 * 1024 * 1024;
/// Paths that all layers of a build may have together, for each one that an instruction may take.
const ENTRIES_PER_PATH: usize = 4;
/// Largest `/etc/passwd` or `/etc/group` that is read.
const MAX_ACCOUNT_FILE: u64 = 10 * 1024 * 1024;

/// Everything a build's steps take from and put into.
pub struct BuildResources {
    /// Blobs and indexes.
    pub store: Store,
    /// Pulls blobs.
    pub client: Client,
    /// Pushes images.
    pub pusher: Client,
    /// Runs the client's futures.
    pub tokio: tokio::runtime::Handle,
    /// Ends waiting.
    pub cancel: CancellationToken,
    /// Where the time goes.
    pub trace: Trace,
    sandbox_settings: runtime::Settings,
    attempt: String,
    sandbox: OnceLock<Sandbox>,
    /// Whether the sandbox is that of more than these steps.
    is_shared: bool,
    starting: Mutex<()>,
    indexes: Mutex<HashMap<String, Arc<Index>>>,
    locks: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    changes: Mutex<Vec<(Arc<Layer>, Arc<Changes>)>>,
    /// Blobs that were found damaged and put aside.
    damaged: Mutex<BTreeSet<Digest>>,
    max_entries: usize,
}

impl BuildResources {
    /// Returns resources for one attempt at a build; `attempt` names its directories.
    pub fn new(
        services: &crate::Services,
        attempt: &str,
        cancel: CancellationToken,
        trace: Trace,
    ) -> Result<Self, Error> {
        let store = services.store.leased().map_err(|error| Error::store("beginning a build", error))?;
        Ok(BuildResources {
            trace,
            store,
            client: services.client.clone(),
            pusher: services.pusher().clone(),
            tokio: services.tokio.clone(),
            cancel,
            sandbox_settings: services.sandbox.clone(),
            attempt: attempt.to_owned(),
            sandbox: OnceLock::new(),
            is_shared: false,
            starting: Mutex::new(()),
            indexes: Mutex::new(HashMap::new()),
            locks: Mutex::new(HashMap::new()),
            changes: Mutex::default(),
            damaged: Mutex::default(),
            max_entries: ENTRIES_PER_PATH * MAX_PATHS,
        })
    }

    /// Returns resources for work beside the builds of this process, of which several may be done at once.
    pub fn aside(services: &crate::Services, work: &str, cancel: &CancellationToken) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let attempt = format!("{work}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        BuildResources::new(services, &attempt, cancel.clone(), Trace::default())
    }

    /// Sets how many paths one instruction may take; the layers of the build hold a multiple of that in memory.
    #[must_use]
    pub fn within(mut self, max_paths: usize) -> Self {
        self.max_entries = max_paths.saturating_mul(ENTRIES_PER_PATH);
        self
    }

    /// Lets the steps run in a sandbox that others use, too.
    #[must_use]
    pub fn sharing(mut self, sandbox: Option<&Sandbox>) -> Self {
        if let Some(sandbox) = sandbox {
            self.is_shared = self.sandbox.set(sandbox.clone()).is_ok();
        }
        self
    }

    /// Starts the sandbox, and its network if that is wanted, before a step asks for it; what goes wrong is that step's
    /// to say.
    pub fn expect_steps(&self, network: bool) {
        if let Ok(sandbox) = self.sandbox()
            && network
        {
            sandbox.begin_network();
        }
    }

    /// Lets what only steps need end beside the push: all steps are done.
    pub fn steps_are_done(&self) {
        if let Some(sandbox) = self.sandbox.get().filter(|_| !self.is_shared) {
            sandbox.end_network();
        }
    }

    /// Returns the sandbox of the attempt, started on first use.
    pub fn sandbox(&self) -> Result<&Sandbox, Error> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.sandbox.get().is_none() {
            let _span = self.trace.span(Work::Step, "starting the sandbox");
            let sandbox = Sandbox::start(&self.sandbox_settings, &self.attempt)
                .map_err(|error| Error::new(Code::Sandbox, "starting the sandbox").with_cause(error))?;
            let _ = self.sandbox.set(sandbox);
        }
        Ok(self.sandbox.get().expect("it was set above"))
    }

    /// Asks a registry; ends with the build, however long the registry makes the client wait.
    pub fn ask<T>(&self, asking: impl Future<Output = Result<T, registry_client::Error>>) -> Result<T, Unanswered> {
        ask(&self.tokio, &self.cancel, asking)
    }

    /// Makes sure that the blob of `layer` is in the store.
    pub fn blob(&self, layer: &Committed) -> Result<(), Error> {
        let digest = &layer.descriptor.digest;
        let lock = self.lock(digest.hex());
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.store.size(digest) == Some(layer.descriptor.size) && self.is_served(layer) {
            return Ok(());
        }
        // The build begins once more, and finds out who has it.
        if self.damaged().contains(digest) {
            return Err(damaged(digest));
        }
        let Some(origin) = &layer.origin else {
            return Err(Error::new(Code::BlobMissing, format!("layer {digest} is not in the store")));
        };
        let pulling = || format!("pulling layer {digest} of `{origin}`");
        let _span = self.trace.span(Work::Pull, digest.as_str());
        let writer = self.store.writer().map_err(|error| Error::store(pulling(), error))?;
        let mut sink = super::blocking::BlockingSink::new(writer);
        self.ask(self.client.pull_blob(origin, &layer.descriptor, &mut sink)).map_err(|error| error.at(pulling()))?;
        sink.into_inner().commit_expecting(digest).map_err(|error| Error::store(pulling(), error))?;
        self.served().note(origin, digest);
        Ok(())
    }

    /// Returns the index of `layer`, made from its blob if nobody made it before.
    pub fn index(&self, layer: &Committed) -> Result<Arc<Index>, Error> {
        let name = layer.diff_id.to_string();
        let known = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(index) = known() {
            return Ok(index);
        }
        let lock = self.lock(&format!("index {name}"));
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = known() {
            return Ok(index);
        }
        let stored = match self.is_vouched(layer) {
            true => self.store.index(&layer.diff_id).map_err(|error| Error::store("reading a layer index", error))?,
            false => None,
        };
        let index = match stored.and_then(|bytes| Index::from_bytes(&bytes).ok()) {
            Some(index) => index,
            None => self.make_index(layer)?,
        };
        let index = Arc::new(index);
        self.remember_index(&name, index.clone())?;
        Ok(index)
    }

    /// Returns whether the index of `layer` is here, as far as can be told without reading it.
    pub fn has_index(&self, layer: &Committed) -> bool {
        let name = layer.diff_id.to_string();
        let is_known = self.indexes.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
        is_known || self.store.has_index(&layer.diff_id)
    }

    /// Keeps an index that was made with its layer.
    pub fn put_index(&self, layer: &Committed, index: Index) -> Result<(), Error> {
        self.store
            .put_index(&layer.diff_id, &index.to_bytes())
            .map_err(|error| Error::store("storing a layer index", error))?;
        self.remember_index(&layer.diff_id.to_string(), Arc::new(index))
    }

    fn remember_index(&self, name: &str, index: Arc<Index>) -> Result<(), Error> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.insert(name.to_owned(), index);
        let entries: usize = indexes.values().map(|index| index.len()).sum();
        if entries <= self.max_entries {
            return Ok(());
        }
        let limit = self.max_entries;
        let text = format!(
            "the layers that the build works on have more than {limit} paths together, {ENTRIES_PER_PATH} times what \
             `limits.paths` allows for one instruction: copy less, or raise it"
        );
        Err(Error::new(Code::TooManyPaths, text))
    }

    pub(super) fn make_index(&self, layer: &Committed) -> Result<Index, Error> {
        self.read_index(layer).map_err(|error| self.or_damaged(error, layer))
    }

    /// Returns the error that says so if the reason for `error` is that the blob is not what it was: it is gone then.
    pub fn or_damaged(&self, error: Error, layer: &Committed) -> Error {
        let digest = &layer.descriptor.digest;
        match self.store.check_blob(digest) {
            Ok(false) if error.code() != Code::Cancelled => {
                self.damaged().insert(digest.clone());
                damaged(digest).with_cause(error)
            }
            _ => error,
        }
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_index(&self, layer: &Committed) -> Result<Index, Error> {
        let reading = || format!("reading layer {}", layer.descriptor.digest);
        let mut tar = self.tar(layer)?;
        let index = Index::bounded(&mut tar, self.max_layer(layer))
            .map_err(|error| Error::new(Code::LayerUnsafe, reading()).with_cause(error))?;
        std::io::copy(&mut tar, &mut std::io::sink())
            .map_err(|error| Error::new(Code::LayerUnsafe, reading()).with_cause(error))?;
        self.store
            .put_index(&layer.diff_id, &index.to_bytes())
            .map_err(|error| Error::store("storing a layer index", error))?;
        self.note_tar(layer);
        Ok(index)
    }

    /// Returns the uncompressed tar of `layer`; the end of it fails if it is not what its diff id says.
    pub fn tar(&self, layer: &Committed) -> Result<impl Read + use<>, Error> {
        self.blob(layer)?;
        let reading = || format!("reading layer {}", layer.descriptor.digest);
        let file = self.store.open_blob(&layer.descriptor.digest).map_err(|error| Error::store(reading(), error))?;
        let max_bytes = self.max_layer(layer).saturating_add(MAX_HEADERS);
        let growth = if layer.made.is_some() { Growth::own(max_bytes) } else { Growth::foreign(max_bytes) };
        let tar = decompress_within(BufReader::with_capacity(256 * 1024, file), &layer.descriptor.media_type, growth)
            .map_err(|error| Error::new(Code::LayerUnsafe, reading()).with_cause(error))?;
        let tar = Verified::new(tar, layer.diff_id.clone());
        let tar: Box<dyn Read + Send> = match layer.descriptor.annotations.contains_key(ESTARGZ_TABLE) {
            true => Box::new(Shown::new(tar)),
            false => Box::new(tar),
        };
        Ok(Cancellable::new(tar, &self.cancel))
    }

    /// Returns the bytes that the files of `layer` may have: those of a step had the limit of steps.
    fn max_layer(&self, layer: &Committed) -> u64 {
        let limits = &self.sandbox_settings.limits;
        if layer.made.is_some() { limits.layer_bytes.max(limits.disk_bytes) } else { limits.layer_bytes }
    }

    /// Waits until the bytes of `layer` are settled.
    pub fn committed(&self, layer: &Layer) -> Result<Arc<Committed>, Error> {
        let known = layer.committed.get().is_some();
        let _waiting = (!known).then(|| self.trace.span(Work::Wait, "a layer that is being packed"));
        match layer.committed.wait(&self.cancel) {
            None => Err(Error::cancelled()),
            Some(Ok(committed)) => Ok(committed),
            Some(Err(error)) => Err(error),
        }
    }

    /// Returns the files of `layers` seen as one tree.
    pub fn tree(&self, layers: &[Arc<Layer>]) -> Result<Tree, Error> {
        // Those that are settled first, while the others are being packed.
        for layer in layers {
            if let Some(Ok(settled)) = layer.committed.get() {
                self.index(&settled)?;
            }
        }
        let mut stack = Vec::with_capacity(layers.len());
        for (position, layer) in layers.iter().enumerate() {
            stack.push((position, self.index(&*self.committed(layer)?)?));
        }
        Ok(Tree::new(stack))
    }

    /// Returns the content of files of `tree`, one after the other; `paths` are resolved and name regular files.
    pub fn read_files(
        &self,
        layers: &[Arc<Layer>],
        tree: &Tree,
        paths: &[Vec<u8>],
    ) -> Result<Box<dyn Read + Send>, Error> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let (position, path_in_layer, size) = tree.location(path).ok_or_else(|| {
                Error::new(Code::Index, format!("`{}` is in no layer", String::from_utf8_lossy(path)))
            })?;
            files.push(FileInSnapshot {
                snapshot: self.snapshot(&layers[position], &layers[..position])?,
                path: path_in_layer,
                size,
            });
        }
        self.sandbox()?.read_files(&files).map_err(|error| Error::sandbox("reading files of a stage", error))
    }

    /// Returns the content of one small file of `tree`, or `None` if there is no such regular file.
    pub fn read_file(&self, layers: &[Arc<Layer>], tree: &Tree, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Ok(resolved) = tree.resolve(path) else { return Ok(None) };
        match tree.location(&resolved) {
            Some((_, _, size)) if size <= MAX_ACCOUNT_FILE => {
                let mut content = Vec::new();
                self.read_files(layers, tree, &[resolved])?
                    .read_to_end(&mut content)
                    .map_err(|error| Error::new(Code::Sandbox, "reading a file of a stage").with_cause(error))?;
                Ok(Some(content))
            }
            _ => Ok(None),
        }
    }

    /// Keeps the files that a step changed until the build ends.
    pub fn keep_changes(&self, layer: Arc<Layer>, changes: Arc<Changes>) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push((layer, changes));
    }

    /// Returns a lock for `name`, so that two stages do not fetch or unpack the same thing.
    pub(super) fn lock(&self, name: &str) -> Arc<Mutex<()>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }
}

fn damaged(digest: &Digest) -> Error {
    Error::new(Code::BlobDamaged, format!("layer {digest} is damaged on disk"))
}

impl Drop for BuildResources {
    /// Leaves the snapshots of this build's layers to the next one, which then need not unpack them.
    fn drop(&mut self) {
        let Some(sandbox) = self.sandbox.get() else { return };
        let changes = std::mem::take(self.changes.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (layer, changes) in changes {
            if let Some(Ok(committed)) = layer.committed.get()
                && let Err(error) = sandbox.adopt(&changes, &committed.snapshot())
            {
                tracing::debug!(%error, "a snapshot was not kept");
            }
        }
        if !self.is_shared
            && let Some(time) = sandbox.cpu_time()
        {
            self.trace.add_cpu(time);
        }
    }
}
