//! Stores where the time of an attempt went.

use crate::Services;
use crate::secrets::Masks;
use crate::trace::{Span, Trace};
use database::{Claim, PathPiece};
use std::time::Duration;

/// Most spans that are stored: a build of 20,000 downloads is told by its longest ones.
const MAX_SPANS: usize = 4000;
/// Most pieces of the critical path that are stored.
const MAX_PIECES: usize = 200;

/// Stores the trace of the attempt of `claim`; a build does not fail because its profile cannot be stored.
pub(crate) fn store(services: &Services, claim: &Claim, trace: &Trace, masks: &Masks) {
    let microseconds = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let piece = |span: Span| PathPiece {
        work: span.work.as_str().to_owned(),
        name: masks.text(&span.name),
        start_us: Some(microseconds(span.began)),
        duration_us: microseconds(span.ended - span.began),
    };
    let path: Vec<_> = trace.critical_path().into_iter().take(MAX_PIECES).map(piece).collect();
    let cpu_ms = trace.cpu().map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let text = trace.to_chrome(MAX_SPANS, &|name| masks.text(name));
    if let Err(error) = services.tokio.block_on(services.database.put_trace(claim, &text, &path, cpu_ms)) {
        let (id, error) = (&claim.build.id, &error as &dyn std::error::Error);
        tracing::warn!(build.id = %id, error, "where the time of a build went cannot be stored");
    }
}
