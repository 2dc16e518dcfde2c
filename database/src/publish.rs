//! The order of publication: a tag moves forward only, in the order of the pushes to a ref.

use crate::{Claim, Database, Error};
use sqlx::Row;

/// Whether a tag may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// It may.
    Go,
    /// A later commit has it, or is about to have it.
    Superseded,
}

impl Database {
    /// Asks for `tag`; whoever is told to go has announced it, so that earlier builds stay away.
    pub async fn begin_publish(&self, claim: &Claim, tag: &str) -> Result<Publish, Error> {
        let build = &claim.build;
        let row = sqlx::query(
            "INSERT INTO tags (tag, repository, git_ref, intended_sequence) \
             SELECT $1, repository, git_ref, sequence FROM builds WHERE id = $2 AND attempt = $3 AND worker IS NOT NULL \
             ON CONFLICT (tag, repository, git_ref) DO UPDATE SET \
             intended_sequence = MAX(tags.intended_sequence, excluded.intended_sequence) RETURNING intended_sequence",
        )
        .bind(tag)
        .bind(build.id.as_str())
        .bind(claim.attempt)
        .fetch_optional(&self.writer)
        .await
        .map_err(Error::unavailable("publishing a tag"))?;
        let intended: i64 = row.ok_or(Error::LeaseLost)?.try_get(0).map_err(Error::unavailable("publishing a tag"))?;
        Ok(if intended > build.sequence { Publish::Superseded } else { Publish::Go })
    }

    /// Takes note that `tag` shows this build now.
    pub async fn end_publish(&self, claim: &Claim, tag: &str, digest: &str) -> Result<(), Error> {
        let build = &claim.build;
        sqlx::query(
            "UPDATE tags SET published_sequence = $4, digest = $5 \
             WHERE tag = $1 AND repository = $2 AND git_ref = $3 AND published_sequence <= $4",
        )
        .bind(tag)
        .bind(&build.request.repository)
        .bind(&build.request.spec.git_ref)
        .bind(build.sequence)
        .bind(digest)
        .execute(&self.writer)
        .await
        .map_err(Error::unavailable("publishing a tag"))?;
        Ok(())
    }
}
