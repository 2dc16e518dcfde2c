//! The order of publication: a tag moves forward only, in the order of the pushes to a ref. Where several refs of a
//! repository have the same tag, the build that was asked for last has it.
//!
//! A registry has no "replace if still the same", so one attempt at a time moves a tag: it holds the tag from
//! [`Database::begin_publish`] to [`Database::end_publish`]. An attempt that ends in between leaves it held for a while,
//! because its last request may still be on its way.

use crate::database::{Database, RETRY_DELAY};
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::claim::Claim;
use crate::queue::claim::FENCE;
use crate::sql::statement::{Row, sql};
use crate::sql::transaction::Transaction;
use crate::tags::pull_tag;
use crate::tags::tag_check::FIRST_CHECK_MS;
use std::time::Duration;
use tokio::time::Instant;

/// How often somebody who waits for a tag looks again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a tag may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// It may, until the attempt ends or says that it is done.
    Go,
    /// It shows a later commit of the ref already, or what another ref's build made that was asked for later.
    Superseded,
}

/// The state of a tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Sequence of the push of the ref that it shows; 0 for none.
    pub sequence: i64,
    /// The build of the ref that moved it last.
    pub moved_by: Option<String>,
    /// The build and attempt that is or was about to move it.
    pub holder: Option<(String, i64)>,
    /// Whether that attempt is still at work.
    pub holder_works: bool,
    /// Until when a request of it may still be on its way, when it is not.
    pub held_until_ms: i64,
}

/// The answer to an attempt that wants to move a tag; of several answers the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// It may.
    Go,
    /// Another has it now.
    Wait,
    /// It must not.
    Superseded,
}

impl Tag {
    /// Decides whether the attempt `who`, for a push with `sequence`, may move the tag.
    pub(crate) fn turn(&self, who: (&str, i64), sequence: i64, now_ms: i64) -> Turn {
        if self.sequence > sequence { Turn::Superseded } else { self.wait_for_holder(who, now_ms) }
    }

    /// Decides the same where this is what is known of the tag for another ref: ids of builds grow as they are asked for.
    pub(crate) fn turn_of_other_ref(&self, who: (&str, i64), now_ms: i64) -> Turn {
        let is_newer = self.moved_by.as_deref().is_some_and(|build| build > who.0);
        if is_newer { Turn::Superseded } else { self.wait_for_holder(who, now_ms) }
    }

    fn wait_for_holder(&self, who: (&str, i64), now_ms: i64) -> Turn {
        let other = self.holder.as_ref().filter(|(build, attempt)| (build.as_str(), *attempt) != who);
        if other.is_some() && (self.holder_works || now_ms < self.held_until_ms) { Turn::Wait } else { Turn::Go }
    }
}

