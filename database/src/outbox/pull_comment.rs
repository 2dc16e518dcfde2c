//! The outbox of comments on pull requests: one for each, changed whenever a build of it ends.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::Build;
use crate::model::build_id::new_id;
use crate::model::build_state::BuildState;
use crate::model::ref_name::RefName;
use crate::outbox::retry::{MAX_PAUSE_MS, MAX_TRIES};
use crate::outbox::status_refusal::StatusAnswer;
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;

columns! {
    /// A comment on a pull request that the forge has not been told yet, or not as it is now.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PendingComment {
        /// Row to acknowledge.
        pub id: i64 = get "id",
        /// Repository of the pull request.
        pub repository: String = get "repository",
        /// Number of the pull request.
        pub number: i64 = get "number",
        /// Ref of the pull request.
        pub git_ref: String = get "git_ref",
        /// Stands in the comment: it is found by it.
        pub nonce: String = get "nonce",
        /// The forge's id of the comment, if it is known.
        pub comment_id: Option<String> = get "comment_id",
        /// Whether it may be there though its id is not known.
        pub is_posting: bool = get "is_posting",
        /// Grows with each change.
        pub version: i64 = get "version",
    }
}

/// Takes note that the comment on a build's pull request has to tell of its end.
pub(crate) async fn write(transaction: &mut Transaction, build: &Build, state: BuildState) -> Result<(), Error> {
    let is_told = state.has_ended() && !matches!(state, BuildState::Cancelled | BuildState::Skipped);
    let Some(pull) = build.request.spec.options.pull.as_ref().filter(|pull| pull.comment && is_told) else {
        return Ok(());
    };
    sql(
        "writing a comment",
        "INSERT INTO pull_comments (repository, number, git_ref, build_id, nonce, due_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (repository, number) DO UPDATE SET git_ref = excluded.git_ref, build_id = excluded.build_id, \
         due_ms = excluded.due_ms, version = pull_comments.version + 1, tries = 0",
    )
    .bind(&build.request.repository)
    .bind(pull.number)
    .bind(&build.request.spec.git_ref)
    .bind(build.id.as_str())
    .bind(new_id("comment", transaction.now_ms))
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(())
}

/// Takes note that the comment on a pull request, if there is one, has to tell that it was closed.
pub(crate) async fn close(transaction: &mut Transaction, of: RefName<'_>) -> Result<(), Error> {
    sql(
        "writing a comment",
        "UPDATE pull_comments SET due_ms = $3, version = version + 1, tries = 0 \
         WHERE repository = $1 AND git_ref = $2 AND comment_id IS NOT NULL",
    )
    .bind(of.repository)
    .bind(of.git_ref)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(())
}

impl Database {
    /// Returns the comments that are due, those first that are so for the longest time.
    pub async fn pending_comments(&self, limit: u32) -> Result<Vec<PendingComment>, Error> {
        let text = format!(
            "SELECT {} FROM pull_comments WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT {limit}",
            PendingComment::COLUMNS
        );
        let rows = sql("reading the outbox", text).bind(self.now_ms().await?).all(self.read()).await?;
        rows.iter().map(PendingComment::read).collect()
    }

    /// Takes note that a comment is about to be posted: it may be there from now on, though no answer says so.
    pub async fn begin_comment(&self, id: i64) -> Result<(), Error> {
        let statement = sql("posting a comment", "UPDATE pull_comments SET is_posting = TRUE WHERE id = $1").bind(id);
        statement.run(self.write()).await.map(drop)
    }

    /// Takes note of what the forge answered: the id of the comment, if it took it, or why it did not. One that was not taken is
    /// due again later, until it has been tried often enough, or the forge refuses it.
    pub async fn acknowledge_comment(
        &self,
        comment: &PendingComment,
        comment_id: Option<&str>,
        answer: &StatusAnswer,
    ) -> Result<(), Error> {
        let doing = "acknowledging a comment";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let wait = match answer {
            StatusAnswer::After { wait_ms, .. } => Some((*wait_ms).clamp(0, MAX_PAUSE_MS)),
            _ => None,
        };
        // One that was changed meanwhile stays due.
        let text = format!(
            "UPDATE pull_comments SET comment_id = COALESCE($3, comment_id), problem = $4, at_ms = $5, tries = tries + 1, \
             is_posting = is_posting AND CAST($3 AS TEXT) IS NULL, \
             due_ms = CASE WHEN version <> $2 THEN due_ms WHEN $6 OR tries >= {MAX_TRIES} THEN NULL \
             WHEN CAST($7 AS BIGINT) IS NOT NULL THEN $5 + CAST($7 AS BIGINT) \
             WHEN tries < 9 THEN $5 + 1000 * (1 << CAST(tries AS INTEGER)) ELSE $5 + {MAX_PAUSE_MS} END WHERE id = $1"
        );
        sql(doing, text)
            .bind(comment.id)
            .bind(comment.version)
            .bind(comment_id.map(str::to_owned))
            .bind(answer.problem().map(str::to_owned))
            .bind(now)
            .bind(answer.is_final())
            .bind(wait)
            .run(transaction.on())
            .await?;
        let text = "UPDATE builds SET version = version + 1 WHERE id = (SELECT build_id FROM pull_comments WHERE id = $1) AND $2";
        sql(doing, text).bind(comment.id).bind(answer.problem().is_some()).run(transaction.on()).await?;
        transaction.commit(doing).await
    }
}
