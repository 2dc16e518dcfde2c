//! Columns by name: the definition of a record is its select list and its reader, and a new row names each value's column.

use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::json;
use crate::sql::statement::{Row, Statement, Value, sql};
use serde::de::DeserializeOwned;

/// Defines a record with the column of each field, and the function that reads it: `pub id: i64 = get "id"`. A column that
/// is not stored has its expression: `get "is_pending" as "EXISTS (...)"`. A field of several columns names them all, and its
/// function knows them.
macro_rules! columns {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty = $reader:ident $column:literal $(as $expression:literal)?,)*
    }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type,)* }

        impl $name {
            /// The select list of a record.
            pub(crate) const COLUMNS: &'static str = $crate::sql::columns::columns!(@list $($column $(as $expression)?,)*);

            /// Reads a record from a row with the columns of [`Self::COLUMNS`].
            pub(crate) fn read(row: &$crate::sql::statement::Row) -> Result<Self, $crate::error::Error> {
                Ok($name { $($field: $reader(row, $column)?,)* })
            }
        }
    };
    (@list $first:literal $(as $first_expression:literal)?, $($column:literal $(as $expression:literal)?,)*) => {
        concat!($($first_expression, " AS ",)? $first, $(", ", $($expression, " AS ",)? $column,)*)
    };
}
pub(crate) use columns;

/// Reads a value as it is stored.
pub(crate) use crate::sql::statement::get;

/// Reads a document.
pub(crate) fn document<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Error> {
    json::json(&get::<String>(row, column)?)
}

/// Reads a document that may be missing.
pub(crate) fn optional_document<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, Error> {
    get::<Option<String>>(row, column)?.map(|text| json::json(&text)).transpose()
}

/// Reads a list that is empty where nothing is stored.
pub(crate) fn list<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>, Error> {
    Ok(optional_document(row, column)?.unwrap_or_default())
}

/// Reads the id of a build.
pub(crate) fn build_id(row: &Row, column: &str) -> Result<BuildId, Error> {
    BuildId::parse(&get::<String>(row, column)?).ok_or(Error::Damaged("the id of a build"))
}

/// The content of one column of a new row.
pub(crate) enum Cell {
    /// A value.
    Value(Value),
    /// An SQL expression, in which `?` stands for the value.
    Computed(String, Value),
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        Cell::Value(value.into())
    }
}

/// Returns the statement that stores rows of a table; all of them name the same columns in the same order.
pub(crate) fn insert(doing: &'static str, table: &str, rows: Vec<Vec<(&'static str, Cell)>>) -> Statement {
    let names: Vec<&str> = rows.iter().take(1).flatten().map(|(name, _)| *name).collect();
    let (mut values, mut texts) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let mut places = Vec::with_capacity(row.len());
        for (_, cell) in row {
            let place = format!("${}", values.len() + 1);
            let (text, value) = match cell {
                Cell::Value(value) => (place, value),
                Cell::Computed(text, value) => (text.replace('?', &place), value),
            };
            places.push(text);
            values.push(value);
        }
        texts.push(format!("({})", places.join(", ")));
    }
    let text = format!("INSERT INTO {table} ({}) VALUES {}", names.join(", "), texts.join(", "));
    values.into_iter().fold(sql(doing, text), Statement::bind)
}
