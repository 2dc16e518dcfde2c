//! Deliveries as they were stored, for people who look for one and for those who want one replayed.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::ids;
use crate::model::build_id::BuildId;
use crate::sql::columns::{columns, document, get};
use crate::sql::statement::{Row, Value, filtered, sql};
use crate::sql::states::FETCH_EXPANDED;
/// Most deliveries that a list holds.
const MAX_LIST: u32 = 200;

/// A delivery as it is stored, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its row.
    pub id: i64,
    /// The forge that sent it.
    pub forge: String,
    /// The forge's id.
    pub delivery: String,
    /// Name of the event.
    pub event: String,
    /// Repository in the configuration.
    pub repository: String,
    /// Why nothing is built, when nothing is.
    pub ignored: Option<String>,
    /// More about that.
    pub explain: Vec<String>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: i64,
    /// Whether its builds are not known yet, because a worker reads the repository's own rules first.
    pub is_pending: bool,
    /// Its builds.
    pub builds: Vec<BuildId>,
}

columns! {
    /// A delivery's row, without its body.
    struct DeliveryRow {
        id: i64 = get "id",
        forge: String = get "forge",
        delivery: String = get "delivery",
        event: String = get "event",
        repository: String = get "repository",
        ignored: Option<String> = get "ignored",
        explain: Vec<String> = document "explain_json",
        created_ms: i64 = get "created_ms",
    }
}

/// Conditions on the deliveries of a list; newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only for this repository.
    pub repository: Option<String>,
    /// Only for these repositories: those that the caller may see.
    pub among: Option<Vec<String>>,
    /// Only those that build nothing, or only the others.
    pub ignored: Option<bool>,
    /// Only those older than this row.
    pub before: Option<i64>,
    /// At most so many (1 to 200).
    pub limit: u32,
}

impl Database {
    /// Returns the deliveries that `filter` describes, newest first.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Error> {
        let conditions = [
            ("repository = ?", filter.repository.clone().map(Value::from)),
            ("(ignored IS NOT NULL) = ?", filter.ignored.map(Value::from)),
            ("id < ?", filter.before.map(Value::from)),
        ];
        let text = format!("{} WHERE TRUE", select());
        let order = format!(" ORDER BY id DESC LIMIT {}", filter.limit.clamp(1, MAX_LIST));
        let statement = filtered("listing deliveries", text, conditions).among("repository", filter.among.as_deref());
        let rows = statement.then(&order).all(self.read()).await?;
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            deliveries.push(self.read_delivery(row).await?);
        }
        Ok(deliveries)
    }

    /// Returns a delivery by its row.
    pub async fn delivery(&self, id: i64) -> Result<Option<Delivery>, Error> {
        let text = format!("{} WHERE id = $1", select());
        match sql("reading a delivery", text).bind(id).optional(self.read()).await? {
            Some(row) => Ok(Some(self.read_delivery(&row).await?)),
            None => Ok(None),
        }
    }

    /// Returns the body of a delivery as it was signed.
    pub async fn delivery_body(&self, id: i64) -> Result<Option<Vec<u8>>, Error> {
        let row = sql("reading a delivery", "SELECT body FROM deliveries WHERE id = $1").bind(id);
        row.optional(self.read()).await?.map(|row| row.get("body")).transpose()
    }

    /// Returns the rows of the same delivery for other repositories, with those.
    pub async fn same_delivery(&self, of: &Delivery) -> Result<Vec<(i64, String)>, Error> {
        let text =
            "SELECT id, repository FROM deliveries WHERE delivery = $1 AND forge = $2 AND id <> $3 ORDER BY repository";
        let statement = sql("reading a delivery", text).bind(&of.delivery).bind(&of.forge).bind(of.id);
        let rows = statement.all(self.read()).await?;
        rows.iter().map(|row| Ok((row.get("id")?, row.get("repository")?))).collect()
    }

    async fn read_delivery(&self, row: &Row) -> Result<Delivery, Error> {
        let (is_pending, row) = (row.get("is_pending")?, DeliveryRow::read(row)?);
        let text = "SELECT id FROM builds WHERE delivery_id = $1 ORDER BY id";
        let builds = sql("reading a delivery", text).bind(row.id).all(self.read()).await?;
        Ok(Delivery {
            id: row.id,
            forge: row.forge,
            delivery: row.delivery,
            event: row.event,
            repository: row.repository,
            ignored: row.ignored,
            explain: row.explain,
            created_ms: row.created_ms,
            is_pending,
            builds: ids(&builds)?,
        })
    }
}

fn select() -> String {
    format!(
        "SELECT {}, EXISTS (SELECT 1 FROM rules_fetches l WHERE l.delivery_id = d.id AND l.state <> {FETCH_EXPANDED}) AS is_pending \
         FROM deliveries d",
        DeliveryRow::COLUMNS
    )
}
