//! Acceptance: a delivery or trigger and its builds, in one transaction, once.

use crate::access::sealing::seal_spec;
use crate::database::Database;
use crate::deliveries::batches::{Delivered, Source};
use crate::deliveries::push::Placed;
use crate::deliveries::reported_refs;
use crate::error::Error;
use crate::model::build::ids;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::delivery::{Accepted, NewDelivery};
use crate::model::json::{json, to_json};
use crate::model::ref_name::RefName;
use crate::model::rules_fetch::NewRulesFetch;
use crate::outbox::commit_status;
use crate::queue::cancel::close;
use crate::queue::enqueue::{NewBuilds, Origin};
use crate::sql::statement::sql;
use crate::sql::states::UNENDED;
use crate::sql::transaction::{Alone, Transaction};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// How long an idempotency key is remembered.
pub(crate) const KEY_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

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
    ///
    /// With a `rules_fetch` the builds are not known yet: a worker reads the repository's own rules first.
    pub async fn accept(
        &self,
        delivery: &NewDelivery,
        requests: &[BuildRequest],
        rules_fetch: Option<&NewRulesFetch>,
    ) -> Result<Accepted, Error> {
        let (delivery, requests, rules_fetch) = (delivery.clone(), requests.to_vec(), rules_fetch.cloned());
        let source = if delivery.is_replay { Source::Replayed } else { Source::Told };
        self.store_together(Delivered { delivery, requests, rules_fetch, source }).await
    }

    /// Stores builds that somebody asked for by hand; the same key with the same body finds them again.
    pub async fn trigger(&self, key: Option<&IdempotencyKey>, requests: &[BuildRequest]) -> Result<Accepted, Error> {
        let mut transaction = self.begin_accepting().await?;
        if let Some(key) = key
            && let Some(known) = known_key(&mut transaction, key).await?
        {
            return Ok(known);
        }
        let builds = self.insert_builds(&mut transaction, &Origin::default(), requests).await?;
        commit_status::write_queued(&mut transaction, &builds).await?;
        if let Some(key) = key {
            sql(
                "storing a trigger",
                "INSERT INTO idempotency_keys (repository, name, body_hash, builds_json, created_ms) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (repository, name) DO UPDATE SET body_hash = excluded.body_hash, builds_json = excluded.builds_json, \
                 created_ms = excluded.created_ms",
            )
            .bind(&key.repository)
            .bind(&key.key)
            .bind(hash(&key.body))
            .bind(to_json(&builds)?)
            .bind(transaction.now_ms)
            .run(transaction.on())
            .await?;
        }
        transaction.commit("storing a trigger").await?;
        Ok(Accepted::New(builds))
    }

    /// Returns what a key was used for before, if it was.
    pub async fn triggered(&self, key: &IdempotencyKey) -> Result<Option<Accepted>, Error> {
        known_key(&mut self.begin().await?, key).await
    }

    /// Stores builds that somebody asked for by hand, or finds them if the same ones wait or run already, all of them.
    pub async fn trigger_once(&self, requests: &[BuildRequest]) -> Result<Accepted, Error> {
        let mut transaction = self.begin_accepting().await?;
        let mut open = Vec::with_capacity(requests.len());
        for request in requests {
            let spec = seal_spec(self.key.as_ref(), &request.repository, &request.spec)?;
            open.extend(open_build(&mut transaction, request, &spec).await?);
        }
        if open.len() == requests.len() {
            return Ok(Accepted::Duplicate(open));
        }
        let builds = self.insert_builds(&mut transaction, &Origin::default(), requests).await?;
        commit_status::write_queued(&mut transaction, &builds).await?;
        transaction.commit("storing a trigger").await?;
        Ok(Accepted::New(builds))
    }

    /// Begins a transaction that gives out numbers; there is one of them at a time.
    pub(crate) async fn begin_accepting(&self) -> Result<Transaction, Error> {
        let mut transaction = self.begin().await?;
        transaction.alone(Alone::Accept).await?;
        Ok(transaction)
    }

    /// Stores what follows from a delivery: `row` is where it was stored, if it was not known.
    pub(crate) async fn store_one(
        &self,
        transaction: &mut Transaction,
        builds: &mut NewBuilds,
        one: &Delivered,
        row: Option<i64>,
    ) -> Result<Accepted, Error> {
        let delivery = &one.delivery;
        let id = match row {
            Some(id) => id,
            None => {
                // The first of two that are alike may have come with this one.
                builds.write(transaction).await?;
                match known(transaction, delivery).await? {
                    Known::News(id) => id,
                    Known::Before(accepted) => return Ok(accepted),
                }
            }
        };
        let mut origin = Origin { delivery: Some(id), push: None };
        // A replayed delivery says nothing about the present target of a ref.
        let mut is_last = one.source != Source::Replayed;
        if let Some(push) = &delivery.push {
            match self.insert_push(transaction, builds, id, &delivery.repository, push, one.source).await? {
                Placed::New(pushed) => origin.push = Some(pushed),
                Placed::Late(pushed) => {
                    is_last = false;
                    origin.push = Some(pushed);
                }
                Placed::Found(found) => return take_over(transaction, id, found).await,
            }
        }
        reported_refs::note(&mut builds.heads, delivery, is_last);
        if let Some(git_ref) = &delivery.closed {
            // Some of its builds may have come with it.
            builds.write(transaction).await?;
            close(transaction, RefName { repository: &delivery.repository, git_ref }).await?;
        }
        if let Some(rules_fetch) = &one.rules_fetch {
            self.insert_rules_fetch(transaction, Some(id), rules_fetch).await?;
        }
        Ok(Accepted::New(builds.add(transaction, &origin, &one.requests).await?))
    }
}

