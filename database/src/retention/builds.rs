//! Builds that are beyond the limits: their logs first, then what belongs to them, then their records.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::build_state;
use crate::model::build_state::BuildState;
use crate::retention::plan::Item;
use crate::retention::removals::{PAUSE, Removed};
use crate::sql::statement::Statement;
use crate::sql::statement::{Row, sql};
use crate::sql::states::NOTIFICATION_PENDING;
use std::collections::{BTreeMap, HashSet};

/// Builds that one transaction removes.
pub(crate) const BATCH: usize = 10;
/// Builds whose details one transaction removes.
pub(crate) const DETAILS: usize = 100;
/// Pieces of a log that one transaction removes: some megabytes.
const PIECES: i64 = 64;
/// Builds that one query reads.
const PAGE: i64 = 2_000;

/// Tables whose rows belong to a build.
pub(crate) const PARTS: [&str; 6] = ["logs", "steps", "statuses", "status_refusals", "traces", "notifications"];

/// Whether a build is named by a tag, about to be, or waits to be told of.
fn is_referred_to() -> String {
    format!(
        "EXISTS (SELECT 1 FROM tags t WHERE t.repository = b.repository AND t.moved_by = b.id) \
     OR EXISTS (SELECT 1 FROM tags t WHERE t.holder = b.id) \
     OR EXISTS (SELECT 1 FROM statuses s WHERE s.build_id = b.id) \
     OR EXISTS (SELECT 1 FROM notifications n WHERE n.build_id = b.id AND n.state = {NOTIFICATION_PENDING})"
    )
}

/// The digest of a build's image, as far as it stands at the start of its document.
const DIGEST: &str = "SUBSTR(b.image_json, 1, 200)";

/// A build as retention sees it.
struct Read {
    item: Item<String>,
    number: i64,
    /// Rule and ref, and the order among their builds, of a success on a branch or tag.
    success: Option<((String, String), (i64, String))>,
}

/// Reads all builds of a repository.
pub(crate) async fn read_builds(database: &Database, repository: &str) -> Result<Vec<Item<String>>, Error> {
    let named = named_digests(database, repository).await?;
    // Documents are long: they are read only where somebody asks for their digests.
    let digest = if named.is_empty() { "NULL" } else { DIGEST };
    let is_referred_to = is_referred_to();
    let text = format!(
        "SELECT b.id, b.finished_ms, b.log_bytes, b.log_removed_ms IS NOT NULL AS is_log_removed, ({is_referred_to}) AS is_referred_to, b.state, b.rule, b.git_ref, \
         b.sequence, b.number, CAST({digest} AS TEXT) AS image FROM builds b WHERE b.repository = $1 AND b.id > $2 ORDER BY b.id LIMIT {PAGE}"
    );
    let mut all: Vec<Read> = Vec::new();
    loop {
        let after = all.last().map_or("", |last| last.item.id.as_str());
        let statement = sql("reading builds for retention", text.clone()).bind(repository).bind(after);
        let rows = statement.all(database.read()).await?;
        let is_last = rows.len() < PAGE as usize;
        for row in &rows {
            all.push(read(row, &named)?);
        }
        if is_last {
            break;
        }
    }
    let mut newest = BTreeMap::new();
    for (place, order) in all.iter().filter_map(|read| read.success.as_ref()) {
        let known = newest.entry(place).or_insert(order);
        *known = (*known).max(order);
    }
    let mut newest: HashSet<String> = newest.into_values().map(|(_, id)| id.clone()).collect();
    // The next build gets the number after the greatest that there is.
    newest.extend(all.iter().max_by_key(|read| read.number).map(|last| last.item.id.clone()));
    let mut items: Vec<_> = all.into_iter().map(|read| read.item).collect();
    items.iter_mut().for_each(|item| item.is_needed |= newest.contains(&item.id));
    Ok(items)
}

/// Returns the digests of tags that were moved before it was noted by which build.
async fn named_digests(database: &Database, repository: &str) -> Result<HashSet<String>, Error> {
    let text = "SELECT digest FROM tags WHERE repository = $1 AND moved_by IS NULL AND digest IS NOT NULL";
    let rows = sql("reading tags for retention", text).bind(repository).all(database.read()).await?;
    rows.iter().map(|row| row.get("digest")).collect()
}

fn read(row: &Row, named: &HashSet<String>) -> Result<Read, Error> {
    let id: String = row.get("id")?;
    let (rule, git_ref): (String, String) = (row.get("rule")?, row.get("git_ref")?);
    // Those of pull requests precede nothing once these are closed, and there may be any number of them.
    let stays = ["refs/heads/", "refs/tags/"].iter().any(|kind| git_ref.starts_with(kind));
    let is_success = build_state(row, "state")? == BuildState::Succeeded;
    let order = (row.get("sequence")?, id.clone());
    let image: Option<String> = row.get("image")?;
    let digest = image.as_deref().and_then(|image| image.strip_prefix("{\"digest\":\"")?.split('"').next());
    let is_named = digest.is_some_and(|digest| named.contains(digest));
    Ok(Read {
        number: row.get("number")?,
        success: (stays && is_success).then_some(((rule, git_ref), order)),
        item: Item {
            id,
            since_ms: row.get("finished_ms")?,
            bytes: row.get("log_bytes")?,
            is_half_removed: row.get("is_log_removed")?,
            is_needed: is_named || row.get("is_referred_to")?,
        },
    })
}

