//! Ref polls: a worker lists the refs of a repository from time to time, so that a push is built that no delivery told of.
//!
//! The service says which repositories are looked at and how often, a worker asks the git server, and the service turns
//! what was missed into deliveries: [`crate::Database::settle_ref_poll`]. The first look at a repository only takes note.

use crate::access::redaction::redact;
use crate::database::Database;
use crate::error::Error;
use crate::model::build::Reason;
use crate::model::json::{json, to_json};
use crate::sql::clock::millis;
use crate::sql::schema;
use crate::sql::statement::{Row, sql};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Full names of refs, and the commit or annotated tag that each names.
pub type Heads = BTreeMap<String, String>;

/// A look that several servers ask for when they start is one, if it is not older than this.
const FRESH_MS: i64 = 10_000;
/// Most times that the pause is doubled after ref_polls that failed.
const MAX_DOUBLINGS: u32 = 4;

/// A repository that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// `namespace/name` in the configuration.
    pub repository: String,
    /// Where its refs are asked for.
    pub clone_url: String,
}

/// A worker's lease on a look.
#[derive(Debug)]
pub struct RefPollClaim {
    /// The polled repository.
    pub looked: Looked,
    /// Number of the look.
    pub attempt: i64,
    /// The known refs; `None` at the first poll.
    pub known: Option<Heads>,
}

/// The refs that a worker saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The branches and tags.
    pub heads: Heads,
    /// Of those that name something else than is known, the commits.
    pub moved: Vec<MovedRef>,
}

/// A ref that names something else than is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedRef {
    /// Its full name.
    pub git_ref: String,
    /// The full hash of the commit.
    pub commit: String,
    /// The commit's message.
    pub message: String,
}

/// How the ref_polls at a repository go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefPollState {
    /// When the refs were last seen, in milliseconds since 1970.
    pub seen_ms: Option<i64>,
    /// When they are looked at next.
    pub due_ms: i64,
    /// Why the last look failed, if it did.
    pub problem: Option<String>,
}

impl Database {
    /// Says which repositories are looked at and how long to pause between two ref_polls. `begins` asks for one now, as a
    /// server does that starts. Those that are not named are not looked at any more.
    pub async fn look_at(&self, all: &[Looked], pause: Duration, begins: bool) -> Result<(), Error> {
        let doing = "noting which repositories are looked at";
        let mut transaction = self.begin().await?;
        let rows = sql(doing, "SELECT repository FROM ref_polls ORDER BY repository").all(transaction.on()).await?;
        for row in rows {
            let known: String = row.get("repository")?;
            if !all.iter().any(|looked| looked.repository == known) {
                let text = "DELETE FROM ref_polls WHERE repository = $1";
                sql(doing, text).bind(&known).run(transaction.on()).await?;
            }
        }
        for looked in all {
            // The refs of another server say nothing about this one.
            sql(
                doing,
                "INSERT INTO ref_polls (repository, clone_url, pause_ms, due_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (repository) DO UPDATE SET clone_url = excluded.clone_url, pause_ms = excluded.pause_ms, \
                 due_ms = CASE WHEN $5 AND ref_polls.asked_ms < $6 OR ref_polls.clone_url <> excluded.clone_url THEN $4 ELSE ref_polls.due_ms END, \
                 known_json = CASE WHEN ref_polls.clone_url = excluded.clone_url THEN ref_polls.known_json END, \
                 compared_ms = CASE WHEN ref_polls.clone_url = excluded.clone_url THEN ref_polls.compared_ms END, \
                 answer_json = CASE WHEN ref_polls.clone_url = excluded.clone_url THEN ref_polls.answer_json END \
                 WHERE $5 OR ref_polls.clone_url <> excluded.clone_url OR ref_polls.pause_ms <> excluded.pause_ms",
            )
            .bind(&looked.repository)
            .bind(&looked.clone_url)
            .bind(millis(pause))
            .bind(transaction.now_ms)
            .bind(begins)
            .bind(transaction.now_ms - FRESH_MS)
            .run(transaction.on())
            .await?;
        }
        transaction.announce_work();
        transaction.commit(doing).await
    }

    /// Gives a worker a look that is due and that nobody has.
    pub async fn claim_ref_poll(&self) -> Result<Option<RefPollClaim>, Error> {
        const DUE: &str = "SELECT repository FROM ref_polls WHERE answer_json IS NULL AND due_ms <= $1 AND lease_until_ms <= $1 \
             ORDER BY due_ms, repository LIMIT 1";
        let doing = "claiming a look";
        let now = self.now_ms().await?;
        if sql(doing, DUE).bind(now).optional(self.read()).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let text = format!(
            "UPDATE ref_polls SET attempt = attempt + 1, asked_ms = $1, lease_until_ms = $2 WHERE repository = \
             ({DUE} /*+FOR UPDATE SKIP LOCKED*/) RETURNING repository, clone_url, attempt"
        );
        let row = sql(doing, text)
            .bind(transaction.now_ms)
            .bind(transaction.now_ms + millis(self.settings.lease))
            .optional(transaction.on())
            .await?;
        let Some(row) = row else { return Ok(None) };
        transaction.commit(doing).await?;
        let looked = Looked { repository: row.get("repository")?, clone_url: row.get("clone_url")? };
        let known = self.last_known(&looked.repository).await?;
        Ok(Some(RefPollClaim { known: known.map(|known| known.compared.heads), attempt: row.get("attempt")?, looked }))
    }

