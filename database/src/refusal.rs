//! Statuses that forges refused: kept with their build, for those who wonder why a commit shows nothing.

use crate::outbox;
use crate::sql::{Row, Transaction, sql};
use crate::{BuildId, CommitStatus, Database, Error};

/// A forge's answer to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusAnswer {
    /// The forge took it.
    Taken,
    /// Nobody was told: there is no forge that wants to know.
    NotSent,
    /// It was not taken this time, and why.
    Again(String),
    /// The forge will not take it, and why.
    Refused(String),
}

impl StatusAnswer {
    /// Tells whether there is nothing more to do.
    pub fn is_final(&self) -> bool {
        !matches!(self, StatusAnswer::Again(_))
    }
}

/// A status that a forge refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The build that it is about.
    pub build: BuildId,
    /// Why, in the forge's own words.
    pub problem: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Takes note of what a forge answered about a build.
pub async fn note(transaction: &mut Transaction, build: &str, answer: &StatusAnswer) -> Result<(), Error> {
    let doing = "noting what a forge answered";
    match answer {
        StatusAnswer::NotSent => {}
        StatusAnswer::Taken => {
            sql(doing, "DELETE FROM status_refusals WHERE build_id = $1").bind(build).run(transaction.on()).await?;
            // What was wrong before is right now: the repository is not shown as one whose statuses are refused.
            let text = "UPDATE status_refusals SET is_current = FALSE WHERE is_current AND repository = \
                        (SELECT repository FROM builds WHERE id = $1)";
            sql(doing, text).bind(build).run(transaction.on()).await?;
        }
        StatusAnswer::Again(problem) | StatusAnswer::Refused(problem) => {
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
    let changes = matches!(answer, StatusAnswer::Again(_) | StatusAnswer::Refused(_));
    sql(doing, text).bind(build).bind(changes).run(transaction.on()).await?;
    Ok(())
}

impl Database {
    /// Returns what a forge answered last to a status of a build, if it refused it.
    pub async fn refusal(&self, build: &BuildId) -> Result<Option<Refusal>, Error> {
        let text = "SELECT build_id, problem, at_ms FROM status_refusals WHERE build_id = $1";
        let row = sql("reading a refusal", text).bind(build.as_str()).optional(self.read()).await?;
        row.as_ref().map(read).transpose()
    }

    /// Returns the newest refusal of a repository's statuses, if none was taken since.
    pub async fn newest_refusal(&self, repository: &str) -> Result<Option<Refusal>, Error> {
        let text = "SELECT build_id, problem, at_ms FROM status_refusals WHERE is_current AND repository = $1 \
                    ORDER BY at_ms DESC LIMIT 1";
        let row = sql("reading a refusal", text).bind(repository).optional(self.read()).await?;
        row.as_ref().map(read).transpose()
    }

    /// Returns statuses of commits without a build that are due, oldest first.
    pub async fn pending_commit_statuses(&self, limit: u32) -> Result<Vec<CommitStatus>, Error> {
        let text = format!(
            "SELECT id, repository, commit_id, description, {} FROM commit_statuses s WHERE due_ms <= $1 ORDER BY id LIMIT $2",
            outbox::LAST_FORGE
        );
        let rows =
            sql("reading the outbox", text).bind(self.now_ms().await?).bind(i64::from(limit)).all(self.read()).await?;
        let read = |row: &Row| {
            Ok(CommitStatus {
                id: row.get(0)?,
                repository: row.get(1)?,
                commit: row.get(2)?,
                description: row.get(3)?,
                forge: row.get(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Removes a status of a commit that was told; one that was not is due again later.
    pub async fn acknowledge_commit_status(&self, id: i64, answer: &StatusAnswer) -> Result<(), Error> {
        let doing = "acknowledging a status";
        let mut transaction = self.begin().await?;
        outbox::put_off(&mut transaction, ("commit_statuses", id), answer.is_final()).await?;
        transaction.commit(doing).await
    }

    /// Returns why the newest rules of a repository's own that were read cannot be used.
    pub async fn own_rules_problem(&self, repository: &str) -> Result<Option<String>, Error> {
        let text = "SELECT ignored, explain_json FROM deliveries d WHERE repository = $1 AND EXISTS \
                    (SELECT 1 FROM lookups l WHERE l.delivery_id = d.id AND l.state = 'expanded') ORDER BY id DESC LIMIT 1";
        let row = sql("reading the newest own rules", text).bind(repository).optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let ignored: Option<String> = row.get(0)?;
        let explain: Vec<String> = crate::rows::json(&row.get::<String>(1)?)?;
        let is_wrong = matches!(ignored.as_deref(), Some("rules_invalid" | "rules_unreadable"));
        Ok(explain.into_iter().next().filter(|_| is_wrong))
    }
}

fn read(row: &Row) -> Result<Refusal, Error> {
    let build = BuildId::parse(&row.get::<String>(0)?).ok_or(Error::Damaged("a refusal"))?;
    Ok(Refusal { build, problem: row.get(1)?, at_ms: row.get(2)? })
}

/// Writes that a commit got no build because its own rules are wrong.
pub async fn write_commit_status(
    transaction: &mut Transaction,
    (repository, commit): (&str, &str),
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
