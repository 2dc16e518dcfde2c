//! Recovers from a clock that was set back: clamps due times and leases that lie too far in the future.

use crate::database::Database;
use crate::error::Error;
use crate::sql::clock::millis;
use crate::sql::statement::sql;
use crate::sql::states::{FETCH_CLAIMED, NOTIFICATION_PENDING, QUEUED};
/// Tolerated difference: that of two clocks which agree, and the length of a transaction.
const SLACK_MS: i64 = 60_000;

/// The time, of a type that PostgreSQL does not have to guess.
const NOW: &str = "CAST($1 AS BIGINT)";

/// Due times: table and column, the rows that wait, and the longest delay that they get, in milliseconds.
fn waiting() -> [(&'static str, &'static str, String, &'static str); 6] {
    [
        ("builds", "not_before_ms", format!("state = {QUEUED}"), "0"),
        // The last of the pauses between tries.
        ("statuses", "due_ms", "tries >= 0".to_owned(), "512000"),
        ("notifications", "due_ms", format!("state = {NOTIFICATION_PENDING}"), "3600000"),
        // As often as the pause between ref_polls is doubled.
        ("ref_polls", "due_ms", "answer_json IS NULL".to_owned(), "pause_ms * 16"),
        ("base_images", "due_ms", "attempt >= 0".to_owned(), "pause_ms * 16"),
        // The pause before the last try to ask a registry.
        ("tags", "check_ms", "check_ms IS NOT NULL".to_owned(), "660000"),
    ]
}

/// Leases: table and column, and the rows that are leased.
fn held() -> [(&'static str, &'static str, String); 4] {
    [
        ("builds", "lease_until_ms", "worker IS NOT NULL".to_owned()),
        ("rules_fetches", "lease_until_ms", format!("state = {FETCH_CLAIMED}")),
        ("ref_polls", "lease_until_ms", "answer_json IS NULL".to_owned()),
        ("tags", "held_until_ms", "holder IS NOT NULL".to_owned()),
    ]
}

impl Database {
    /// Makes due at once what is put off for longer than ever is, and lets leases last no longer than they would if they
    /// were given now: whoever is alive renews them.
    pub(crate) async fn clamp_future_times(&self) -> Result<(), Error> {
        let doing = "looking for times that are too far ahead";
        let lease = millis(self.settings.lease);
        let waiting = waiting().map(|(table, column, which, longest)| {
            (table, format!("{column} = {NOW}"), format!("{which} AND {column} > {NOW} + {SLACK_MS} + {longest}"))
        });
        let held = held().map(|(table, column, which)| {
            (
                table,
                format!("{column} = {NOW} + {lease}"),
                format!("{which} AND {column} > {NOW} + {SLACK_MS} + {lease}"),
            )
        });
        let all: Vec<_> = waiting.into_iter().chain(held).collect();
        let exists = all.iter().map(|(table, _, which)| format!("EXISTS (SELECT 1 FROM {table} WHERE {which})"));
        let exists = format!("SELECT {} AS is_ahead", exists.collect::<Vec<_>>().join(" OR "));
        // Mostly there is nothing, and whoever only ref_polls waits for nobody who writes.
        if !sql(doing, exists).bind(self.now_ms().await?).one(self.read()).await?.get::<bool>("is_ahead")? {
            return Ok(());
        }
        tracing::warn!("the clock was set back: what waits for a time that is far ahead now does not");
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        for (table, set, which) in all {
            sql(doing, format!("UPDATE {table} SET {set} WHERE {which}")).bind(now).run(transaction.on()).await?;
        }
        transaction.announce_work();
        transaction.commit(doing).await
    }
}