    /// Writes what the worker saw, or why it saw nothing: then the next look comes later and later.
    pub async fn finish_ref_poll(&self, claim: &RefPollClaim, result: &Result<Seen, Reason>) -> Result<(), Error> {
        let now = self.now_ms().await?;
        let doing = "writing what a look saw";
        let written = match result {
            Ok(seen) => {
                let text = "UPDATE ref_polls SET answer_json = $3, lease_until_ms = 0, failures = 0, problem = NULL \
                     WHERE repository = $1 AND attempt = $2 AND answer_json IS NULL";
                let statement = sql(doing, text).bind(&claim.looked.repository).bind(claim.attempt);
                statement.bind(to_json(seen)?).run(self.write()).await?
            }
            Err(reason) => {
                let text = format!(
                    "UPDATE ref_polls SET problem = $3, lease_until_ms = 0, failures = failures + 1, due_ms = $4 + pause_ms * \
                     (1 << CAST(CASE WHEN failures < {MAX_DOUBLINGS} THEN failures ELSE {MAX_DOUBLINGS} END AS INTEGER)) \
                     WHERE repository = $1 AND attempt = $2 AND answer_json IS NULL"
                );
                let statement = sql(doing, text).bind(&claim.looked.repository).bind(claim.attempt);
                statement.bind(redact(&reason.message).into_owned()).bind(now).run(self.write()).await?
            }
        };
        if written == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Returns how the ref_polls at a repository go; `None` if it is not looked at.
    pub async fn ref_poll_state(&self, repository: &str) -> Result<Option<RefPollState>, Error> {
        let row = sql("reading a look", "SELECT compared_ms, due_ms, problem FROM ref_polls WHERE repository = $1")
            .bind(repository)
            .optional(self.read())
            .await?;
        row.map(|row| {
            Ok(RefPollState {
                seen_ms: row.get("compared_ms")?,
                due_ms: row.get("due_ms")?,
                problem: row.get("problem")?,
            })
        })
        .transpose()
    }

    /// Returns what is known of the refs: what the last look saw, and what was pushed since; `None` before the first.
    pub(crate) async fn last_known(&self, repository: &str) -> Result<Option<LastKnown>, Error> {
        let doing = "reading what is known of refs";
        let text = "SELECT known_json, compared_ms FROM ref_polls WHERE repository = $1";
        let row = sql(doing, text).bind(repository).optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let (Some(compared), Some(since_ms)) =
            (row.get::<Option<String>>("known_json")?, row.get::<Option<i64>>("compared_ms")?)
        else {
            return Ok(None);
        };
        let mut known = LastKnown { compared: json(&compared)?, since_ms, pushed_ms: BTreeMap::new() };
        let pushes = sql(
            doing,
            "SELECT git_ref, after_id, created_ms FROM pushes WHERE repository = $1 AND created_ms >= $2 ORDER BY sequence",
        )
        .bind(repository)
        .bind(since_ms)
        .all(self.read())
        .await?;
        for push in &pushes {
            known.note(push)?;
        }
        Ok(Some(known))
    }
}

/// The result of comparing the refs with the known ones.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Compared {
    /// The last target of each ref.
    pub heads: Heads,
    /// Targets that polls saw and no delivery told of yet.
    pub waiting: BTreeMap<String, Waiting>,
}

/// A target of a ref that a poll saw and no delivery told of yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The target.
    pub id: String,
    /// When that was first seen, in milliseconds since 1970.
    pub since_ms: i64,
}

/// The known refs of a repository.
#[derive(Debug)]
pub(crate) struct LastKnown {
    /// The refs after the last poll, and the pushes since.
    pub compared: Compared,
    /// When the last look began.
    pub since_ms: i64,
    /// When a delivery last told of a push to a ref.
    pushed_ms: BTreeMap<String, i64>,
}

impl LastKnown {
    /// Tells whether a look that began at `asked_ms` saw more of a ref than its deliveries tell.
    pub(crate) fn is_older(&self, git_ref: &str, asked_ms: i64) -> bool {
        self.pushed_ms.get(git_ref).is_none_or(|pushed_ms| *pushed_ms < asked_ms)
    }

    /// Takes note of a push; they come in their order.
    fn note(&mut self, push: &Row) -> Result<(), Error> {
        let (git_ref, created_ms): (String, i64) = (push.get("git_ref")?, push.get("created_ms")?);
        self.compared.heads.insert(git_ref.clone(), push.get("after_id")?);
        let pushed_ms = self.pushed_ms.entry(git_ref).or_default();
        *pushed_ms = created_ms.max(*pushed_ms);
        Ok(())
    }
}
