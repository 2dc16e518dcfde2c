//! Acceptance: a delivery or trigger and its builds, in one transaction, once.

use crate::rows::{json, to_json};
use crate::{Accepted, BuildId, BuildRequest, BuildState, Database, Error, NewDelivery, outbox};
use sha2::{Digest, Sha256};
use sqlx::{Row, Sqlite, Transaction};

/// How long an idempotency key is remembered.
const KEY_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// A key that makes a trigger safe to send again.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The repository it is for.
    pub repository: String,
    /// The key.
    pub key: String,
    /// The body that came with it.
    pub body: Vec<u8>,
}

impl Database {
    /// Stores a delivery with its builds, or finds those of the same delivery or body. On disk when it returns.
    pub async fn accept(&self, delivery: &NewDelivery, requests: &[BuildRequest]) -> Result<Accepted, Error> {
        let doing = "storing a delivery";
        let body_hash = hash(&delivery.body);
        let mut transaction = self.write().await?;
        let known = sqlx::query(
            "SELECT id FROM deliveries WHERE forge = $1 AND repository = $2 AND (delivery = $3 OR (event = $4 AND body_hash = $5))",
        )
        .bind(&delivery.forge)
        .bind(&delivery.repository)
        .bind(&delivery.delivery)
        .bind(&delivery.event)
        .bind(&body_hash)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(Error::unavailable(doing))?;
        if let Some(row) = known {
            let id: i64 = row.try_get(0).map_err(Error::unavailable(doing))?;
            return Ok(Accepted::Duplicate(builds_of(&mut transaction, id).await?));
        }
        let stored = sqlx::query(
            "INSERT INTO deliveries (forge, delivery, event, repository, body_hash, body, ignored, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(&delivery.forge)
        .bind(&delivery.delivery)
        .bind(&delivery.event)
        .bind(&delivery.repository)
        .bind(&body_hash)
        .bind(&delivery.body)
        .bind(&delivery.ignored)
        .bind(self.clock.now_ms())
        .fetch_one(&mut *transaction)
        .await
        .map_err(Error::unavailable(doing))?;
        let id: i64 = stored.try_get(0).map_err(Error::unavailable(doing))?;
        let builds = self.insert_builds(&mut transaction, Some(id), requests).await?;
        transaction.commit().await.map_err(Error::unavailable(doing))?;
        Ok(Accepted::New(builds))
    }

    /// Stores builds that somebody asked for by hand; the same key with the same body finds them again.
    pub async fn trigger(&self, key: Option<&IdempotencyKey>, requests: &[BuildRequest]) -> Result<Accepted, Error> {
        let doing = "storing a trigger";
        let mut transaction = self.write().await?;
        if let Some(key) = key {
            let row = sqlx::query(
                "SELECT body_hash, builds_json FROM idempotency_keys WHERE repository = $1 AND name = $2 AND created_ms > $3",
            )
            .bind(&key.repository)
            .bind(&key.key)
            .bind(self.clock.now_ms() - KEY_LIFE_MS)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
            if let Some(row) = row {
                let body_hash: String = row.try_get(0).map_err(Error::unavailable(doing))?;
                let builds: String = row.try_get(1).map_err(Error::unavailable(doing))?;
                let same = body_hash == hash(&key.body);
                return Ok(if same { Accepted::Duplicate(json(&builds)?) } else { Accepted::KeyReused });
            }
        }
        let builds = self.insert_builds(&mut transaction, None, requests).await?;
        if let Some(key) = key {
            sqlx::query(
                "INSERT INTO idempotency_keys (repository, name, body_hash, builds_json, created_ms) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (repository, name) DO UPDATE SET body_hash = excluded.body_hash, builds_json = excluded.builds_json, \
                 created_ms = excluded.created_ms",
            )
            .bind(&key.repository)
            .bind(&key.key)
            .bind(hash(&key.body))
            .bind(to_json(&builds)?)
            .bind(self.clock.now_ms())
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        }
        transaction.commit().await.map_err(Error::unavailable(doing))?;
        Ok(Accepted::New(builds))
    }

    async fn insert_builds(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        delivery: Option<i64>,
        requests: &[BuildRequest],
    ) -> Result<Vec<BuildId>, Error> {
        let doing = "storing a build";
        let mut ids = Vec::with_capacity(requests.len());
        for request in requests {
            let id = BuildId::new();
            let sequence = next(transaction, &request.repository, &request.spec.git_ref).await?;
            let number = next(transaction, &request.repository, "").await?;
            sqlx::query(
                "INSERT INTO builds (id, number, delivery_id, repository, rule, commit_message, trigger_json, spec_json, git_ref, \
                 sequence, state, commit_id, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'queued', $11, $12)",
            )
            .bind(id.as_str())
            .bind(number)
            .bind(delivery)
            .bind(&request.repository)
            .bind(&request.rule)
            .bind(&request.commit_message)
            .bind(to_json(&request.trigger)?)
            .bind(to_json(&request.spec)?)
            .bind(&request.spec.git_ref)
            .bind(sequence)
            .bind(&request.spec.commit)
            .bind(self.clock.now_ms())
            .execute(&mut **transaction)
            .await
            .map_err(Error::unavailable(doing))?;
            outbox::write(transaction, &id, (BuildState::Queued, "waiting for a worker"), self.clock.now_ms()).await?;
            ids.push(id);
        }
        Ok(ids)
    }
}

/// Counts up within a repository: per ref for the order of publication, without one for the builds' numbers.
async fn next(transaction: &mut Transaction<'static, Sqlite>, repository: &str, git_ref: &str) -> Result<i64, Error> {
    let row = sqlx::query(
        "INSERT INTO sequences (repository, git_ref, last) VALUES ($1, $2, 1) \
         ON CONFLICT (repository, git_ref) DO UPDATE SET last = last + 1 RETURNING last",
    )
    .bind(repository)
    .bind(git_ref)
    .fetch_one(&mut **transaction)
    .await
    .map_err(Error::unavailable("counting builds"))?;
    row.try_get(0).map_err(Error::unavailable("counting builds"))
}

async fn builds_of(transaction: &mut Transaction<'static, Sqlite>, delivery: i64) -> Result<Vec<BuildId>, Error> {
    let doing = "reading a delivery";
    let rows = sqlx::query("SELECT id FROM builds WHERE delivery_id = $1 ORDER BY id")
        .bind(delivery)
        .fetch_all(&mut **transaction)
        .await
        .map_err(Error::unavailable(doing))?;
    rows.iter()
        .map(|row| {
            row.try_get::<String, _>(0)
                .ok()
                .and_then(|id| BuildId::parse(&id))
                .ok_or(Error::Damaged("the id of a build"))
        })
        .collect()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
