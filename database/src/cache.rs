//! The cache index: which key became which layer, apart for each namespace.

use crate::rows::{json, to_json};
use crate::sql::sql;
use crate::{CachedLayer, Database, Error};
use std::collections::HashMap;

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
        rows.iter().map(|row| Ok((row.get(0)?, json(&row.get::<String>(1)?)?))).collect()
    }

    /// Stores what `key` became.
    pub async fn put_cached_layer(&self, namespace: &str, key: &str, layer: &CachedLayer) -> Result<(), Error> {
        sql(
            "writing the cache index",
            "INSERT INTO cached_layers (namespace, name, layer_json) VALUES ($1, $2, $3) \
             ON CONFLICT (namespace, name) DO UPDATE SET layer_json = excluded.layer_json",
        )
        .bind(namespace)
        .bind(key)
        .bind(to_json(layer)?)
        .run(self.write())
        .await?;
        Ok(())
    }
}
