//! The end of a row of an outbox: removed once it was told, and tried again later until then.

use crate::error::Error;
use crate::outbox::status_refusal::StatusAnswer;
use crate::sql::statement::sql;
use crate::sql::states::RECONCILE;
use crate::sql::transaction::Transaction;
/// How often a status is offered before it is given up: for a day.
pub(crate) const MAX_TRIES: i64 = 178;
/// Longest pause before the next try, in milliseconds; `sql::clock_skew` takes longer ones for a clock that was set back.
pub(crate) const MAX_PAUSE_MS: i64 = 512_000;
/// The forge that delivered last for the repository of a row `s`.
pub(crate) fn last_forge() -> String {
    format!(
        "(SELECT d.forge FROM deliveries d WHERE d.repository = s.repository AND d.forge <> {RECONCILE} \
     ORDER BY d.id DESC LIMIT 1)"
    )
}

/// Removes a row of an outbox that got its last answer; another is due later, until it has been tried often enough.
pub(crate) async fn put_off(
    transaction: &mut Transaction,
    table: &'static str,
    id: i64,
    answer: &StatusAnswer,
) -> Result<(), Error> {
    let doing = "acknowledging a status";
    let is_done = answer.is_final();
    if let StatusAnswer::After { wait_ms, .. } = answer {
        let text = format!("UPDATE {table} SET tries = tries + 1, due_ms = $2 + CAST($3 AS BIGINT) WHERE id = $1");
        let wait = (*wait_ms).clamp(0, MAX_PAUSE_MS);
        sql(doing, text).bind(id).bind(transaction.now_ms).bind(wait).run(transaction.on()).await?;
    } else if !is_done {
        let text = format!(
            "UPDATE {table} SET tries = tries + 1, due_ms = $2 + CASE WHEN tries < 9 THEN 1000 * (1 << CAST(tries AS INTEGER)) \
             ELSE {MAX_PAUSE_MS} END WHERE id = $1"
        );
        sql(doing, text).bind(id).bind(transaction.now_ms).run(transaction.on()).await?;
    }
    let text = format!("DELETE FROM {table} WHERE id = $1 AND ($2 OR tries >= $3)");
    sql(doing, text).bind(id).bind(is_done).bind(MAX_TRIES).run(transaction.on()).await?;
    Ok(())
}