/// Returns a statement with a place for each of `builds`, from `$1` on.
fn of_builds(doing: &'static str, text: &str, builds: &[String]) -> Statement {
    let places: Vec<_> = (1..=builds.len()).map(|place| format!("${place}")).collect();
    let statement = sql(doing, text.replace("{}", &places.join(", ")));
    builds.iter().fold(statement, |statement, build| statement.bind(build))
}

impl Database {
    /// Removes the log of a build that has ended. Readers meanwhile are told that it is removed, and get no part of it.
    pub(super) async fn remove_log(&self, build: &String, removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing a log";
        let bytes =
            sql(doing, "SELECT log_bytes FROM builds WHERE id = $1 AND log_bytes > 0 AND finished_ms IS NOT NULL");
        let Some(row) = bytes.bind(build).optional(self.read()).await? else { return Ok(()) };
        let bytes: i64 = row.get("log_bytes")?;
        let mut transaction = self.begin().await?;
        let mark =
            "UPDATE builds SET log_removed_ms = $2, version = version + 1 WHERE id = $1 AND log_removed_ms IS NULL";
        sql(doing, mark).bind(build).bind(transaction.now_ms).run(transaction.on()).await?;
        transaction.announce_build(build);
        transaction.commit(doing).await?;
        loop {
            tokio::time::sleep(PAUSE).await;
            let mut transaction = self.begin().await?;
            let pieces = sql(
                doing,
                "DELETE FROM logs WHERE build_id = $1 AND start IN \
                 (SELECT l.start FROM logs l WHERE l.build_id = $1 ORDER BY l.start LIMIT $2)",
            );
            let gone = pieces.bind(build).bind(PIECES).run(transaction.on()).await?;
            if gone < PIECES as u64 {
                // That there are no bytes any more says that the removal is done.
                let done = sql(doing, "UPDATE builds SET log_bytes = 0 WHERE id = $1 AND log_bytes > 0").bind(build);
                if done.run(transaction.on()).await? > 0 {
                    removed.add(&mut transaction, &[("logs", 1), ("log_bytes", bytes)]).await?;
                }
                return transaction.commit(doing).await;
            }
            transaction.commit(doing).await?;
        }
    }

    /// Removes traces and notifications of builds whose records stay.
    pub(super) async fn remove_details(&self, builds: &[String], removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing details of builds";
        let there =
            "SELECT 1 FROM traces WHERE build_id IN ({}) UNION ALL SELECT 1 FROM notifications WHERE build_id IN ({})";
        if of_builds(doing, there, builds).optional(self.read()).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        let traces = "DELETE FROM traces WHERE build_id IN ({})";
        let traces = of_builds(doing, traces, builds).run(transaction.on()).await?;
        let notifications =
            format!("DELETE FROM notifications WHERE build_id IN ({{}}) AND state <> {NOTIFICATION_PENDING}");
        let notifications = of_builds(doing, &notifications, builds).run(transaction.on()).await?;
        removed.add(&mut transaction, &[("traces", traces as i64), ("notifications", notifications as i64)]).await?;
        transaction.commit(doing).await?;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Removes builds with all that belongs to them, unless something refers to them by now.
    pub(super) async fn remove_records(&self, builds: &[String], removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing builds";
        let mut transaction = self.begin().await?;
        let is_referred_to = is_referred_to();
        let still = format!(
            "SELECT b.id, b.state FROM builds b WHERE b.id IN ({{}}) AND b.finished_ms IS NOT NULL AND NOT ({is_referred_to}) \
             ORDER BY b.id /*+FOR UPDATE OF b*/"
        );
        let rows = of_builds(doing, &still, builds).all(transaction.on()).await?;
        let mut amounts: BTreeMap<String, i64> = BTreeMap::new();
        let mut ids = Vec::with_capacity(rows.len());
        for row in &rows {
            ids.push(row.get::<String>("id")?);
            *amounts.entry(format!("builds:{}", row.get::<String>("state")?)).or_default() += 1;
        }
        if ids.is_empty() {
            return Ok(());
        }
        for table in PARTS {
            let text = format!("DELETE FROM {table} WHERE build_id IN ({{}})");
            let gone = of_builds(doing, &text, &ids).run(transaction.on()).await?;
            *amounts.entry(table.to_owned()).or_default() += gone as i64;
        }
        // Whole logs are counted where they are removed, and a forge's refusal of a status is not a record of its own.
        amounts.remove("logs");
        amounts.remove("status_refusals");
        of_builds(doing, "DELETE FROM builds WHERE id IN ({})", &ids).run(transaction.on()).await?;
        ids.iter().for_each(|id| transaction.announce_build(id));
        let amounts: Vec<_> = amounts.iter().map(|(what, amount)| (what.as_str(), *amount)).collect();
        removed.add(&mut transaction, &amounts).await?;
        transaction.commit(doing).await?;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
