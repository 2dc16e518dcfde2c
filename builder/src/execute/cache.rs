//! The layer cache: an index from keys to layers, shared by all machines that share the database.

use super::layer::Committed;
use super::resources::BuildResources;
use crate::Error;
use crate::error::Code;
use crate::layer::Compression;
use database::{CachedLayer, Database};
use registry_client::Reference;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the index is written again that the database does not take: its disk may only be slow. Writing the same
/// rows twice does no harm.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(300);

/// The cache as one build sees it.
pub struct Cache<'a> {
    /// Where the index is.
    pub database: &'a Database,
    /// Keeps repositories apart: a build reads and writes only this namespace.
    pub namespace: &'a str,
    /// Compression of the layers. It is not in the keys of steps, so each has a namespace of its own.
    pub compression: Compression,
    /// Runs the database's futures.
    pub tokio: &'a tokio::runtime::Handle,
    /// Where earlier builds pushed their layers; asked when the store has lost a blob.
    pub pushed_to: Option<&'a Reference>,
}

/// A layer that a definition became.
#[derive(Debug, Clone)]
pub struct Known {
    /// The layer.
    pub layer: Committed,
    /// The key of its content.
    pub content_key: String,
}

/// A layer that is to be known to later builds.
pub struct Settled {
    /// The key of its content.
    pub key: String,
    /// The key of its definition.
    pub definition: Option<String>,
    /// The key of the entries that a copy places, for a copy that stands on other layers.
    pub placed: Option<String>,
    /// The layer.
    pub layer: Committed,
}

impl Cache<'_> {
    /// Names where the layers of the namespace are kept.
    fn shelf(&self) -> Cow<'_, str> {
        match self.compression {
            Compression::Gzip => self.namespace.into(),
            other => format!("{}-{}", self.namespace, other.name()).into(),
        }
    }

    /// Names the layer of `key` among those of all builds.
    pub fn name(&self, key: &str) -> String {
        format!("{} {key}", self.shelf())
    }

    /// Returns which of `keys`, those of definitions, are known, in one question.
    pub fn known(&self, keys: &[String]) -> Result<HashMap<String, Known>, Error> {
        let found = self.tokio.block_on(self.database.cached_layers(&self.shelf(), keys));
        let found = found.map_err(|error| Error::new(Code::Database, "looking up the cache").with_cause(error))?;
        let known = found.into_iter().filter_map(|(key, cached)| {
            let layer = Committed::from_cached(&cached, self.pushed_to.cloned())?;
            Some((key, Known { layer, content_key: cached.content_key? }))
        });
        Ok(known.collect())
    }

    /// Returns the layer that `key` became, if its blob can still be had.
    pub fn adopt(&self, key: &str, resources: &BuildResources) -> Result<Option<Committed>, Error> {
        let keys = [key.to_owned()];
        let found = self.tokio.block_on(self.database.cached_layers(&self.shelf(), &keys));
        let found = found.map_err(|error| Error::new(Code::Database, "looking up the cache").with_cause(error))?;
        let cached = found.get(key).and_then(|cached| Committed::from_cached(cached, self.pushed_to.cloned()));
        Ok(cached.filter(|layer| self.available(layer, resources)))
    }

    /// Returns whether the blob of `layer` is here or in the registry that earlier builds pushed to.
    pub fn available(&self, layer: &Committed, resources: &BuildResources) -> bool {
        let descriptor = &layer.descriptor;
        // A blob of another size was cut short by a crash: it is made again.
        resources.store.size(&descriptor.digest) == Some(descriptor.size)
            || layer.origin.as_ref().is_some_and(|origin| {
                resources.ask(resources.client.has_blob(origin, &descriptor.digest)).unwrap_or(false)
            })
    }

    /// Stores layers as they arrive, all that have arrived in one batch, until the channel is closed.
    ///
    /// Blobs are made durable first, because the database never refers to less; no step waits for that. `settled` is told
    /// of each batch.
    pub fn settle(
        &self,
        arriving: &Receiver<Settled>,
        resources: &BuildResources,
        settled: &dyn Fn(&[Settled]),
    ) -> Result<(), Error> {
        while let Ok(first) = arriving.recv() {
            let batch: Vec<Settled> = std::iter::once(first).chain(arriving.try_iter()).collect();
            let _span = resources.trace.span(crate::trace::Work::Settle, format!("{} layers", batch.len()));
            self.store(&batch, resources)?;
            settled(&batch);
        }
        Ok(())
    }

    fn store(&self, batch: &[Settled], resources: &BuildResources) -> Result<(), Error> {
        let storing = || "storing layers".to_owned();
        let digests: BTreeSet<_> = batch.iter().map(|settled| &settled.layer.descriptor.digest).collect();
        // An adopted layer may be in the registry only.
        let here: Vec<_> = digests.into_iter().filter(|digest| resources.store.contains(digest)).cloned().collect();
        resources.store.sync(&here).map_err(|error| Error::store(storing(), error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut rows: Vec<(String, CachedLayer)> = Vec::with_capacity(batch.len() * 2);
        for settled in batch {
            let row = settled.layer.to_cached(now);
            if let Some(definition) = &settled.definition {
                rows.push((definition.clone(), CachedLayer { content_key: Some(settled.key.clone()), ..row.clone() }));
            }
            let keys = [&settled.key].into_iter().chain(&settled.placed);
            rows.extend(keys.map(|key| (key.clone(), row.clone())));
        }
        let deadline = Instant::now() + RETRY_TIMEOUT;
        loop {
            match self.tokio.block_on(self.database.put_cached_layers(&self.shelf(), &rows)) {
                Err(database::Error::Unavailable { .. })
                    if Instant::now() < deadline && !resources.cancel.is_cancelled() =>
                {
                    resources.cancel.wait_timeout(PAUSE);
                }
                done => return done.map_err(|error| Error::new(Code::Database, storing()).with_cause(error)),
            }
        }
    }
}
