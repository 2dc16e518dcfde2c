//! Ranges of bytes of a log (RFC 9110, one range).

use super::log::Log;
use crate::http::problem::Problem;
use crate::view::code::Code;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Most bytes that one answer holds; the client asks on.
const MAX_PART: i64 = 8 * 1024 * 1024;

/// A range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// From a byte to another or the end.
    From(i64, Option<i64>),
    /// The last bytes.
    Last(i64),
}

/// Reads a `Range` header; one that is not understood is none.
pub(crate) fn parse(text: &str) -> Option<Range> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    match (from, to) {
        ("", last) => number(last).filter(|last| *last > 0).map(Range::Last),
        (from, "") => number(from).map(|from| Range::From(from, None)),
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            (from <= to).then_some(Range::From(from, Some(to)))
        }
    }
}

/// Answers with a part of the log.
pub(crate) async fn answer(log: &Log, range: Range) -> Result<Response, Problem> {
    let (from, to) = match range {
        Range::From(from, to) => (from, to),
        Range::Last(last) => ((length(log).await? - last).max(0), None),
    };
    let to = to.unwrap_or(i64::MAX).min(from.saturating_add(MAX_PART - 1));
    let (mut at, mut bytes) = (from, Vec::new());
    while at <= to
        && let Some((chunks, next)) = log.part(at).await?
    {
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(&chunk.text));
        at = next;
    }
    bytes.truncate(usize::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(usize::MAX));
    if bytes.is_empty() {
        let range = [(header::CONTENT_RANGE, format!("bytes */{}", length(log).await?))];
        let problem = Problem::new(Code::RangeNotSatisfiable, "the log does not reach so far");
        return Ok((range, problem).into_response());
    }
    // A log may still grow: its length is not said.
    let end = from + bytes.len() as i64 - 1;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_RANGE, format!("bytes {from}-{end}/*")),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, bytes).into_response())
}

async fn length(log: &Log) -> Result<i64, Problem> {
    let mut at = 0;
    while let Some((_, next)) = log.part(at).await? {
        at = next;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(parse("bytes=0-9"), Some(Range::From(0, Some(9))));
        assert_eq!(parse("bytes=5-"), Some(Range::From(5, None)));
        assert_eq!(parse("bytes=-5"), Some(Range::Last(5)));
        for other in ["bytes=9-0", "bytes=-0", "lines=0-1", "bytes=a-b", "bytes=0-1,3-4", "bytes=-"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
