//! `/v1/repos/{ns}/{name}/usage`: figures of a repository's builds in the last day.

use super::named::Visible;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::repository::UsageView;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use std::time::Duration;

/// The span of the figures.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shows what the builds used that were asked for in the last day.
pub(crate) async fn show(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let used = service.database.usage(&entry.document.name, DAY).await?;
    let shown = UsageView::new(&entry.document.name, &used);
    // The beginning of the day moves on by itself: only what was used is news.
    let figures = format!("{} {} {}", used.builds, used.cpu_ms, used.duration_ms);
    let etag = answer::etag(figures.as_bytes());
    Ok(answer::tagged(&headers, serde_json::to_vec(&shown).unwrap_or_default(), "application/json", &etag))
}