impl Database {
    /// Asks for `tag`, and waits while another attempt moves it. The attempt that is told to go holds it.
    pub async fn begin_publish(&self, claim: &Claim, tag: &str) -> Result<Publish, Error> {
        let until = Instant::now() + 2 * (self.settings.lease + self.settings.grace);
        loop {
            match self.take_tag(claim, tag).await {
                Ok(Turn::Go) => return Ok(Publish::Go),
                Ok(Turn::Superseded) => return Ok(Publish::Superseded),
                Ok(Turn::Wait) if Instant::now() > until => return Err(Error::TagHeld(tag.to_owned())),
                // Its disk may only be slow: asking again for a tag that is held already does no harm.
                Err(error @ Error::Unavailable { .. }) if Instant::now() > until => return Err(error),
                Err(Error::Unavailable { .. }) => tokio::time::sleep(RETRY_DELAY).await,
                Ok(Turn::Wait) => tokio::time::sleep(POLL_INTERVAL).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the tag if it is free.
    pub(crate) async fn take_tag(&self, claim: &Claim, tag: &str) -> Result<Turn, Error> {
        let doing = "publishing a tag";
        let (repository, git_ref) = (&claim.build.request.repository, &claim.build.request.spec.git_ref);
        // By itself: whoever looks at the tag for another ref in this moment sees this one, or is seen by it.
        sql(doing, "INSERT INTO tags (tag, repository, git_ref) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(tag)
            .bind(repository)
            .bind(git_ref)
            .run(self.write())
            .await?;
        let mut transaction = self.begin().await?;
        let sequence = fenced_sequence(&mut transaction, claim).await?;
        let rows = sql(
            doing,
            "SELECT git_ref, sequence, moved_by, holder, holder_attempt, held_until_ms, EXISTS (SELECT 1 FROM builds b \
             WHERE b.id = t.holder AND b.attempt = t.holder_attempt AND b.worker IS NOT NULL) AS holder_works FROM tags t \
             WHERE tag = $1 AND repository = $2 ORDER BY git_ref /*+FOR UPDATE OF t*/",
        )
        .bind(tag)
        .bind(repository)
        .all(transaction.on())
        .await?;
        let (who, now_ms) = ((claim.build.id.as_str(), claim.attempt), transaction.now_ms);
        let mut turn = Turn::Go;
        for row in &rows {
            let (of, known) = (row.get::<String>("git_ref")?, read_tag(row)?);
            turn = turn.max(match of == *git_ref {
                true => known.turn(who, sequence, now_ms),
                false => known.turn_of_other_ref(who, now_ms),
            });
        }
        if turn == Turn::Go {
            sql(
                doing,
                "UPDATE tags SET holder = $4, holder_attempt = $5, held_until_ms = $6 \
                 WHERE tag = $1 AND repository = $2 AND git_ref = $3",
            )
            .bind(tag)
            .bind(repository)
            .bind(git_ref)
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .bind(now_ms)
            .run(transaction.on())
            .await?;
        }
        transaction.commit(doing).await?;
        Ok(turn)
    }

    /// Takes note that `tag` shows this build now, and lets others have it.
    pub async fn end_publish(&self, claim: &Claim, tag: &str, digest: &str) -> Result<(), Error> {
        let doing = "publishing a tag";
        let mut transaction = self.begin_with_retry(self.settings.lease).await?;
        let sequence = fenced_sequence(&mut transaction, claim).await?;
        let moved = sql(
            doing,
            "UPDATE tags SET sequence = $6, digest = $7, moved_ms = $8, moved_by = holder, holder = NULL, holder_attempt = NULL, checks = 0, retries = 0, \
             check_ms = $9, note = NULL WHERE tag = $1 AND repository = $2 AND git_ref = $3 AND holder = $4 AND holder_attempt = $5",
        )
        .bind(tag)
        .bind(&claim.build.request.repository)
        .bind(&claim.build.request.spec.git_ref)
        .bind(claim.build.id.as_str())
        .bind(claim.attempt)
        .bind(sequence)
        .bind(digest)
        .bind(transaction.now_ms)
        .bind(transaction.now_ms + FIRST_CHECK_MS)
        .run(transaction.on())
        .await?;
        if moved == 0 {
            return Err(Error::LeaseLost);
        }
        pull_tag::note(&mut transaction, claim, tag).await?;
        transaction.commit(doing).await
    }

    /// Leaves the tags that an ended attempt holds to others, when its last request cannot arrive any more.
    pub(crate) async fn let_go(
        &self,
        transaction: &mut Transaction,
        build: &BuildId,
        grace_ms: i64,
    ) -> Result<(), Error> {
        let free = transaction.now_ms + grace_ms;
        sql("leaving tags", "UPDATE tags SET held_until_ms = $2, check_ms = $2 WHERE holder = $1")
            .bind(build.as_str())
            .bind(free)
            .run(transaction.on())
            .await?;
        Ok(())
    }
}

/// Returns the sequence of the claimed build, which may have grown; fails if it is claimed no more.
async fn fenced_sequence(transaction: &mut Transaction, claim: &Claim) -> Result<i64, Error> {
    let row = sql("publishing a tag", format!("SELECT sequence FROM builds WHERE {FENCE} /*+FOR UPDATE*/"))
        .bind(claim.build.id.as_str())
        .bind(claim.attempt)
        .optional(transaction.on())
        .await?;
    row.ok_or(Error::LeaseLost)?.get("sequence")
}

fn read_tag(row: &Row) -> Result<Tag, Error> {
    let (build, attempt): (Option<String>, Option<i64>) = (row.get("holder")?, row.get("holder_attempt")?);
    let (sequence, moved_by) = (row.get("sequence")?, row.get("moved_by")?);
    Ok(Tag {
        sequence,
        moved_by,
        holder: build.zip(attempt),
        held_until_ms: row.get("held_until_ms")?,
        holder_works: row.get("holder_works")?,
    })
}
