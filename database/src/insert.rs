//! New builds and new pushes: their numbers, their order, and the older builds that they make superfluous.

use crate::chain::{End, GAP, place};
use crate::rows::{ids, to_json};
use crate::sql::{Transaction, sql};
use crate::{BuildId, BuildRequest, BuildState, Database, Error, Policy, PushedRef, Reason, Trigger, outbox};

/// How long a forge may deliver a push again that was not taken at first: a push that seems to belong before an older
/// one than this sets the ref back instead.
const LATE_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Most builds that are repeated because pushes turned out to be newer than was known.
const MOST_REPEATED: i64 = 20;

/// Where builds come from.
#[derive(Debug, Default)]
pub struct Origin {
    /// The delivery.
    pub delivery: Option<i64>,
    /// The push in it.
    pub push: Option<Pushed>,
}

/// A push in its place.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Its row, if there is one.
    pub id: Option<i64>,
    /// Its ref.
    pub git_ref: String,
    /// Its sequence.
    pub sequence: i64,
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

    /// Puts a push in its place among those to the same ref.
    pub(crate) async fn insert_push(
        &self,
        transaction: &mut Transaction,
        (delivery, repository): (i64, &str),
        push: &PushedRef,
    ) -> Result<Pushed, Error> {
        let (last, begins, ends) = surroundings(transaction, repository, push).await?;
        let place = place(begins, ends, last);
        if place.last > last {
            count(transaction, (repository, &push.git_ref), place.last - last).await?;
        }
        let row = sql(
            "storing a push",
            "INSERT INTO pushes (delivery_id, repository, git_ref, before_id, after_id, sequence, segment, is_head, is_tail, \
             created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        )
        .bind(delivery)
        .bind(repository)
        .bind(&push.git_ref)
        .bind(&push.before)
        .bind(&push.after)
        .bind(place.sequence)
        .bind(begins.map_or(delivery, |end| end.segment))
        .bind(!place.joins_before)
        .bind(!place.joins_after)
        .bind(transaction.now_ms)
        .one(transaction.on())
        .await?;
        let pushed = Pushed { id: Some(row.get(0)?), git_ref: push.git_ref.clone(), sequence: place.sequence };
        if let Some(before) = begins {
            unmark(transaction, (repository, push), ("is_tail", before)).await?;
        }
        if let Some(after) = ends.filter(|_| place.joins_after) {
            unmark(transaction, (repository, push), ("is_head", after)).await?;
            let segment = begins.map_or(delivery, |end| end.segment);
            join(transaction, (repository, &push.git_ref), (after.segment, segment, place.shift)).await?;
            if place.shift > 0 {
                self.repeat_moved(transaction, (repository, &push.git_ref), place.sequence).await?;
            }
        }
        Ok(pushed)
    }

    /// Asks once more for the builds of pushes that turned out to be newer: another may have moved their tags meanwhile.
    async fn repeat_moved(
        &self,
        transaction: &mut Transaction,
        (repository, git_ref): (&str, &str),
        after: i64,
    ) -> Result<(), Error> {
        let rows = sql(
            "reading the builds of a push",
            "SELECT id FROM builds WHERE push_id IN (SELECT id FROM pushes WHERE repository = $1 AND git_ref = $2 AND sequence > $3) \
             AND state IN ('preparing', 'building', 'pushing', 'succeeded', 'superseded') AND trigger_kind = 'push' \
             ORDER BY sequence DESC, id LIMIT $4",
        )
        .bind(repository)
        .bind(git_ref)
        .bind(after)
        .bind(MOST_REPEATED)
        .all(transaction.on())
        .await?;
        for id in ids(&rows)?.iter().rev() {
            self.repeat(transaction, id, |_| {}).await?;
        }
        Ok(())
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

/// Returns the last push of `commit` to a ref.
pub async fn position_of(
    transaction: &mut Transaction,
    (repository, git_ref): (&str, &str),
    commit: &str,
) -> Result<Option<Pushed>, Error> {
    let row = sql(
        "reading a push",
        "SELECT id, sequence FROM pushes WHERE repository = $1 AND git_ref = $2 AND after_id = $3 \
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(repository)
    .bind(git_ref)
    .bind(commit)
    .optional(transaction.on())
    .await?;
    row.map(|row| Ok(Pushed { id: Some(row.get(0)?), git_ref: git_ref.to_owned(), sequence: row.get(1)? })).transpose()
}

/// Returns the greatest sequence of the ref, the push that ended where this one begins, if none follows it yet, and the
/// one that began where this one ends, if it follows none yet and came not long ago.
async fn surroundings(
    transaction: &mut Transaction,
    repository: &str,
    push: &PushedRef,
) -> Result<(i64, Option<End>, Option<End>), Error> {
    let row = sql(
        "reading pushes",
        "SELECT COALESCE(s.last, 0), b.sequence, b.segment, b.sequence, a.sequence, a.segment, (SELECT MAX(m.sequence) \
           FROM pushes m WHERE m.repository = $1 AND m.git_ref = $2 AND m.segment = a.segment) \
         FROM (SELECT 1 AS one) o \
         LEFT JOIN (SELECT last FROM sequences WHERE repository = $1 AND name = $2) s ON TRUE \
         LEFT JOIN (SELECT sequence, segment FROM pushes WHERE repository = $1 AND git_ref = $2 AND after_id = $3 AND is_tail \
           ORDER BY sequence DESC LIMIT 1) b ON TRUE \
         LEFT JOIN (SELECT sequence, segment FROM pushes WHERE repository = $1 AND git_ref = $2 AND before_id = $4 AND is_head \
           AND created_ms > $5 ORDER BY sequence LIMIT 1) a ON TRUE",
    )
    .bind(repository)
    .bind(&push.git_ref)
    .bind(&push.before)
    .bind(&push.after)
    .bind(transaction.now_ms - LATE_MS)
    .one(transaction.on())
    .await?;
    let end = |first: usize| -> Result<Option<End>, Error> {
        let Some(sequence) = row.get(first)? else { return Ok(None) };
        Ok(Some(End { sequence, segment: row.get(first + 1)?, last: row.get(first + 2)? }))
    };
    Ok((row.get(0)?, end(1)?, end(4)?))
}

/// Takes note that a push is no more the first (`is_head`) or last (`is_tail`) of its segment.
async fn unmark(
    transaction: &mut Transaction,
    (repository, push): (&str, &PushedRef),
    (mark, end): (&'static str, End),
) -> Result<(), Error> {
    let text = format!("UPDATE pushes SET {mark} = FALSE WHERE repository = $1 AND git_ref = $2 AND sequence = $3");
    sql("ordering pushes", text).bind(repository).bind(&push.git_ref).bind(end.sequence).run(transaction.on()).await?;
    Ok(())
}

/// Makes a segment part of another and moves it, with its builds, by `shift`.
async fn join(
    transaction: &mut Transaction,
    (repository, git_ref): (&str, &str),
    (segment, into, shift): (i64, i64, i64),
) -> Result<(), Error> {
    if shift > 0 {
        sql(
            "ordering pushes",
            "UPDATE builds SET sequence = sequence + $1 WHERE push_id IN \
             (SELECT id FROM pushes WHERE repository = $2 AND git_ref = $3 AND segment = $4)",
        )
        .bind(shift)
        .bind(repository)
        .bind(git_ref)
        .bind(segment)
        .run(transaction.on())
        .await?;
    }
    sql(
        "ordering pushes",
        "UPDATE pushes SET sequence = sequence + $1, segment = $5 WHERE repository = $2 AND git_ref = $3 AND segment = $4",
    )
    .bind(shift)
    .bind(repository)
    .bind(git_ref)
    .bind(segment)
    .bind(into)
    .run(transaction.on())
    .await?;
    Ok(())
}

async fn insert_build(
    transaction: &mut Transaction,
    (delivery, (push, sequence)): (Option<i64>, (Option<i64>, i64)),
    request: &BuildRequest,
) -> Result<BuildId, Error> {
    let id = BuildId::at(transaction.now_ms);
    let numbered = if request.spec.names_number() { Some(next_number(transaction, request).await?) } else { None };
    let numbered = numbered.map(|number| request.spec.with_number(number));
    let spec = numbered.as_ref().unwrap_or(&request.spec);
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

/// Returns the number that the build will have: nobody else stores builds of the repository in the meantime.
async fn next_number(transaction: &mut Transaction, request: &BuildRequest) -> Result<i64, Error> {
    let text = "SELECT COALESCE(MAX(number), 0) + 1 FROM builds WHERE repository = $1";
    sql("numbering a build", text).bind(&request.repository).one(transaction.on()).await?.get(0)
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
    let is_late = newer.is_some() && matches!(request.trigger, Trigger::Push { .. });
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
            Trigger::Manual { .. } => "manual",
            Trigger::Retry { .. } => "retry",
            Trigger::Schedule { .. } => "schedule",
        }
    }
}