/// Takes note that a delivery came whose push was found before: its builds are there already.
async fn take_over(transaction: &mut Transaction, late: i64, found: i64) -> Result<Accepted, Error> {
    let doing = "storing a late delivery";
    let explain = ["the push was found before this delivery came; its builds are those of the delivery found then"];
    sql(doing, "UPDATE deliveries SET ignored = $3, explain_json = $2 WHERE id = $1")
        .bind(late)
        .bind(to_json(&explain)?)
        .bind("found_before")
        .run(transaction.on())
        .await?;
    let text = "SELECT id FROM builds WHERE delivery_id = $1 ORDER BY id";
    let rows = sql(doing, text).bind(found).all(transaction.on()).await?;
    Ok(Accepted::Duplicate(ids(&rows)?))
}

/// Stores deliveries; returns the rows of those that were not known, by their id or by their body.
pub(crate) async fn insert_deliveries(
    transaction: &mut Transaction,
    delivered: &[Delivered],
) -> Result<Vec<Option<i64>>, Error> {
    let rows: Vec<_> = (0..delivered.len())
        .map(|row| {
            let places: Vec<_> = (1..=9).map(|place| format!("${}", row * 9 + place)).collect();
            format!("({})", places.join(", "))
        })
        .collect();
    let text = format!(
        "INSERT INTO deliveries (forge, delivery, event, repository, body_hash, body, ignored, explain_json, created_ms) \
         VALUES {} ON CONFLICT DO NOTHING RETURNING id, forge, delivery, event, repository, body_hash",
        rows.join(", ")
    );
    let mut statement = sql("storing deliveries", text);
    for Delivered { delivery, .. } in delivered {
        statement = statement
            .bind(&delivery.forge)
            .bind(&delivery.delivery)
            .bind(&delivery.event)
            .bind(&delivery.repository)
            .bind(body_hash(delivery))
            .bind(delivery.body.clone())
            .bind(&delivery.ignored)
            .bind(to_json(&delivery.explain)?)
            .bind(transaction.now_ms);
    }
    let mut stored = HashMap::new();
    for row in statement.all(transaction.on()).await? {
        let key: [String; 5] =
            [row.get("forge")?, row.get("delivery")?, row.get("event")?, row.get("repository")?, row.get("body_hash")?];
        stored.insert(key, row.get::<i64>("id")?);
    }
    let key = |delivery: &NewDelivery| {
        let NewDelivery { forge, delivery: id, event, repository, .. } = delivery.clone();
        [forge, id, event, repository, body_hash(delivery)]
    };
    // Of two that are alike the first is new.
    Ok(delivered.iter().map(|one| stored.remove(&key(&one.delivery))).collect())
}

