//! Statuses that forges refused: kept with their build, for those who wonder why a commit shows nothing.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::sql::columns::{build_id, columns, get};
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
/// A forge's answer to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusAnswer {
    /// The forge took it.
    Taken,
    /// Nothing was sent: no forge is configured for it.
    NotSent,
    /// It was not taken this time, and why.
    Again(String),
    /// It was not taken this time: the forge says when it may be sent again.
    After {
        /// Why.
        problem: String,
        /// Milliseconds until then.
        wait_ms: i64,
    },
    /// The forge will not take it, and why.
    Refused(String),
}

impl StatusAnswer {
    /// Tells whether there is nothing more to do.
    pub fn is_final(&self) -> bool {
        !matches!(self, StatusAnswer::Again(_) | StatusAnswer::After { .. })
    }

    /// Returns why it was not taken.
    pub fn problem(&self) -> Option<&str> {
        match self {
            StatusAnswer::Taken | StatusAnswer::NotSent => None,
            StatusAnswer::Again(problem) | StatusAnswer::After { problem, .. } | StatusAnswer::Refused(problem) => {
                Some(problem)
            }
        }
    }
}

columns! {
    /// A status that a forge refused.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Refusal {
        /// The build that it is about.
        pub build: BuildId = build_id "build_id",
        /// Why, in the forge's own words.
        pub problem: String = get "problem",
        /// When, in milliseconds since 1970.
        pub at_ms: i64 = get "at_ms",
    }
}

/// Takes note of what a forge answered about a build.
pub(crate) async fn note(transaction: &mut Transaction, build: &str, answer: &StatusAnswer) -> Result<(), Error> {
    let doing = "noting what a forge answered";
    match answer {
        StatusAnswer::NotSent => {}
        StatusAnswer::Taken => {
            sql(doing, "DELETE FROM status_refusals WHERE build_id = $1").bind(build).run(transaction.on()).await?;
            // The earlier problem is solved: the repository is not shown as one whose statuses are refused.
            let text = "UPDATE status_refusals SET is_current = FALSE WHERE is_current AND repository = \
                        (SELECT repository FROM builds WHERE id = $1)";
            sql(doing, text).bind(build).run(transaction.on()).await?;
        }
        StatusAnswer::Again(problem) | StatusAnswer::After { problem, .. } | StatusAnswer::Refused(problem) => {
            sql(
                doing,
                "INSERT INTO status_refusals (build_id, repository, problem, at_ms, is_current) \
                 SELECT id, repository, $2, $3, TRUE FROM builds WHERE id = $1 \
                 ON CONFLICT (build_id) DO UPDATE SET problem = excluded.problem, at_ms = excluded.at_ms, is_current = TRUE",
            )
            .bind(build)
            .bind(problem)
            .bind(transaction.now_ms)
            .run(transaction.on())
            .await?;
        }
    }
    let text = "UPDATE builds SET version = version + 1 WHERE id = $1 AND $2";
    sql(doing, text).bind(build).bind(answer.problem().is_some()).run(transaction.on()).await?;
    transaction.announce_build(build);
    Ok(())
}

impl Database {
    /// Returns what a forge answered last to a status of a build, or to the comment that told of it, if it refused it.
    pub async fn refusal(&self, build: &BuildId) -> Result<Option<Refusal>, Error> {
        let text = format!(
            "SELECT {} FROM (SELECT build_id, problem, at_ms FROM status_refusals WHERE build_id = $1 UNION ALL \
             SELECT build_id, problem, at_ms FROM pull_comments WHERE build_id = $1 AND problem IS NOT NULL) r \
             ORDER BY at_ms DESC LIMIT 1",
            Refusal::COLUMNS
        );
        let row = sql("reading a refusal", text).bind(build.as_str()).optional(self.read()).await?;
        row.as_ref().map(Refusal::read).transpose()
    }

    /// Returns the newest refusal of a repository's statuses, if none was taken since.
    pub async fn newest_refusal(&self, repository: &str) -> Result<Option<Refusal>, Error> {
        let text = format!(
            "SELECT {} FROM (SELECT build_id, problem, at_ms FROM status_refusals WHERE is_current AND repository = $1 UNION ALL \
             SELECT build_id, problem, at_ms FROM pull_comments WHERE problem IS NOT NULL AND repository = $1) r \
             ORDER BY at_ms DESC LIMIT 1",
            Refusal::COLUMNS
        );
        let row = sql("reading a refusal", text).bind(repository).optional(self.read()).await?;
        row.as_ref().map(Refusal::read).transpose()
    }
}
