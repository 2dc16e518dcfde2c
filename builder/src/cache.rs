//! The cache: which key became which layer, known to every machine that shares the database.

use crate::Error;
use crate::execute::{Committed, Materials, store_error};
use database::Database;
use registry_client::Reference;
use std::time::{SystemTime, UNIX_EPOCH};

/// The cache as one build sees it.
pub struct Cache<'a> {
    /// Where the index is.
    pub database: &'a Database,
    /// Keeps repositories apart: a build reads and writes only this namespace.
    pub namespace: &'a str,
    /// Runs the database's futures.
    pub tokio: &'a tokio::runtime::Handle,
    /// Where earlier builds pushed their layers; asked when the store has lost a blob.
    pub pushed_to: Option<&'a Reference>,
}

impl Cache<'_> {
    /// Returns the layer that `key` became, if its blob can still be had.
    pub fn adopt(&self, key: &str, materials: &Materials) -> Result<Option<Committed>, Error> {
        let keys = [key.to_owned()];
        let found = self.tokio.block_on(self.database.cached_layers(self.namespace, &keys));
        let found = found.map_err(|error| Error::service("database", "looking up the cache").with_cause(error))?;
        let cached = found.get(key).and_then(|cached| Committed::from_cached(cached, self.pushed_to.cloned()));
        Ok(cached.filter(|layer| self.available(layer, materials)))
    }

    /// Tells whether the blob of `layer` is here or in the registry that earlier builds pushed to.
    fn available(&self, layer: &Committed, materials: &Materials) -> bool {
        let digest = &layer.descriptor.digest;
        materials.store.contains(digest)
            || layer
                .origin
                .as_ref()
                .is_some_and(|origin| self.tokio.block_on(materials.client.has_blob(origin, digest)).unwrap_or(false))
    }

    /// Stores that `key` became `layer`, whose blob is made durable first: the database never refers to less.
    pub fn store(&self, key: &str, layer: &Committed, materials: &Materials) -> Result<(), Error> {
        let storing = || "storing a layer".to_owned();
        materials
            .store
            .sync(std::slice::from_ref(&layer.descriptor.digest))
            .map_err(|error| store_error(storing(), error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let cached = layer.to_cached(i64::try_from(now).unwrap_or(i64::MAX));
        self.tokio
            .block_on(self.database.put_cached_layer(self.namespace, key, &cached))
            .map_err(|error| Error::service("database", storing()).with_cause(error))
    }
}
