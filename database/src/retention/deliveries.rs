//! Deliveries that are beyond the limits: their bodies first, then their records with the pushes and rules fetches they led to.

use crate::database::Database;
use crate::error::Error;
use crate::retention::plan::Item;
use crate::retention::removals::PAUSE;
use crate::retention::removals::Removed;
use crate::sql::statement::{Row, Statement, sql};
use crate::sql::states::FETCH_EXPANDED;
/// Deliveries that one transaction removes.
pub(crate) const BATCH: usize = 50;
/// Deliveries that one query reads.
const PAGE: i64 = 2_000;

/// Whether something of a delivery is needed: a build; a rules fetch that goes on, or the last one; the newest push to its ref. Ids
/// of SQLite's rows are given out again after the last one: that one stays.
fn is_needed() -> String {
    format!(
        "d.id = (SELECT MAX(id) FROM deliveries) \
     OR EXISTS (SELECT 1 FROM builds b WHERE b.delivery_id = d.id) \
     OR EXISTS (SELECT 1 FROM rules_fetches l WHERE l.delivery_id = d.id \
       AND (l.state <> {FETCH_EXPANDED} OR l.id = (SELECT MAX(id) FROM rules_fetches))) \
     OR EXISTS (SELECT 1 FROM pushes p WHERE p.delivery_id = d.id AND (EXISTS (SELECT 1 FROM builds b WHERE b.push_id = p.id) \
       OR NOT EXISTS (SELECT 1 FROM pushes later WHERE later.repository = p.repository AND later.git_ref = p.git_ref \
         AND later.sequence > p.sequence)))"
    )
}

/// Reads all deliveries of a repository.
pub(crate) async fn read_deliveries(database: &Database, repository: &str) -> Result<Vec<Item<i64>>, Error> {
    let is_needed = is_needed();
    let text = format!(
        "SELECT d.id, d.created_ms, CAST(LENGTH(d.body) AS BIGINT) AS bytes, ({is_needed}) AS is_needed FROM deliveries d \
         WHERE d.repository = $1 AND d.id > $2 ORDER BY d.id LIMIT {PAGE}"
    );
    let mut all: Vec<Item<i64>> = Vec::new();
    loop {
        let after = all.last().map_or(-1, |last| last.id);
        let statement = sql("reading deliveries for retention", text.clone()).bind(repository).bind(after);
        let rows = statement.all(database.read()).await?;
        let is_last = rows.len() < PAGE as usize;
        for row in &rows {
            all.push(read(row)?);
        }
        if is_last {
            return Ok(all);
        }
    }
}

fn read(row: &Row) -> Result<Item<i64>, Error> {
    let (id, since_ms) = (row.get("id")?, Some(row.get("created_ms")?));
    Ok(Item { id, since_ms, bytes: row.get("bytes")?, is_half_removed: false, is_needed: row.get("is_needed")? })
}

/// Returns a statement with a place for each of `deliveries`, from `$1` on.
fn of_deliveries(doing: &'static str, text: &str, deliveries: &[i64]) -> Statement {
    let places: Vec<_> = (1..=deliveries.len()).map(|place| format!("${place}")).collect();
    let statement = sql(doing, text.replace("{}", &places.join(", ")));
    deliveries.iter().fold(statement, |statement, delivery| statement.bind(*delivery))
}

impl Database {
    /// Removes bodies. The hash of each stays, so the same delivery is still recognised.
    pub(super) async fn remove_bodies(&self, deliveries: &[i64], removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing the bodies of deliveries";
        let mut transaction = self.begin().await?;
        let sum = "SELECT COUNT(*) AS amount, CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) AS bytes FROM deliveries WHERE id IN ({}) AND LENGTH(body) > 0";
        let row = of_deliveries(doing, sum, deliveries).one(transaction.on()).await?;
        let (number, bytes): (i64, i64) = (row.get("amount")?, row.get("bytes")?);
        let place = deliveries.len() + 1;
        let empty = format!("UPDATE deliveries SET body = ${place} WHERE id IN ({{}})");
        of_deliveries(doing, &empty, deliveries).bind(Vec::<u8>::new()).run(transaction.on()).await?;
        removed.add(&mut transaction, &[("delivery_bodies", number), ("delivery_bytes", bytes)]).await?;
        transaction.commit(doing).await?;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Removes deliveries with their pushes and rules fetches, unless something refers to them by now.
    pub(super) async fn remove_delivered(&self, deliveries: &[i64], removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing deliveries";
        let mut transaction = self.begin().await?;
        let is_needed = is_needed();
        let still = format!(
            "SELECT d.id, CAST(LENGTH(d.body) AS BIGINT) AS bytes FROM deliveries d WHERE d.id IN ({{}}) AND NOT ({is_needed}) \
             ORDER BY d.id /*+FOR UPDATE OF d*/"
        );
        let rows = of_deliveries(doing, &still, deliveries).all(transaction.on()).await?;
        let (mut ids, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        for row in &rows {
            ids.push(row.get::<i64>("id")?);
            bytes += row.get::<i64>("bytes")?;
        }
        if ids.is_empty() {
            return Ok(());
        }
        of_deliveries(doing, "DELETE FROM rules_fetches WHERE delivery_id IN ({})", &ids).run(transaction.on()).await?;
        of_deliveries(doing, "DELETE FROM pushes WHERE delivery_id IN ({})", &ids).run(transaction.on()).await?;
        of_deliveries(doing, "DELETE FROM deliveries WHERE id IN ({})", &ids).run(transaction.on()).await?;
        removed.add(&mut transaction, &[("deliveries", ids.len() as i64), ("delivery_bytes", bytes)]).await?;
        transaction.commit(doing).await?;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
