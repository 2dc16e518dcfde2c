//! Documents in columns: JSON text.

use crate::error::Error;
use serde::de::DeserializeOwned;

/// Reads a document.
pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Damaged("a document"))
}

/// Writes a document.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Damaged("a document"))
}
