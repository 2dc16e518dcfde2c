//! Moments as the API writes them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns milliseconds since 1970 as RFC 3339.
pub fn moment(milliseconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()?;
    time.format(&Rfc3339).ok()
}
