//! Checks that a tag still shows what was published: a registry has no "replace if still the same", so the last request
//! of an attempt that was cut off may arrive late, and what was accepted may get lost.
//!
//! A check that restores a tag holds it as an attempt does that moves it, so a newer commit is never overwritten.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{Row, sql};
use crate::sql::states::UNENDED;
/// How long after a tag moved it is checked first.
pub(crate) const FIRST_CHECK_MS: i64 = 5_000;
/// How long after the first check the second comes, and after that the third, which is the last.
const PAUSES_MS: [i64; 2] = [55_000, 540_000];
/// In so many checks a tag that shows an older image of its own is put right. Later nothing of ours can still be on its
/// way: then somebody wants it so.
const RIGHTING_CHECKS: i64 = 2;
/// How long after a registry did not answer it is asked again; each time so much longer.
const RETRY_MS: i64 = 60_000;
/// How often it is asked in vain before the tag is left alone.
const MAX_RETRIES: i64 = 10;
/// How long a check holds the tag that it puts right: longer than a registry may take to accept a manifest.
const HOLD_MS: i64 = 45_000;
/// Stands for a build among those that hold tags.
const CHECKER: &str = "check";

/// A tag to be checked, by whoever claimed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCheck {
    /// The full reference.
    pub tag: String,
    /// Digest of the manifest that it must show.
    pub digest: String,
    repository: String,
    git_ref: String,
    /// Which check it is, from 1.
    check: i64,
    /// Whether an attempt was cut off that was about to move it.
    was_interrupted: bool,
}

/// The action that a tag needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagVerdict {
    /// It shows what it must, or has moved on.
    Fine,
    /// It is held now and must show [`TagCheck::digest`] again; [`Database::end_tag_check`] lets it go.
    Restore,
    /// Somebody else moved it: that is noted and left alone.
    Foreign,
}

impl Database {
    /// Gives a worker a tag whose check is due.
    pub async fn claim_tag_check(&self) -> Result<Option<TagCheck>, Error> {
        let due = format!(
            "SELECT tag, repository, git_ref FROM tags t WHERE check_ms <= $1 AND (holder IS NULL OR held_until_ms <= $1 \
             AND NOT EXISTS (SELECT 1 FROM builds b WHERE b.id = t.holder AND b.state IN ({UNENDED}))) \
             ORDER BY check_ms, tag LIMIT 1"
        );
        let doing = "claiming the check of a tag";
        let now = self.now_ms().await?;
        if sql(doing, due.clone()).bind(now).optional(self.read()).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        let due = sql(doing, format!("{due} /*+FOR UPDATE SKIP LOCKED*/"));
        let Some(row) = due.bind(transaction.now_ms).optional(transaction.on()).await? else { return Ok(None) };
        let (tag, repository, git_ref): (String, String, String) =
            (row.get("tag")?, row.get("repository")?, row.get("git_ref")?);
        // A reader that dies meanwhile has checked nothing: the check is due again.
        let row = sql(
            doing,
            "UPDATE tags SET retries = retries + 1, \
             check_ms = CASE WHEN digest IS NULL OR retries >= $6 THEN NULL ELSE $4 + $5 * (retries + 1) END, \
             note = CASE WHEN digest IS NOT NULL AND retries >= $6 THEN 'is not checked any more: its registry does not answer' ELSE note END \
             WHERE tag = $1 AND repository = $2 AND git_ref = $3 RETURNING digest, checks + 1 AS number, holder IS NOT NULL AS was_interrupted",
        )
        .bind(&tag)
        .bind(&repository)
        .bind(&git_ref)
        .bind(transaction.now_ms)
        .bind(RETRY_MS)
        .bind(MAX_RETRIES)
        .one(transaction.on())
        .await?;
        transaction.commit(doing).await?;
        let Some(digest) = row.get::<Option<String>>("digest")? else { return Ok(None) };
        Ok(Some(TagCheck {
            tag,
            digest,
            repository,
            git_ref,
            check: row.get("number")?,
            was_interrupted: row.get("was_interrupted")?,
        }))
    }

    /// Decides about a tag that shows the manifest `shown`, or nothing. One to be put right is held from now on.
    pub async fn judge_tag(&self, check: &TagCheck, shown: Option<&str>) -> Result<TagVerdict, Error> {
        let verdict = match shown {
            Some(shown) if shown == check.digest => TagVerdict::Fine,
            _ if self.is_shared(check).await? => TagVerdict::Fine,
            None => TagVerdict::Restore,
            Some(_) if check.was_interrupted => TagVerdict::Restore,
            Some(shown) if check.check <= RIGHTING_CHECKS && self.was_published(check, shown).await? => {
                TagVerdict::Restore
            }
            Some(_) => TagVerdict::Foreign,
        };
        match verdict {
            TagVerdict::Fine => self.settle_check(check, None).await?,
            TagVerdict::Foreign => {
                let shown = shown.unwrap_or("nothing");
                let note = format!("shows {shown}, which was not built for it here: somebody else moved it");
                self.settle_check(check, Some(&note)).await?;
            }
            TagVerdict::Restore if !self.hold(check).await? => return Ok(TagVerdict::Fine),
            TagVerdict::Restore => {}
        }
        Ok(verdict)
    }

