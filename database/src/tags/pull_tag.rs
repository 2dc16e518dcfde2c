//! Tags of pull requests: they are removed when the request is closed, or when the time is up.

use crate::database::Database;
use crate::error::Error;
use crate::model::claim::Claim;
use crate::model::ref_name::RefName;
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;
use crate::sql::states::UNENDED;
use crate::sql::transaction::Transaction;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long the removal of a tag holds it: nobody moves it meanwhile.
const HOLD_MS: i64 = 90_000;
/// Stands for a build among those that hold tags.
const REMOVER: &str = "remove";
/// How long after a registry was asked in vain it is asked again; each time so much longer.
const RETRY_MS: i64 = 60_000;
/// How often it is asked.
const MAX_TRIES: i64 = 20;

columns! {
    /// A tag of a pull request that is to be removed, by whoever claimed it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PullTag {
        /// The full reference.
        pub tag: String = get "tag",
        /// The repository.
        pub repository: String = get "repository",
        /// The ref of the pull request.
        pub git_ref: String = get "git_ref",
    }
}

/// Takes note of a tag that a build of a pull request moved: of one that was closed meanwhile it is removed at once.
pub(crate) async fn note(transaction: &mut Transaction, claim: &Claim, tag: &str) -> Result<(), Error> {
    let request = &claim.build.request;
    let Some(days) = request.spec.options.pull.as_ref().and_then(|pull| pull.tag_days) else { return Ok(()) };
    let now = transaction.now_ms;
    sql(
        "noting the tag of a pull request",
        "INSERT INTO pull_tags (tag, repository, git_ref, remove_ms) VALUES ($1, $2, $3, \
         CASE WHEN EXISTS (SELECT 1 FROM told_refs WHERE repository = $2 AND git_ref = $3 AND head IS NULL) THEN $4 ELSE $5 END) \
         ON CONFLICT (tag) DO UPDATE SET repository = excluded.repository, git_ref = excluded.git_ref, \
         remove_ms = excluded.remove_ms, tries = 0",
    )
    .bind(tag)
    .bind(&request.repository)
    .bind(&request.spec.git_ref)
    .bind(now)
    .bind(now + days * DAY_MS)
    .run(transaction.on())
    .await?;
    Ok(())
}

/// Lets the tags of a pull request be removed now: it was closed.
pub(crate) async fn close(transaction: &mut Transaction, of: RefName<'_>) -> Result<(), Error> {
    sql(
        "removing tags of a pull request",
        "UPDATE pull_tags SET remove_ms = $3 WHERE repository = $1 AND git_ref = $2 AND remove_ms > $3",
    )
    .bind(of.repository)
    .bind(of.git_ref)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    transaction.announce_work();
    Ok(())
}

/// Lets all such tags of a repository be removed now: it is not built any more.
pub(crate) async fn close_all(transaction: &mut Transaction, repository: &str) -> Result<(), Error> {
    sql(
        "removing tags of pull requests",
        "UPDATE pull_tags SET remove_ms = $2 WHERE repository = $1 AND remove_ms > $2",
    )
    .bind(repository)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(())
}

/// Tells whether another ref's build moved the tag later: then it is that one's.
async fn is_another_s(transaction: &mut Transaction, tag: &PullTag) -> Result<bool, Error> {
    let row = sql(
        "claiming the tag of a pull request",
        "SELECT 1 FROM tags o WHERE o.tag = $1 AND (o.repository <> $2 OR o.git_ref <> $3) AND o.digest IS NOT NULL \
         AND o.moved_ms >= (SELECT MAX(t.moved_ms) FROM tags t WHERE t.tag = $1 AND t.repository = $2 AND t.git_ref = $3) LIMIT 1",
    )
    .bind(&tag.tag)
    .bind(&tag.repository)
    .bind(&tag.git_ref)
    .optional(transaction.on())
    .await?;
    Ok(row.is_some())
}

impl Database {
    /// Gives a worker a tag that is to be removed, and holds it until [`Database::end_pull_tag`].
    pub async fn claim_pull_tag(&self) -> Result<Option<PullTag>, Error> {
        let doing = "claiming the tag of a pull request";
        let due = format!(
            "SELECT {} FROM pull_tags p WHERE remove_ms <= $1 AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.tag = p.tag \
             AND t.repository = p.repository AND t.holder IS NOT NULL AND (t.held_until_ms > $1 \
             OR EXISTS (SELECT 1 FROM builds b WHERE b.id = t.holder AND b.state IN ({UNENDED})))) \
             ORDER BY remove_ms, tag LIMIT 1",
            PullTag::COLUMNS
        );
        let now = self.now_ms().await?;
        if sql(doing, due.clone()).bind(now).optional(self.read()).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let due = sql(doing, format!("{due} /*+FOR UPDATE SKIP LOCKED*/")).bind(now);
        let Some(row) = due.optional(transaction.on()).await? else { return Ok(None) };
        let claimed = PullTag::read(&row)?;
        if is_another_s(&mut transaction, &claimed).await? {
            let text = "DELETE FROM pull_tags WHERE tag = $1";
            sql(doing, text).bind(&claimed.tag).run(transaction.on()).await?;
            transaction.commit(doing).await?;
            return Ok(None);
        }
        // A worker that dies meanwhile has removed nothing: it is due again.
        sql(doing, "UPDATE pull_tags SET tries = tries + 1, remove_ms = $2 + $3 * (tries + 1) WHERE tag = $1")
            .bind(&claimed.tag)
            .bind(now + HOLD_MS)
            .bind(RETRY_MS)
            .run(transaction.on())
            .await?;
        sql(
            doing,
            "UPDATE tags SET holder = $4, holder_attempt = 0, held_until_ms = $5, check_ms = NULL \
             WHERE tag = $1 AND repository = $2 AND git_ref = $3",
        )
        .bind(&claimed.tag)
        .bind(&claimed.repository)
        .bind(&claimed.git_ref)
        .bind(REMOVER)
        .bind(now + HOLD_MS)
        .run(transaction.on())
        .await?;
        transaction.commit(doing).await?;
        Ok(Some(claimed))
    }

    /// Forgets a tag that is gone; one that could not be removed is due again later, until it was tried often enough.
    pub async fn end_pull_tag(&self, removed: &PullTag, problem: Option<&str>) -> Result<(), Error> {
        let doing = "removing the tag of a pull request";
        let mut transaction = self.begin().await?;
        let text = match problem {
            None => "DELETE FROM tags WHERE tag = $1 AND repository = $2 AND git_ref = $3 AND holder = $4",
            Some(_) => {
                "UPDATE tags SET holder = NULL, holder_attempt = NULL, note = $5 \
                 WHERE tag = $1 AND repository = $2 AND git_ref = $3 AND holder = $4"
            }
        };
        let statement =
            sql(doing, text).bind(&removed.tag).bind(&removed.repository).bind(&removed.git_ref).bind(REMOVER);
        let statement = match problem {
            None => statement,
            Some(problem) => statement.bind(problem),
        };
        // Held too long, the tag may be another build's by now.
        if statement.run(transaction.on()).await? > 0 {
            sql(doing, "DELETE FROM pull_tags WHERE tag = $1 AND ($2 OR tries >= $3)")
                .bind(&removed.tag)
                .bind(problem.is_none())
                .bind(MAX_TRIES)
                .run(transaction.on())
                .await?;
        }
        transaction.commit(doing).await
    }
}
