//! JSON as Go writes it: `null` in place of empty values.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the default: Go writes it for empty lists and maps, and reads it so wherever it stands.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