    /// Lets a tag go that was to be put right; `note` says what came of it.
    pub async fn end_tag_check(&self, check: &TagCheck, note: &str) -> Result<(), Error> {
        self.settle_check(check, Some(note)).await
    }

    /// Returns what checks found that somebody should know: tags of a repository and what is the matter with them.
    pub async fn tag_notes(&self, repository: &str) -> Result<Vec<(String, String)>, Error> {
        let text = "SELECT tag, note FROM tags WHERE repository = $1 AND note IS NOT NULL ORDER BY tag";
        let rows = sql("reading tags", text).bind(repository).all(self.read()).await?;
        rows.iter().map(|row: &Row| Ok((row.get("tag")?, row.get("note")?))).collect()
    }

    /// Tells whether another ref's builds moved the same tag later.
    async fn is_shared(&self, check: &TagCheck) -> Result<bool, Error> {
        let row = sql(
            "reading a tag",
            "SELECT 1 FROM tags o JOIN tags t ON t.tag = o.tag WHERE t.tag = $1 AND t.repository = $2 AND t.git_ref = $3 \
             AND (o.repository <> $2 OR o.git_ref <> $3) AND (o.moved_ms >= t.moved_ms OR o.holder IS NOT NULL) LIMIT 1",
        )
        .bind(&check.tag)
        .bind(&check.repository)
        .bind(&check.git_ref)
        .optional(self.read())
        .await?;
        Ok(row.is_some())
    }

    /// Tells whether a build of the ref pushed the manifest `digest` before.
    async fn was_published(&self, check: &TagCheck, digest: &str) -> Result<bool, Error> {
        let row = sql(
            "looking for an image",
            "SELECT 1 FROM builds WHERE repository = $1 AND git_ref = $2 AND image_json LIKE $3 LIMIT 1",
        )
        .bind(&check.repository)
        .bind(&check.git_ref)
        // The first of what is stored of an image; its base images have digests, too.
        .bind(format!("{{\"digest\":\"{digest}\",%"))
        .optional(self.read())
        .await?;
        Ok(row.is_some())
    }

    /// Holds the tag; fails if it moved on, or an attempt has it, be it for another ref.
    async fn hold(&self, check: &TagCheck) -> Result<bool, Error> {
        let doing = "holding a tag";
        let transaction = self.begin().await?;
        let now = transaction.now_ms;
        let mut transaction = transaction;
        let held = sql(
            doing,
            format!("UPDATE tags SET holder = $5, holder_attempt = 0, held_until_ms = $6, check_ms = $6 WHERE tag = $1 AND repository = $2 \
             AND git_ref = $3 AND digest = $4 AND (holder IS NULL OR held_until_ms <= $7 AND NOT EXISTS (SELECT 1 FROM builds b \
             WHERE b.id = tags.holder AND b.state IN ({UNENDED}))) \
             AND NOT EXISTS (SELECT 1 FROM tags o WHERE o.tag = $1 AND o.repository = $2 AND o.git_ref <> $3 \
             AND (o.moved_by > tags.moved_by OR EXISTS (SELECT 1 FROM builds b WHERE b.id = o.holder \
             AND b.attempt = o.holder_attempt AND b.worker IS NOT NULL)))"),
        )
        .bind(&check.tag)
        .bind(&check.repository)
        .bind(&check.git_ref)
        .bind(&check.digest)
        .bind(CHECKER)
        .bind(now + HOLD_MS)
        .bind(now)
        .run(transaction.on())
        .await?;
        transaction.commit(doing).await?;
        Ok(held == 1)
    }

    /// Ends a check and says when the next one comes, unless the tag moved on.
    async fn settle_check(&self, check: &TagCheck, note: Option<&str>) -> Result<(), Error> {
        let now = self.now_ms().await?;
        let pause = usize::try_from(check.check - 1).ok().and_then(|done| PAUSES_MS.get(done));
        sql(
            "settling the check of a tag",
            // Once the registry answers, a note that it does not is not true any more.
            format!("UPDATE tags SET checks = $5, retries = 0, check_ms = $6, \
             note = CASE WHEN retries > $10 THEN CAST($7 AS TEXT) ELSE COALESCE($7, note) END, holder = NULL, holder_attempt = NULL \
             WHERE tag = $1 AND repository = $2 AND git_ref = $3 AND digest = $4 AND (holder IS NULL OR holder = $8 OR held_until_ms <= $9 AND NOT EXISTS \
             (SELECT 1 FROM builds b WHERE b.id = tags.holder AND b.state IN ({UNENDED})))"),
        )
        .bind(&check.tag)
        .bind(&check.repository)
        .bind(&check.git_ref)
        .bind(&check.digest)
        .bind(check.check)
        .bind(pause.map(|pause| now + pause))
        .bind(note.map(str::to_owned))
        .bind(CHECKER)
        .bind(now)
        .bind(MAX_RETRIES)
        .run(self.write())
        .await?;
        Ok(())
    }
}
