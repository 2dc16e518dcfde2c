//! Questions about images, which a worker answers from its store: their contents, and in what two of them differ.

use super::worker_queries;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use database::{Answer, ImageContents, ImageDifference, ImagePair, ImagePart, Question, WORKER_QUERY_TIMEOUT};

/// Returns what an image holds.
pub(crate) async fn contents(service: &Service, part: ImagePart) -> Result<ImageContents, Problem> {
    match worker_queries::turn(service, Question::Image(part)).await? {
        Some(Answer::Image(contents)) => Ok(*contents),
        _ => Err(no_answer()),
    }
}

/// Returns in what two images differ.
pub(crate) async fn difference(service: &Service, pair: ImagePair) -> Result<ImageDifference, Problem> {
    match worker_queries::turn(service, Question::Compare(pair)).await? {
        Some(Answer::Compared(difference)) => Ok(*difference),
        _ => Err(no_answer()),
    }
}

fn no_answer() -> Problem {
    let detail = format!("no worker has read the image within {} s", WORKER_QUERY_TIMEOUT.as_secs());
    Problem::new(Code::NoAnswer, detail).hint("see whether a worker runs: GET /v1/queue")
}
