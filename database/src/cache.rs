//! The cache index: which key became which layer, apart for each namespace.

use crate::rows::{json, to_json};
use crate::{CachedLayer, Database, Error};
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;

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

    /// Stores what `key` became.
    pub async fn put_cached_layer(&self, namespace: &str, key: &str, layer: &CachedLayer) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO cached_layers (namespace, name, layer_json) VALUES ($1, $2, $3) \
             ON CONFLICT (namespace, name) DO UPDATE SET layer_json = excluded.layer_json",
        )
        .bind(namespace)
        .bind(key)
        .bind(to_json(layer)?)
        .execute(&self.writer)
        .await
        .map_err(Error::unavailable("writing the cache index"))?;
        Ok(())
    }
}
