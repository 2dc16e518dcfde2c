//! The cache index: which key became which layer, apart for each namespace.

use crate::rows::{json, to_json};
use crate::{CachedLayer, Database, Error};
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;

/// Rows that one statement writes.
const ROWS: usize = 200;

impl Database {
    /// Returns what is known of `keys`, in one query.
    pub async fn cached_layers(&self, namespace: &str, keys: &[String]) -> Result<HashMap<String, CachedLayer>, Error> {
        let doing = "reading the cache index";
        let places: Vec<_> = (2..keys.len() + 2).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT name, layer_json FROM cached_layers WHERE namespace = $1 AND name IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(namespace.to_owned());
        for key in keys {
            query = query.bind(key.clone());
        }
        let rows = query.fetch_all(&self.reader).await.map_err(Error::unavailable(doing))?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let name: String = row.try_get(0).map_err(Error::unavailable(doing))?;
            found.insert(name, json(&row.try_get::<String, _>(1).map_err(Error::unavailable(doing))?)?);
        }
        Ok(found)
    }

    /// Stores what keys became, in one statement for each few hundred.
    pub async fn put_cached_layers(&self, namespace: &str, layers: &[(String, CachedLayer)]) -> Result<(), Error> {
        // The last one of a key counts; a statement must not change a row twice.
        let unique: HashMap<&String, &CachedLayer> = layers.iter().map(|(key, layer)| (key, layer)).collect();
        let unique: Vec<_> = unique.into_iter().collect();
        for batch in unique.chunks(ROWS) {
            let places: Vec<_> =
                (0..batch.len()).map(|row| format!("($1, ${}, ${})", row * 2 + 2, row * 2 + 3)).collect();
            let sql = format!(
                "INSERT INTO cached_layers (namespace, name, layer_json) VALUES {} \
                 ON CONFLICT (namespace, name) DO UPDATE SET layer_json = excluded.layer_json",
                places.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(namespace.to_owned());
            for (key, layer) in batch {
                query = query.bind((*key).clone()).bind(to_json(layer)?);
            }
            query.execute(&self.writer).await.map_err(Error::unavailable("writing the cache index"))?;
        }
        Ok(())
    }
}
