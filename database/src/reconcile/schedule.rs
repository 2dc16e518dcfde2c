//! Schedules: what is due is built once, however many servers look at the clock.

use crate::database::Database;
use crate::deliveries::rules_fetch::AnsweredRulesFetch;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::json::{json, to_json};
use crate::model::rules_fetch::NewRulesFetch;
use crate::outbox::commit_status;
use crate::queue::enqueue::Origin;
use crate::sql::statement::{Row, sql};
use crate::sql::transaction::Transaction;
use serde::{Deserialize, Serialize};

/// How long it is remembered what was built.
const MEMORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// When a rule of a repository's own file is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSchedule {
    /// The rule's name.
    pub rule: String,
    /// As it is written, in the fields of cron.
    pub schedule: String,
}

impl Database {
    /// Stores the builds of a rule that is due at `due_ms`; `None` if that was done already.
    pub async fn begin_schedule(
        &self,
        repository: &str,
        rule: &str,
        due_ms: i64,
        requests: &[BuildRequest],
    ) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "beginning a scheduled build";
        let mut transaction = self.begin_accepting().await?;
        if !begin(&mut transaction, repository, rule, due_ms).await? {
            return Ok(None);
        }
        let builds = self.insert_builds(&mut transaction, &Origin::default(), requests).await?;
        commit_status::write_queued(&mut transaction, &builds).await?;
        transaction.commit(doing).await?;
        Ok(Some(builds))
    }

    /// Lets a worker read the rules of the repository's own file for a rule that is due at `due_ms`; tells whether that was
    /// not done before.
    pub async fn begin_own_schedule(
        &self,
        rules_fetch: &NewRulesFetch,
        rule: &str,
        due_ms: i64,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin_accepting().await?;
        if !begin(&mut transaction, &rules_fetch.repository, rule, due_ms).await? {
            return Ok(false);
        }
        self.insert_rules_fetch(&mut transaction, None, rules_fetch).await?;
        transaction.commit("beginning a scheduled build").await?;
        Ok(true)
    }

    /// Takes note of the schedules in a repository's own file, as they stand on a ref.
    pub async fn keep_own_schedules(&self, found: &AnsweredRulesFetch, schedules: &[OwnSchedule]) -> Result<(), Error> {
        // Most files have none: nothing is kept of those.
        let text = match schedules {
            [] => {
                "UPDATE own_schedules SET rules_fetch_id = $3, schedules_json = $4 WHERE repository = $1 AND git_ref = $2 AND rules_fetch_id < $3"
            }
            _ => {
                "INSERT INTO own_schedules (repository, git_ref, rules_fetch_id, schedules_json) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (repository, git_ref) DO UPDATE SET rules_fetch_id = excluded.rules_fetch_id, \
                 schedules_json = excluded.schedules_json WHERE own_schedules.rules_fetch_id < excluded.rules_fetch_id"
            }
        };
        sql("writing schedules", text)
            .bind(&found.rules_fetch.repository)
            .bind(&found.rules_fetch.git_ref)
            .bind(found.id)
            .bind(to_json(&schedules)?)
            .run(self.write())
            .await?;
        Ok(())
    }

    /// Returns the schedules in the own file of a repository, by ref.
    pub async fn own_schedules(&self, repository: &str) -> Result<Vec<(String, Vec<OwnSchedule>)>, Error> {
        let text = "SELECT git_ref, schedules_json FROM own_schedules WHERE repository = $1 ORDER BY git_ref";
        let rows = sql("reading schedules", text).bind(repository).all(self.read()).await?;
        rows.iter().map(|row: &Row| Ok((row.get("git_ref")?, json(&row.get::<String>("schedules_json")?)?))).collect()
    }
}

/// Tells whether what is due has not begun before, and takes note of it.
async fn begin(transaction: &mut Transaction, repository: &str, rule: &str, due_ms: i64) -> Result<bool, Error> {
    let doing = "beginning a scheduled build";
    let text = "INSERT INTO schedule_runs (repository, rule, due_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if sql(doing, text).bind(repository).bind(rule).bind(due_ms).run(transaction.on()).await? == 0 {
        return Ok(false);
    }
    sql(doing, "DELETE FROM schedule_runs WHERE repository = $1 AND rule = $2 AND due_ms < $3")
        .bind(repository)
        .bind(rule)
        .bind(due_ms - MEMORY_MS)
        .run(transaction.on())
        .await?;
    Ok(true)
}
