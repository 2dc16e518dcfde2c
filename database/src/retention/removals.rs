//! Counts removals in the transaction that removes, so the counts last as long as the database; and removes small things
//! that nobody asks for any more.

use crate::database::Database;
use crate::deliveries::accept::KEY_LIFE_MS;
use crate::error::Error;
use crate::model::build_state::BuildState;
use crate::sql::statement::sql;
use crate::sql::states::FETCH_EXPANDED;
use crate::sql::transaction::Transaction;
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long it is kept in mind that a schedule was due.
const SCHEDULES_MS: i64 = 30 * DAY_MS;
/// RulesFetches that no delivery led to are kept so many, from the last one on.
const RULES_FETCHES: i64 = 200;

/// How long to pause between two transactions: those who wait for the database go first.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// How much was removed, by what it was: `builds:succeeded`, `logs`, `log_bytes`, …
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeMap<String, i64>);

impl Removed {
    /// Tells whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|amount| *amount == 0)
    }

    /// Returns how much was removed of `what`.
    pub fn of(&self, what: &str) -> i64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Returns how many builds were removed.
    pub fn builds(&self) -> i64 {
        self.0.iter().filter(|(what, _)| what.starts_with("builds:")).map(|(_, amount)| amount).sum()
    }

    /// Returns how many builds were removed, by how they had ended.
    pub fn ended(&self) -> impl Iterator<Item = (BuildState, i64)> {
        let state =
            |(what, amount): (&String, &i64)| Some((BuildState::parse(what.strip_prefix("builds:")?)?, *amount));
        self.0.iter().filter_map(state)
    }

    /// Counts what a transaction removes, here and in the database.
    pub(super) async fn add(&mut self, transaction: &mut Transaction, amounts: &[(&str, i64)]) -> Result<(), Error> {
        for (what, amount) in amounts.iter().filter(|(_, amount)| *amount > 0) {
            sql(
                "counting what was removed",
                "INSERT INTO removals (what, amount) VALUES ($1, $2) \
                 ON CONFLICT (what) DO UPDATE SET amount = removals.amount + excluded.amount",
            )
            .bind(*what)
            .bind(*amount)
            .run(transaction.on())
            .await?;
            *self.0.entry((*what).to_owned()).or_default() += amount;
        }
        Ok(())
    }
}

impl Database {
    /// Returns how much was ever removed.
    pub async fn removals(&self) -> Result<Removed, Error> {
        let rows = sql("reading what was removed", "SELECT what, amount FROM removals").all(self.read()).await?;
        let amounts = rows.iter().map(|row| Ok((row.get("what")?, row.get("amount")?)));
        amounts.collect::<Result<_, Error>>().map(Removed)
    }

    /// Returns the repositories that builds or deliveries are kept of.
    pub(super) async fn known_repositories(&self) -> Result<Vec<String>, Error> {
        let text = "SELECT repository FROM builds GROUP BY repository UNION SELECT repository FROM deliveries GROUP BY repository";
        sql("reading repositories", text).all(self.read()).await?.iter().map(|row| row.get("repository")).collect()
    }

    /// Removes what has no limits of its own because nobody asks for it after a while.
    pub(super) async fn remove_leftovers(&self, removed: &mut Removed) -> Result<(), Error> {
        const LEFTOVERS: [(&str, &str, i64); 3] = [
            ("idempotency_keys", "created_ms < $1", KEY_LIFE_MS),
            ("workers", "seen_ms < $1", DAY_MS),
            (
                "schedule_runs",
                "due_ms < $1 AND due_ms < (SELECT MAX(n.due_ms) FROM schedule_runs n \
                 WHERE n.repository = schedule_runs.repository AND n.rule = schedule_runs.rule)",
                SCHEDULES_MS,
            ),
        ];
        let doing = "removing leftovers";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        for (table, condition, age_ms) in LEFTOVERS {
            let text = format!("DELETE FROM {table} WHERE {condition}");
            let gone = sql(doing, text).bind(now - age_ms).run(transaction.on()).await?;
            removed.add(&mut transaction, &[(table, gone as i64)]).await?;
        }
        let rules_fetches = format!(
            "DELETE FROM rules_fetches WHERE delivery_id IS NULL AND state = {FETCH_EXPANDED} \
             AND id < (SELECT MAX(id) FROM rules_fetches) - $1"
        );
        let gone = sql(doing, rules_fetches).bind(RULES_FETCHES).run(transaction.on()).await?;
        removed.add(&mut transaction, &[("rules_fetches", gone as i64)]).await?;
        transaction.commit(doing).await
    }
}