/// Returns what makes a body equal to another: of one that is stored though it is equal, its id too.
fn body_hash(delivery: &NewDelivery) -> String {
    let hash = hash(&delivery.body);
    if delivery.is_replay { format!("{hash} {}", delivery.delivery) } else { hash }
}

/// How a delivery relates to an earlier one with the same id or body.
enum Known {
    /// Another push all the same; it is stored in this row.
    News(i64),
    /// It is known, or its id was used for something else.
    Before(Accepted),
}

/// Decides about a delivery whose id or body came before.
async fn known(transaction: &mut Transaction, delivery: &NewDelivery) -> Result<Known, Error> {
    let doing = "reading a delivery";
    let text = "SELECT body_hash FROM deliveries WHERE forge = $1 AND repository = $2 AND delivery = $3";
    let row = sql(doing, text).bind(&delivery.forge).bind(&delivery.repository).bind(&delivery.delivery);
    let same_id: Option<String> = row.optional(transaction.on()).await?.map(|row| row.get("body_hash")).transpose()?;
    let is_same = |stored: &str| stored.split(' ').next() == Some(hash(&delivery.body).as_str());
    match &same_id {
        Some(stored) if !is_same(stored) => return Ok(Known::Before(Accepted::KeyReused)),
        Some(_) if delivery.has_own_id || delivery.is_replay => {}
        _ if reported_refs::goes_on(transaction, delivery).await? => {
            let mut again = delivery.clone();
            // Stored as a replay is: equal bodies are kept apart by their ids.
            again.is_replay = true;
            if same_id.is_some() {
                again.delivery = format!("{}-{}", delivery.delivery, BuildId::at(transaction.now_ms).as_str());
            }
            let one = Delivered { delivery: again, requests: Vec::new(), rules_fetch: None, source: Source::Told };
            let rows = insert_deliveries(transaction, std::slice::from_ref(&one)).await?;
            if let Some(id) = rows.into_iter().next().flatten() {
                return Ok(Known::News(id));
            }
        }
        _ => {}
    }
    Ok(Known::Before(Accepted::Duplicate(builds_of(transaction, delivery).await?)))
}

/// Finds a build that was asked for in the same words and has not ended.
async fn open_build(
    transaction: &mut Transaction,
    request: &BuildRequest,
    spec: &str,
) -> Result<Option<BuildId>, Error> {
    let rows = sql(
        "looking for a build",
        format!(
            "SELECT id FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 AND spec_json = $4 \
         AND state IN ({UNENDED}) AND NOT cancel_requested ORDER BY sequence DESC LIMIT 1"
        ),
    )
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.spec.git_ref)
    .bind(spec)
    .all(transaction.on())
    .await?;
    Ok(ids(&rows)?.pop())
}

/// Finds what an idempotency key was used for.
async fn known_key(transaction: &mut Transaction, key: &IdempotencyKey) -> Result<Option<Accepted>, Error> {
    let row = sql(
        "reading an idempotency key",
        "SELECT body_hash, builds_json FROM idempotency_keys WHERE repository = $1 AND name = $2 AND created_ms > $3",
    )
    .bind(&key.repository)
    .bind(&key.key)
    .bind(transaction.now_ms - KEY_LIFE_MS)
    .optional(transaction.on())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let same = row.get::<String>("body_hash")? == hash(&key.body);
    Ok(Some(if same { Accepted::Duplicate(json(&row.get::<String>("builds_json")?)?) } else { Accepted::KeyReused }))
}

/// Finds the builds of a delivery that was stored before.
async fn builds_of(transaction: &mut Transaction, delivery: &NewDelivery) -> Result<Vec<BuildId>, Error> {
    let rows = sql(
        "reading a delivery",
        "SELECT id FROM builds WHERE delivery_id = (SELECT id FROM deliveries WHERE forge = $1 AND repository = $2 \
         AND (delivery = $3 OR (event = $4 AND body_hash IN ($5, $5 || ' ' || delivery))) ORDER BY CASE WHEN delivery = $3 THEN 0 ELSE 1 END, id DESC LIMIT 1) ORDER BY id",
    )
    .bind(&delivery.forge)
    .bind(&delivery.repository)
    .bind(&delivery.delivery)
    .bind(&delivery.event)
    .bind(body_hash(delivery))
    .all(transaction.on())
    .await?;
    ids(&rows)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
