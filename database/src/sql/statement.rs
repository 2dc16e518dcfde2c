//! A statement with its values, and the rows that it returns, on either database.

use crate::error::Error;
use crate::sql::faults::Faults;
use crate::sql::limits::limited;
use crate::sql::target::Target;
use sqlx::AssertSqlSafe;
use sqlx::Decode;
use sqlx::Postgres;
use sqlx::Row as _;
use sqlx::Sqlite;
use sqlx::Type;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use std::borrow::Cow;

/// A statement and the values for its places.
pub(crate) struct Statement {
    doing: &'static str,
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A value for a place in a statement; a missing one still has its type, which PostgreSQL asks for.
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
    Truth(bool),
}

/// The connection or pool that a statement is executed on.
pub(crate) struct On<'a> {
    pub(super) target: Target<'a>,
    pub(super) faults: &'a Faults,
}

/// A row of an answer.
pub(crate) struct Row {
    doing: &'static str,
    columns: Columns,
}

enum Columns {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Returns a statement; `doing` says in errors what it is for. Its text never holds a user's words: those are bound.
pub(crate) fn sql(doing: &'static str, text: impl Into<Cow<'static, str>>) -> Statement {
    Statement { doing, text: text.into(), values: Vec::new() }
}

/// Returns a statement that begins with `text` and holds where the given ones of `conditions` do; `?` stands for the value
/// of each.
pub(crate) fn filtered(
    doing: &'static str,
    text: String,
    conditions: impl IntoIterator<Item = (&'static str, Option<Value>)>,
) -> Statement {
    let given = conditions.into_iter().filter_map(|(condition, value)| Some((condition, value?)));
    given.fold(sql(doing, text), |mut statement, (condition, value)| {
        statement.values.push(value);
        let condition = condition.replace('?', &format!("${}", statement.values.len()));
        let text = format!("{} AND {condition}", statement.text);
        Statement { text: text.into(), ..statement }
    })
}

/// Makes the query that `$statement` is for a kind of database.
macro_rules! query {
    ($statement:expr, $kind:ty, $text:expr) => {
        $statement.values.into_iter().fold(sqlx::query::<$kind>(AssertSqlSafe($text)), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Truth(value) => query.bind(value),
        })
    };
}

impl Statement {
    /// Adds the value for the next place.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds the condition that a column has one of `values`, if any are given; no value is one of an empty list.
    pub(crate) fn among(self, column: &str, values: Option<&[String]>) -> Self {
        let Some(values) = values else { return self };
        if values.is_empty() {
            return self.then(" AND FALSE");
        }
        let first = self.values.len() + 1;
        let places: Vec<String> = (first..first + values.len()).map(|place| format!("${place}")).collect();
        let condition = format!(" AND {column} IN ({})", places.join(", "));
        values.iter().fold(self, Statement::bind).then(&condition)
    }

    /// Adds the condition that one of `conditions` holds, if there are any; `?` stands for the value of each.
    pub(crate) fn either(self, conditions: Vec<(&'static str, Value)>) -> Self {
        if conditions.is_empty() {
            return self;
        }
        let first = self.values.len() + 1;
        let texts = conditions.iter().zip(first..);
        let texts: Vec<_> = texts.map(|(condition, place)| condition.0.replace('?', &format!("${place}"))).collect();
        let values = conditions.into_iter().map(|(_, value)| value);
        values.fold(self, Statement::bind).then(&format!(" AND ({})", texts.join(" OR ")))
    }

    /// Adds text at the end.
    pub(crate) fn then(mut self, text: &str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Executes the statement; returns how many rows it changed.
    pub(crate) async fn run(self, mut on: On<'_>) -> Result<u64, Error> {
        let doing = self.doing;
        let text = self.text_for(&on.target);
        tracing::trace!(doing, "executing a statement");
        let faults = on.faults;
        let changed = async {
            faults.before(&mut on.target).await?;
            let changed = match on.target {
                Target::SqlitePool(pool) => query!(self, Sqlite, text).execute(pool).await?.rows_affected(),
                Target::Sqlite(connection) => query!(self, Sqlite, text).execute(connection).await?.rows_affected(),
                Target::PostgresPool(pool) => query!(self, Postgres, text).execute(pool).await?.rows_affected(),
                Target::Postgres(connection) => query!(self, Postgres, text).execute(connection).await?.rows_affected(),
                Target::Ended => return Err(sqlx::Error::WorkerCrashed),
            };
            faults.after().await?;
            Ok(changed)
        };
        limited(doing, changed).await
    }

    /// Executes the statement; returns its rows.
    pub(crate) async fn all(self, mut on: On<'_>) -> Result<Vec<Row>, Error> {
        let doing = self.doing;
        let text = self.text_for(&on.target);
        tracing::trace!(doing, "executing a statement");
        let faults = on.faults;
        let sqlite = |row| Row { doing, columns: Columns::Sqlite(row) };
        let postgres = |row| Row { doing, columns: Columns::Postgres(row) };
        let rows = async {
            faults.before(&mut on.target).await?;
            let rows = match on.target {
                Target::SqlitePool(pool) => {
                    query!(self, Sqlite, text).fetch_all(pool).await?.into_iter().map(sqlite).collect()
                }
                Target::Sqlite(connection) => {
                    query!(self, Sqlite, text).fetch_all(connection).await?.into_iter().map(sqlite).collect()
                }
                Target::PostgresPool(pool) => {
                    query!(self, Postgres, text).fetch_all(pool).await?.into_iter().map(postgres).collect()
                }
                Target::Postgres(connection) => {
                    query!(self, Postgres, text).fetch_all(connection).await?.into_iter().map(postgres).collect()
                }
                Target::Ended => return Err(sqlx::Error::WorkerCrashed),
            };
            faults.after().await?;
            Ok(rows)
        };
        limited(doing, rows).await
    }

    /// Executes the statement; returns its first row, if there is one.
    pub(crate) async fn optional(self, on: On<'_>) -> Result<Option<Row>, Error> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// Executes the statement; returns its first row.
    pub(crate) async fn one(self, on: On<'_>) -> Result<Row, Error> {
        let doing = self.doing;
        self.optional(on).await?.ok_or_else(|| Error::unavailable(doing)(sqlx::Error::RowNotFound))
    }

    fn text_for(&self, target: &Target<'_>) -> String {
        match target {
            Target::SqlitePool(_) | Target::Sqlite(_) | Target::Ended => self.text.to_string(),
            Target::PostgresPool(_) | Target::Postgres(_) => self.text.replace("/*+", "").replace("*/", ""),
        }
    }
}

impl Row {
    /// Returns the value of the only column, for the statements of tests.
    #[cfg(test)]
    pub(crate) fn only<T>(&self) -> T
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match &self.columns {
            Columns::Sqlite(columns) => columns.get(0),
            Columns::Postgres(columns) => columns.get(0),
        }
    }

    /// Returns the value of the column of this name.
    pub(crate) fn get<T>(&self, column: &str) -> Result<T, Error>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = match &self.columns {
            Columns::Sqlite(row) => row.try_get(column),
            Columns::Postgres(row) => row.try_get(column),
        };
        value.map_err(Error::unavailable(self.doing))
    }
}

/// Returns the value of a column: the reader of `columns!` for values as they are stored.
pub(crate) fn get<T>(row: &Row, column: &str) -> Result<T, Error>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    row.get(column)
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Value::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Truth(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::from(Some(value))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::from(value.clone())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::from(value.to_owned())
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        // PostgreSQL stores every character but this one.
        Value::Text(value.map(|text| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Value::from(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Bytes(value)
    }
}
