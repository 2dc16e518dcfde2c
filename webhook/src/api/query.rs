//! Queries of the API: which keys they have, how many items a list holds, how long a request waits.

use crate::http::problem::Problem;
use crate::view::code::Code;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

/// Items that a list holds if nothing else is asked for, and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Returns a query, or says which part of it is unknown.
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(wanted) = query.map_err(|error| {
        let text = error.body_text();
        let message =
            text.rsplit_once(": ").filter(|(start, _)| start.ends_with("string")).map_or(text.as_str(), |(_, end)| end);
        Problem::new(Code::InvalidQuery, crate::configuration::document::explain(message))
    })?;
    Ok(wanted)
}

/// Returns how many items a list holds.
pub(crate) fn limit(wanted: Option<u32>) -> Result<u32, Problem> {
    let limit = wanted.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(Code::InvalidLimit, format!("a list holds 1 to {MAX_LIMIT} items")))
}

/// Returns the seconds that a request wants to wait: `60` or `60s`, at most a minute.
pub(crate) fn wait(wanted: Option<&str>) -> Result<std::time::Duration, Problem> {
    let Some(text) = wanted else { return Ok(std::time::Duration::ZERO) };
    let seconds = text.trim_end_matches('s').parse::<u64>();
    let seconds = seconds.map_err(|_| {
        Problem::new(Code::InvalidWait, format!("`{text}` is not a number of seconds, such as `wait=30`"))
    })?;
    Ok(std::time::Duration::from_secs(seconds.min(60)))
}
