//! The end of a row of an outbox: removed once it was told, and tried again later until then.

use crate::error::Error;
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
/// How often a status is offered before it is given up.
const MAX_TRIES: i64 = 10;
/// The forge that delivered last for the repository of a row `s`.
pub const LAST_FORGE: &str = "(SELECT d.forge FROM deliveries d WHERE d.repository = s.repository AND d.forge <> 'reconcile' \
     ORDER BY d.id DESC LIMIT 1)";

/// Removes a row of an outbox that `is_done`; another is due later, until it has been tried often enough.
pub async fn put_off(transaction: &mut Transaction, table: &'static str, id: i64, is_done: bool) -> Result<(), Error> {
    let doing = "acknowledging a status";
    if !is_done {
        let text = format!(
            "UPDATE {table} SET tries = tries + 1, due_ms = $2 + CASE WHEN tries < 9 THEN 1000 * (1 << CAST(tries AS INTEGER)) \
             ELSE 512000 END WHERE id = $1"
        );
        sql(doing, text).bind(id).bind(transaction.now_ms).run(transaction.on()).await?;
    }
    let text = format!("DELETE FROM {table} WHERE id = $1 AND ($2 OR tries >= $3)");
    sql(doing, text).bind(id).bind(is_done).bind(MAX_TRIES).run(transaction.on()).await?;
    Ok(())
}
