//! New pushes: each is put in its place among those to the same ref.

use crate::database::Database;
use crate::deliveries::batches::Source;
use crate::deliveries::push_order::{End, Pushed, place};
use crate::error::Error;
use crate::model::build::ids;
use crate::model::build_state::BuildState;
use crate::model::delivery::PushedRef;
use crate::model::ref_name::RefName;
use crate::queue::enqueue::NewBuilds;
use crate::sql::statement::sql;
use crate::sql::states::States;
use crate::sql::states::{PUSH, RECONCILE};
use crate::sql::transaction::Transaction;
/// How long a forge may deliver a push again that was not taken at first: a push that seems to belong before an older
/// one than this sets the ref back instead.
const LATE_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Most builds that are repeated because pushes turned out to be newer than was known.
/// The states of a build that is repeated when the push is found to be a newer one.
const REPEATED: States = States(|state| {
    !matches!(state, BuildState::Queued | BuildState::Failed | BuildState::Errored | BuildState::Cancelled)
        && !matches!(state, BuildState::TimedOut | BuildState::Skipped)
});
const MAX_REPEATED: i64 = 20;

/// Where a push was put.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It is stored, as the last of its ref.
    New(Pushed),
    /// It is stored, and the ref went on before it arrived.
    Late(Pushed),
    /// A look found it before, and it is the last of its ref: it is that of this delivery.
    Found(i64),
}

