//! `/v1/repos/{ns}/{name}/usage`: what the builds of a repository used in the last day.

use super::named::Visible;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::time::moment;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use std::time::Duration;

/// How far back it is looked.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shows what the builds used that were asked for in the last day.
pub async fn show(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let used = service.database.usage(&entry.document.name, DAY).await?;
    let shown = json!({
        "repository": entry.document.name, "since": moment(used.since_ms), "builds": used.builds, "cpu_ms": used.cpu_ms,
        "duration_ms": used.duration_ms,
    });
    // The beginning of the day moves on by itself: only what was used is news.
    let figures = format!("{} {} {}", used.builds, used.cpu_ms, used.duration_ms);
    let etag = answer::etag(figures.as_bytes());
    Ok(answer::tagged(&headers, shown.to_string().into_bytes(), "application/json", &etag))
}
