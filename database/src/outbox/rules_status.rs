//! Statuses of commits that got no build, because the repository's own rules are wrong there.

use crate::database::Database;
use crate::error::Error;
use crate::model::json::json;
use crate::outbox::retry::{last_forge, put_off};
use crate::outbox::status_refusal::StatusAnswer;
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;
use crate::sql::states::FETCH_EXPANDED;
use crate::sql::transaction::Transaction;
columns! {
    /// A commit status that no build stands behind: the commit's own rules are wrong.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CommitStatus {
        /// Row to acknowledge.
        pub id: i64 = get "id",
        /// Repository of the commit.
        pub repository: String = get "repository",
        /// Full commit hash.
        pub commit: String = get "commit_id",
        /// The problem.
        pub description: String = get "description",
        /// The forge that told of the repository last.
        pub forge: Option<String> = get "forge",
    }
}

impl Database {
    /// Returns statuses of `repositories`' commits without a build that are due, oldest first; of a commit only the first.
    pub async fn pending_commit_statuses(
        &self,
        repositories: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<CommitStatus>, Error> {
        let last_forge = last_forge();
        let text = format!(
            "SELECT {} FROM (SELECT s.*, {last_forge} AS forge FROM commit_statuses s) s WHERE due_ms <= $1 \
             AND id IN (SELECT MIN(id) FROM commit_statuses GROUP BY repository, commit_id)",
            CommitStatus::COLUMNS
        );
        let statement = sql("reading the outbox", text).bind(self.now_ms().await?).among("repository", repositories);
        let rows = statement.then(&format!(" ORDER BY id LIMIT {limit}")).all(self.read()).await?;
        rows.iter().map(CommitStatus::read).collect()
    }

    /// Removes a status of a commit that was told; one that was not is due again later.
    pub async fn acknowledge_commit_status(&self, id: i64, answer: &StatusAnswer) -> Result<(), Error> {
        let doing = "acknowledging a status";
        let mut transaction = self.begin().await?;
        put_off(&mut transaction, "commit_statuses", id, answer).await?;
        transaction.commit(doing).await
    }

    /// Returns why the newest rules of a repository's own that were read cannot be used.
    pub async fn own_rules_problem(&self, repository: &str) -> Result<Option<String>, Error> {
        let text = format!(
            "SELECT ignored, explain_json FROM deliveries d WHERE repository = $1 AND EXISTS \
                    (SELECT 1 FROM rules_fetches l WHERE l.delivery_id = d.id AND l.state = {FETCH_EXPANDED}) ORDER BY id DESC LIMIT 1"
        );
        let row = sql("reading the newest own rules", text).bind(repository).optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let ignored: Option<String> = row.get("ignored")?;
        let explain: Vec<String> = json(&row.get::<String>("explain_json")?)?;
        let is_wrong = matches!(ignored.as_deref(), Some("rules_invalid" | "rules_unreadable"));
        Ok(explain.into_iter().next().filter(|_| is_wrong))
    }
}

/// Writes that a commit got no build because its own rules are wrong.
pub(crate) async fn write_commit_status(
    transaction: &mut Transaction,
    repository: &str,
    commit: &str,
    description: &str,
) -> Result<(), Error> {
    sql(
        "writing a status",
        "INSERT INTO commit_statuses (repository, commit_id, description, due_ms) VALUES ($1, $2, $3, $4)",
    )
    .bind(repository)
    .bind(commit)
    .bind(description)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(())
}