impl Database {
    /// Puts a push in its place among those to the same ref.
    pub(crate) async fn insert_push(
        &self,
        transaction: &mut Transaction,
        builds: &mut NewBuilds,
        delivery: i64,
        repository: &str,
        push: &PushedRef,
        source: Source,
    ) -> Result<Placed, Error> {
        let Surroundings { last, begins, ends, found, covers } = surroundings(transaction, repository, push).await?;
        let of = RefName { repository, git_ref: &push.git_ref };
        if let Some(found) = found.filter(|_| source == Source::Told) {
            return Ok(Placed::Found(found));
        }
        // A look that saw the ref only later took this push and others for one: it comes before what was found.
        let ends = ends.or(covers.filter(|_| source == Source::Told && begins.is_none()));
        let last = last + builds.counted(of);
        // A push that a ref poll found is the present target of the ref, whatever came before.
        let ends = ends.filter(|_| source != Source::Found);
        let place = place(begins, ends, last);
        if place.last > last {
            builds.count(of, place.last - last);
        }
        let row = sql(
            "storing a push",
            "INSERT INTO pushes (delivery_id, repository, git_ref, before_id, after_id, sequence, segment, is_head, is_tail, \
             created_ms, is_found) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
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
        .bind(source == Source::Found)
        .one(transaction.on())
        .await?;
        let pushed = Pushed { id: Some(row.get("id")?), git_ref: push.git_ref.clone(), sequence: place.sequence };
        if let Some(before) = begins {
            unmark(transaction, of, "is_tail", before).await?;
        }
        if let Some(after) = ends.filter(|_| place.joins_after) {
            unmark(transaction, of, "is_head", after).await?;
            let into = begins.map_or(delivery, |end| end.segment);
            builds.write(transaction).await?;
            join(transaction, of, &Join { segment: after.segment, into, shift: place.shift }).await?;
            if place.shift > 0 {
                self.repeat_moved(transaction, of, place.sequence).await?;
            }
        }
        Ok(if place.sequence == place.last { Placed::New(pushed) } else { Placed::Late(pushed) })
    }

    /// Asks once more for the builds of pushes that turned out to be newer: another may have moved their tags meanwhile.
    async fn repeat_moved(&self, transaction: &mut Transaction, of: RefName<'_>, after: i64) -> Result<(), Error> {
        let rows = sql(
            "reading the builds of a push",
            format!("SELECT id FROM builds WHERE push_id IN (SELECT id FROM pushes WHERE repository = $1 AND git_ref = $2 AND sequence > $3) \
             AND state IN ({REPEATED}) AND trigger_kind IN ({PUSH}, {RECONCILE}) \
             ORDER BY sequence DESC, id LIMIT $4"),
        )
        .bind(of.repository)
        .bind(of.git_ref)
        .bind(after)
        .bind(MAX_REPEATED)
        .all(transaction.on())
        .await?;
        for id in ids(&rows)?.iter().rev() {
            self.repeat(transaction, id, |_| {}).await?;
        }
        Ok(())
    }
}

/// The pushes around a new one.
struct Surroundings {
    /// The greatest sequence of the ref.
    last: i64,
    /// The push that ended where the new one begins, if none follows it yet.
    begins: Option<End>,
    /// The push that began where the new one ends, if it follows none yet and came not long ago.
    ends: Option<End>,
    /// The delivery of the same push, if a look found it before the forge told of it and the ref was not set back since.
    found: Option<i64>,
    /// A push that a look found which begins where the new one does, if the ref was not set back to there since.
    covers: Option<End>,
}

async fn surroundings(
    transaction: &mut Transaction,
    repository: &str,
    push: &PushedRef,
) -> Result<Surroundings, Error> {
    let row = sql(
        "reading pushes",
        "SELECT COALESCE(s.last, 0) AS last, b.sequence AS begins_sequence, b.segment AS begins_segment, \
           b.sequence AS begins_last, a.sequence AS ends_sequence, a.segment AS ends_segment, (SELECT MAX(m.sequence) \
           FROM pushes m WHERE m.repository = $1 AND m.git_ref = $2 AND m.segment = a.segment) AS ends_last, \
           f.delivery_id AS found, c.sequence AS covers_sequence, c.segment AS covers_segment, (SELECT MAX(m.sequence) \
           FROM pushes m WHERE m.repository = $1 AND m.git_ref = $2 AND m.segment = c.segment) AS covers_last \
         FROM (SELECT 1 AS one) o \
         LEFT JOIN (SELECT last FROM sequences WHERE repository = $1 AND name = $2) s ON TRUE \
         LEFT JOIN (SELECT sequence, segment FROM pushes WHERE repository = $1 AND git_ref = $2 AND after_id = $3 AND is_tail \
           ORDER BY sequence DESC LIMIT 1) b ON TRUE \
         LEFT JOIN (SELECT sequence, segment FROM pushes WHERE repository = $1 AND git_ref = $2 AND before_id = $4 AND is_head \
           AND created_ms > $5 ORDER BY sequence LIMIT 1) a ON TRUE \
         LEFT JOIN (SELECT p.delivery_id FROM pushes p WHERE p.repository = $1 AND p.git_ref = $2 AND p.after_id = $4 AND p.is_found \
           AND NOT EXISTS (SELECT 1 FROM pushes later WHERE later.repository = $1 AND later.git_ref = $2 \
             AND later.sequence > p.sequence AND (p.created_ms <= $5 OR later.after_id = $3 \
               OR COALESCE(p.before_id, '') <> COALESCE(CAST($3 AS TEXT), ''))) \
           ORDER BY p.sequence DESC LIMIT 1) f ON TRUE \
         LEFT JOIN (SELECT p.sequence, p.segment FROM pushes p WHERE p.repository = $1 AND p.git_ref = $2 AND p.before_id = $3 \
           AND p.is_found AND p.created_ms > $5 AND NOT EXISTS (SELECT 1 FROM pushes later WHERE later.repository = $1 \
             AND later.git_ref = $2 AND later.sequence > p.sequence AND later.after_id = $3) \
           ORDER BY p.sequence DESC LIMIT 1) c ON TRUE",
    )
    .bind(repository)
    .bind(&push.git_ref)
    .bind(&push.before)
    .bind(&push.after)
    .bind(transaction.now_ms - LATE_MS)
    .one(transaction.on())
    .await?;
    let end = |which: &str| -> Result<Option<End>, Error> {
        let Some(sequence) = row.get(&format!("{which}_sequence"))? else { return Ok(None) };
        Ok(Some(End {
            sequence,
            segment: row.get(&format!("{which}_segment"))?,
            last: row.get(&format!("{which}_last"))?,
        }))
    };
    Ok(Surroundings {
        last: row.get("last")?,
        begins: end("begins")?,
        ends: end("ends")?,
        found: row.get("found")?,
        covers: end("covers")?,
    })
}

/// Takes note that a push is not the first any more (`is_head`), or not the last (`is_tail`), of its segment.
async fn unmark(transaction: &mut Transaction, of: RefName<'_>, mark: &'static str, end: End) -> Result<(), Error> {
    let text = format!("UPDATE pushes SET {mark} = FALSE WHERE repository = $1 AND git_ref = $2 AND sequence = $3");
    sql("ordering pushes", text).bind(of.repository).bind(of.git_ref).bind(end.sequence).run(transaction.on()).await?;
    Ok(())
}

/// A segment that becomes part of another.
struct Join {
    /// The segment.
    segment: i64,
    /// The segment that it becomes part of.
    into: i64,
    /// By how much the sequences of its pushes and builds grow.
    shift: i64,
}

/// Makes a segment part of another and moves it, with its builds, by `shift`.
async fn join(transaction: &mut Transaction, of: RefName<'_>, joined: &Join) -> Result<(), Error> {
    if joined.shift > 0 {
        sql(
            "ordering pushes",
            "UPDATE builds SET sequence = sequence + $1 WHERE push_id IN \
             (SELECT id FROM pushes WHERE repository = $2 AND git_ref = $3 AND segment = $4)",
        )
        .bind(joined.shift)
        .bind(of.repository)
        .bind(of.git_ref)
        .bind(joined.segment)
        .run(transaction.on())
        .await?;
    }
    sql(
        "ordering pushes",
        "UPDATE pushes SET sequence = sequence + $1, segment = $5 WHERE repository = $2 AND git_ref = $3 AND segment = $4",
    )
    .bind(joined.shift)
    .bind(of.repository)
    .bind(of.git_ref)
    .bind(joined.segment)
    .bind(joined.into)
    .run(transaction.on())
    .await?;
    Ok(())
}
