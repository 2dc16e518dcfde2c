//! The outbox of commit statuses: written in the transaction of the change of state that they report.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::outbox::retry::last_forge;
use crate::outbox::retry::put_off;
use crate::outbox::status_refusal::StatusAnswer;
use crate::outbox::{status_refusal, webhook};
use crate::sql::columns::{build_id, columns, get};
use crate::sql::statement::{Row, sql};
use crate::sql::states::{QUEUED, RECONCILE};
use crate::sql::transaction::Transaction;
columns! {
    /// A commit status that a forge has not been told yet: the outbox, written together with the change of state.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PendingStatus {
        /// Row to acknowledge.
        pub id: i64 = get "id",
        /// The build it is about, as it was then: `state` may be older than the build's present one.
        pub build: BuildId = build_id "build_id",
        /// Repository of the build.
        pub repository: String = get "repository",
        /// Full commit hash.
        pub commit: String = get "commit_id",
        /// Rule of the build.
        pub rule: String = get "rule",
        /// The state to report.
        pub state: BuildState = state "state",
        /// Short text: the reason's first line, or the image's digest.
        pub description: String = get "description",
        /// The forge that told of the commit, or else the one that told of the repository last.
        pub forge: Option<String> = get "forge",
        /// The forge that delivered the commit, if one did.
        pub delivered_by: Option<String> = get "delivered_by",
        /// Full name of the build's ref.
        pub git_ref: String = get "git_ref",
    }
}

/// Writes a status for a build whose commit is known, and the deliveries to its webhooks.
pub(crate) async fn write(
    transaction: &mut Transaction,
    build: &BuildId,
    state: BuildState,
    description: &str,
) -> Result<(), Error> {
    sql(
        "writing a status",
        "INSERT INTO statuses (build_id, repository, commit_id, rule, state, description, due_ms) \
         SELECT id, repository, commit_id, rule, $2, $3, $4 FROM builds WHERE id = $1 AND commit_id IS NOT NULL",
    )
    .bind(build.as_str())
    .bind(state.as_str())
    .bind(description)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    // Every change of a build's state comes through here.
    transaction.announce_build(build.as_str());
    webhook::write(transaction, build, state).await
}

/// Writes for each new build that it waits, unless it was superseded at once.
pub(crate) async fn write_queued(transaction: &mut Transaction, builds: &[BuildId]) -> Result<(), Error> {
    if builds.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = (2..builds.len() + 2).map(|place| format!("${place}")).collect();
    let text = format!(
        "INSERT INTO statuses (build_id, repository, commit_id, rule, state, description, due_ms) \
         SELECT id, repository, commit_id, rule, {QUEUED}, \
         CASE WHEN awaits_approval THEN 'waiting for approval' ELSE 'waiting for a worker' END, $1 FROM builds \
         WHERE commit_id IS NOT NULL AND state = {QUEUED} AND id IN ({}) ORDER BY id",
        places.join(", ")
    );
    let statement = sql("writing statuses", text).bind(transaction.now_ms);
    builds.iter().fold(statement, |statement, build| statement.bind(build.as_str())).run(transaction.on()).await?;
    webhook::write_queued(transaction, builds).await?;
    transaction.announce_work();
    Ok(())
}

impl Database {
    /// Returns the repositories that have a status which is due, of builds or of commits alone.
    pub async fn repositories_with_due_statuses(&self) -> Result<Vec<String>, Error> {
        let text = "SELECT repository FROM statuses WHERE due_ms <= $1 \
                    UNION SELECT repository FROM commit_statuses WHERE due_ms <= $1 ORDER BY repository";
        let rows = sql("reading the outbox", text).bind(self.now_ms().await?).all(self.read()).await?;
        rows.iter().map(|row| row.get("repository")).collect()
    }

    /// Returns statuses of `repositories`, or of all, that are due, oldest first; of those that a forge shows in one place,
    /// which have one commit and one rule, only the first that is not told yet.
    pub async fn pending_statuses(
        &self,
        repositories: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<PendingStatus>, Error> {
        let last_forge = last_forge();
        let text = format!(
            "SELECT {} FROM (SELECT s.*, COALESCE(delivered_by, {last_forge}) AS forge FROM \
             (SELECT s.*, b.git_ref AS git_ref, (SELECT d.forge FROM deliveries d WHERE d.id = b.delivery_id \
             AND d.forge <> {RECONCILE}) AS delivered_by FROM statuses s JOIN builds b ON b.id = s.build_id) s) s WHERE due_ms <= $1 \
             AND id IN (SELECT MIN(id) FROM statuses GROUP BY repository, commit_id, rule)",
            PendingStatus::COLUMNS
        );
        let statement = sql("reading the outbox", text).bind(self.now_ms().await?).among("repository", repositories);
        let rows = statement.then(&format!(" ORDER BY id LIMIT {limit}")).all(self.read()).await?;
        rows.iter().map(PendingStatus::read).collect()
    }

    /// Removes what is due of repositories that are on no forge which takes statuses.
    pub async fn drop_due_statuses(&self, repositories: &[String]) -> Result<(), Error> {
        let doing = "emptying the outbox";
        let mut transaction = self.begin().await?;
        for table in ["statuses", "commit_statuses"] {
            let statement = sql(doing, format!("DELETE FROM {table} WHERE due_ms <= $1")).bind(transaction.now_ms);
            statement.among("repository", Some(repositories)).run(transaction.on()).await?;
        }
        transaction.commit(doing).await
    }

    /// Removes a status that was told; one that was not is due again later, until it has been tried often enough. A refusal
    /// is kept with the build.
    pub async fn acknowledge_status(&self, id: i64, answer: &StatusAnswer) -> Result<(), Error> {
        let doing = "acknowledging a status";
        let mut transaction = self.begin().await?;
        let row = sql(doing, "SELECT build_id FROM statuses WHERE id = $1").bind(id).optional(transaction.on()).await?;
        if let Some(row) = row {
            status_refusal::note(&mut transaction, &row.get::<String>("build_id")?, answer).await?;
        }
        put_off(&mut transaction, "statuses", id, answer).await?;
        transaction.commit(doing).await
    }
}

fn state(row: &Row, column: &str) -> Result<BuildState, Error> {
    BuildState::parse(&get::<String>(row, column)?).ok_or(Error::Damaged("a commit status"))
}
