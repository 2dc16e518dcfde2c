//! A worker's writes while it builds: state, commit, steps, log. Every write is fenced: it counts only while the attempt holds the build.

use crate::database::Database;
use crate::deliveries::push_order::position_of;
use crate::error::Error;
use crate::model::build_state::BuildState;
use crate::model::claim::Claim;
use crate::model::json::to_json;
use crate::model::step::Step;
use crate::outbox::commit_status;
use crate::queue::claim::FENCE;
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
impl Database {
    /// Writes where the build is.
    pub async fn set_state(&self, claim: &Claim, state: BuildState) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        fenced(&mut transaction, claim, "state = $3", &[state.as_str()]).await?;
        transaction.commit("writing a state").await
    }

    /// Writes which commit a ref turned out to be.
    pub async fn set_commit(&self, claim: &Claim, commit: &str, message: &str) -> Result<(), Error> {
        let (build, doing) = (&claim.build, "writing a commit");
        let mut transaction = self.begin().await?;
        fenced(&mut transaction, claim, "commit_id = $3, commit_message = $4", &[commit, message]).await?;
        if build.commit.is_none() {
            let place = build.request.ref_name();
            // The ref may have moved on since it was asked for: then the build is as new as the push of its commit.
            if let Some(push) = position_of(&mut transaction, place, commit).await? {
                sql(doing, "UPDATE builds SET sequence = $2, push_id = $3 WHERE id = $1 AND sequence < $2")
                    .bind(build.id.as_str())
                    .bind(push.sequence)
                    .bind(push.id)
                    .run(transaction.on())
                    .await?;
            }
            commit_status::write(&mut transaction, &build.id, BuildState::Preparing, "building").await?;
        }
        transaction.commit(doing).await
    }

    /// Writes what is odd about the commit, in place of what an earlier attempt wrote.
    pub async fn set_warnings(&self, claim: &Claim, warnings: &[String]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        fenced(&mut transaction, claim, "warnings_json = $3", &[&to_json(&warnings)?]).await?;
        transaction.commit("writing warnings").await
    }

    /// Writes steps, each in place of an earlier one with its number.
    pub async fn put_steps(&self, claim: &Claim, steps: &[Step]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        fenced(&mut transaction, claim, "log_bytes = log_bytes", &[]).await?;
        for step in steps {
            sql(
                "writing steps",
                "INSERT INTO steps (build_id, number, step_json) VALUES ($1, $2, $3) \
                 ON CONFLICT (build_id, number) DO UPDATE SET step_json = excluded.step_json",
            )
            .bind(claim.build.id.as_str())
            .bind(step.number)
            .bind(to_json(step)?)
            .run(transaction.on())
            .await?;
        }
        transaction.commit("writing steps").await
    }

    /// Adds to the build's log; what goes beyond the limit is left out, and a mark says so.
    pub async fn append_log(&self, claim: &Claim, step: Option<i64>, text: &[u8]) -> Result<(), Error> {
        let doing = "writing a log";
        let mut transaction = self.begin().await?;
        let row = sql(doing, format!("SELECT log_bytes FROM builds WHERE {FENCE} /*+FOR UPDATE*/"))
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .optional(transaction.on())
            .await?;
        let start: i64 = row.ok_or(Error::LeaseLost)?.get("log_bytes")?;
        let room = usize::try_from(self.settings.log_limit - start).unwrap_or(0);
        if room == 0 || text.is_empty() {
            return Ok(());
        }
        let mut kept = text[..text.len().min(room)].to_vec();
        let mut next = start + kept.len() as i64;
        if kept.len() < text.len() {
            kept.extend_from_slice(b"\n[log truncated]\n");
            next = start.max(self.settings.log_limit) + kept.len() as i64;
        }
        sql(doing, "INSERT INTO logs (build_id, start, length, step, content, at_ms) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(claim.build.id.as_str())
            .bind(start)
            .bind(kept.len() as i64)
            .bind(step)
            .bind(kept)
            .bind(transaction.now_ms)
            .run(transaction.on())
            .await?;
        sql(doing, "UPDATE builds SET log_bytes = $2, version = version + 1 WHERE id = $1")
            .bind(claim.build.id.as_str())
            .bind(next)
            .run(transaction.on())
            .await?;
        transaction.announce_build(claim.build.id.as_str());
        transaction.commit(doing).await
    }
}

/// Changes columns of the claimed build; fails if it is claimed no more.
async fn fenced(transaction: &mut Transaction, claim: &Claim, change: &str, values: &[&str]) -> Result<(), Error> {
    let text = format!("UPDATE builds SET {change}, version = version + 1 WHERE {FENCE}");
    let statement = sql("writing a build", text).bind(claim.build.id.as_str()).bind(claim.attempt);
    let statement = values.iter().fold(statement, |statement, value| statement.bind(*value));
    if statement.run(transaction.on()).await? == 0 {
        return Err(Error::LeaseLost);
    }
    transaction.announce_build(claim.build.id.as_str());
    Ok(())
}
