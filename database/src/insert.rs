//! New builds: their numbers, their place in the order, and the older builds that they make superfluous.

use crate::chain::GAP;
use crate::push::{Pushed, position_of};
use crate::rows::{ids, to_json};
use crate::sql::{Transaction, sql};
use crate::{BuildId, BuildRequest, BuildState, Database, Error, Policy, Reason, Trigger, outbox};

/// Where builds come from.
#[derive(Debug, Default)]
pub struct Origin {
    /// The delivery.
    pub delivery: Option<i64>,
    /// The push in it.
    pub push: Option<Pushed>,
}

impl Database {
    /// Stores builds as queued, in a transaction of [`Database::begin_accepting`]. [`outbox::write_queued`] tells of them.
    pub(crate) async fn insert_builds(
        &self,
        transaction: &mut Transaction,
        origin: &Origin,
        requests: &[BuildRequest],
    ) -> Result<Vec<BuildId>, Error> {
        let mut ids = Vec::with_capacity(requests.len());
        for request in requests {
            let pushed = match origin.push.as_ref().filter(|push| push.git_ref == request.spec.git_ref) {
                Some(push) => (push.id, push.sequence),
                None => position(transaction, request).await?,
            };
            let id = insert_build(transaction, (origin.delivery, pushed), request).await?;
            if request.spec.options.policy == Policy::LatestOnly {
                supersede(transaction, &id, request, pushed.1).await?;
            }
            ids.push(id);
        }
        Ok(ids)
    }
}

/// Counts up within a repository and returns the count: by 0 to only read it.
pub async fn count(transaction: &mut Transaction, (repository, name): (&str, &str), by: i64) -> Result<i64, Error> {
    let row = sql(
        "counting",
        "INSERT INTO sequences (repository, name, last) VALUES ($1, $2, $3) \
         ON CONFLICT (repository, name) DO UPDATE SET last = sequences.last + excluded.last RETURNING last",
    )
    .bind(repository)
    .bind(name)
    .bind(by)
    .one(transaction.on())
    .await?;
    row.get(0)
}

/// Returns the push and the sequence of a build that no push asks for: those of its commit, or the newest of all.
async fn position(transaction: &mut Transaction, request: &BuildRequest) -> Result<(Option<i64>, i64), Error> {
    let git_ref = request.spec.git_ref.as_str();
    if let Some(commit) = &request.spec.commit
        && let Some(known) = position_of(transaction, (&request.repository, git_ref), commit).await?
    {
        return Ok((known.id, known.sequence));
    }
    Ok((None, count(transaction, (&request.repository, git_ref), GAP).await?))
}

async fn insert_build(
    transaction: &mut Transaction,
    (delivery, (push, sequence)): (Option<i64>, (Option<i64>, i64)),
    request: &BuildRequest,
) -> Result<BuildId, Error> {
    let id = BuildId::at(transaction.now_ms);
    // Its number is filled in whenever it is read, so that a repetition gets one of its own.
    let spec = &request.spec;
    let is_serial = spec.options.policy == Policy::Serial;
    let lane = match is_serial {
        true => format!("serial {} {}", request.repository, request.rule),
        false => format!("parallel {}", request.repository),
    };
    sql(
        "storing a build",
        "INSERT INTO builds (id, number, delivery_id, push_id, repository, rule, commit_message, trigger_kind, trigger_json, \
         spec_json, git_ref, sequence, lane, is_serial, priority, state, commit_id, created_ms) \
         VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM builds WHERE repository = $4), $2, $3, $4, $5, $6, $7, $8, $9, \
         $10, $11, $12, $13, $14, 'queued', $15, $16)",
    )
    .bind(id.as_str())
    .bind(delivery)
    .bind(push)
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.commit_message)
    .bind(request.trigger.kind())
    .bind(to_json(&request.trigger)?)
    .bind(to_json(spec)?)
    .bind(&spec.git_ref)
    .bind(sequence)
    .bind(lane)
    .bind(is_serial)
    // In a serial lane the order is that of acceptance.
    .bind(if is_serial { 0 } else { spec.options.priority })
    .bind(&spec.commit)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(id)
}

/// Ends the queued builds of older pushes, or the new one if its push turns out to be the older.
async fn supersede(
    transaction: &mut Transaction,
    id: &BuildId,
    request: &BuildRequest,
    sequence: i64,
) -> Result<(), Error> {
    let newer = sql(
        "reading newer builds",
        "SELECT id FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 AND sequence > $4 \
         AND state IN ('queued', 'preparing', 'building', 'pushing', 'succeeded') LIMIT 1",
    )
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.spec.git_ref)
    .bind(sequence)
    .optional(transaction.on())
    .await?;
    let is_late = newer.is_some() && request.trigger.is_push();
    let message = if is_late { "a newer commit was pushed before" } else { "a newer commit was pushed" };
    let reason = Reason { code: "superseded".to_owned(), message: message.to_owned() };
    let rows = sql(
        "superseding builds",
        "UPDATE builds SET state = 'superseded', reason_json = $1, finished_ms = $2, version = version + 1 \
         WHERE repository = $3 AND rule = $4 AND git_ref = $5 AND state = 'queued' AND (sequence < $6 OR $7 AND id = $8) \
         RETURNING id",
    )
    .bind(to_json(&reason)?)
    .bind(transaction.now_ms)
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.spec.git_ref)
    .bind(sequence)
    .bind(is_late)
    .bind(id.as_str())
    .all(transaction.on())
    .await?;
    let now = transaction.now_ms;
    for superseded in ids(&rows)? {
        outbox::write(transaction, &superseded, (BuildState::Superseded, message), now).await?;
    }
    Ok(())
}

impl Trigger {
    /// Returns the kind of the trigger, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Trigger::Push { .. } => "push",
            Trigger::Reconcile { .. } => "reconcile",
            Trigger::Manual { .. } => "manual",
            Trigger::Retry { .. } => "retry",
            Trigger::Schedule { .. } => "schedule",
        }
    }

    /// Tells whether a push started it, and not somebody's wish.
    pub fn is_push(&self) -> bool {
        matches!(self, Trigger::Push { .. } | Trigger::Reconcile { .. })
    }
}
