//! The cache index: which key became which layer, apart for each namespace.

use crate::database::Database;
use crate::error::Error;
use crate::model::json::{json, to_json};
use crate::sql::statement::sql;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows that one statement writes.
const ROWS: usize = 200;

/// A layer that the cache knows: everything needed to use it without having it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedLayer {
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Digest of the compressed blob.
    pub digest: String,
    /// Bytes of the compressed blob.
    pub size: u64,
    /// Media type of the compressed blob.
    pub media_type: String,
    /// Whether the layer has no entries.
    pub empty: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// For a layer that is known by its definition, the key of its content.
    #[serde(default)]
    pub content_key: Option<String>,
    /// The time of the build that made it, in seconds since 1970; rows of earlier versions have none.
    #[serde(default)]
    pub made: Option<i64>,
    /// The annotations of the blob's descriptor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Database {
    /// Returns what is known of `keys`, in one query.
    pub async fn cached_layers(&self, namespace: &str, keys: &[String]) -> Result<HashMap<String, CachedLayer>, Error> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<_> = (2..keys.len() + 2).map(|place| format!("${place}")).collect();
        let text = format!(
            "SELECT name, layer_json FROM cached_layers WHERE namespace = $1 AND name IN ({})",
            places.join(", ")
        );
        let statement = sql("reading the cache index", text).bind(namespace);
        let rows = keys.iter().fold(statement, |statement, key| statement.bind(key)).all(self.read()).await?;
        rows.iter().map(|row| Ok((row.get("name")?, json(&row.get::<String>("layer_json")?)?))).collect()
    }

    /// Returns the digests of the blobs that the cache leads to, as far as they were made or confirmed since `since_ms`.
    pub async fn cached_blobs(&self, since_ms: i64) -> Result<HashSet<String>, Error> {
        let rows = sql("reading the cache index", "SELECT layer_json FROM cached_layers").all(self.read()).await?;
        let mut digests = HashSet::new();
        for row in &rows {
            let layer: CachedLayer = json(&row.get::<String>("layer_json")?)?;
            if layer.created_ms >= since_ms {
                digests.insert(layer.digest);
            }
        }
        Ok(digests)
    }

    /// Stores what keys became, in one statement for each few hundred.
    pub async fn put_cached_layers(&self, namespace: &str, layers: &[(String, CachedLayer)]) -> Result<(), Error> {
        // The last one of a key counts; a statement must not change a row twice.
        let unique: HashMap<&String, &CachedLayer> = layers.iter().map(|(key, layer)| (key, layer)).collect();
        let unique: Vec<_> = unique.into_iter().collect();
        for batch in unique.chunks(ROWS) {
            let places: Vec<_> =
                (0..batch.len()).map(|row| format!("($1, ${}, ${})", row * 2 + 2, row * 2 + 3)).collect();
            let text = format!(
                "INSERT INTO cached_layers (namespace, name, layer_json) VALUES {} \
                 ON CONFLICT (namespace, name) DO UPDATE SET layer_json = excluded.layer_json",
                places.join(", ")
            );
            let mut statement = sql("writing the cache index", text).bind(namespace);
            for (key, layer) in batch {
                statement = statement.bind(key.as_str()).bind(to_json(layer)?);
            }
            statement.run(self.write()).await?;
        }
        Ok(())
    }
}
