//! The order of the pushes to a ref, whatever the order in which they are delivered.
//!
//! A push from commit a to commit b comes right after the one that ended at a: pushes form a *segment* as far as each
//! begins where the one before ended. A push that joins two segments puts them in their order. Where nothing tells
//! (a delivery is missing), the one that arrived later is the newer. Sequences are multiples of [`GAP`], so that what
//! arrives late finds room before its successor.

use crate::error::Error;
use crate::model::ref_name::RefName;
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
/// Room before each push for those that belong before it but arrive later.
pub(crate) const GAP: i64 = 1 << 20;

/// The push at the end of a segment that a new one is joined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Its sequence.
    pub sequence: i64,
    /// Its segment.
    pub segment: i64,
    /// The greatest sequence of its segment.
    pub last: i64,
}

/// Where a new push goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its sequence.
    pub sequence: i64,
    /// Whether it is joined to the one before.
    pub joins_before: bool,
    /// Whether it is joined to the one after.
    pub joins_after: bool,
    /// By how much the segment after it moves on; 0 if it stays.
    pub shift: i64,
    /// The greatest sequence of the ref from now on.
    pub last: i64,
}

/// Places a push between the one that ended where it `begins` and the one that began where it `ends`; `last` is the
/// greatest sequence of the ref so far.
pub(crate) fn place(begins: Option<End>, ends: Option<End>, last: i64) -> Place {
    // A ref that was set back to where it was before: the push does not come before its own past.
    let ends = ends.filter(|after| begins.is_none_or(|before| before.segment != after.segment));
    let newest =
        Place { sequence: last + GAP, joins_before: begins.is_some(), joins_after: false, shift: 0, last: last + GAP };
    let Some(after) = ends else { return newest };
    // The one before arrived later than the one after: everything from there on is newer than all that is known.
    let is_inverted = begins.is_some_and(|before| before.sequence > after.sequence);
    let shift = if is_inverted { last + GAP - round_up(after.sequence) } else { 0 };
    Place {
        sequence: after.sequence + shift - 1,
        joins_after: true,
        shift,
        last: if is_inverted { round_up(after.last + shift) } else { last },
        ..newest
    }
}

fn round_up(sequence: i64) -> i64 {
    (sequence + GAP - 1) / GAP * GAP
}

/// A push in its place.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    /// Its row, if there is one.
    pub id: Option<i64>,
    /// Its ref.
    pub git_ref: String,
    /// Its sequence.
    pub sequence: i64,
}

/// Returns the last push of `commit` to a ref.
pub(crate) async fn position_of(
    transaction: &mut Transaction,
    of: RefName<'_>,
    commit: &str,
) -> Result<Option<Pushed>, Error> {
    let row = sql(
        "reading a push",
        "SELECT id, sequence FROM pushes WHERE repository = $1 AND git_ref = $2 AND after_id = $3 \
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(of.repository)
    .bind(of.git_ref)
    .bind(commit)
    .optional(transaction.on())
    .await?;
    row.map(|row| {
        Ok(Pushed { id: Some(row.get("id")?), git_ref: of.git_ref.to_owned(), sequence: row.get("sequence")? })
    })
    .transpose()
}
