//! Worker queries about images and the disk, which a worker answers: contents of an image, in what two differ, and what takes up room.

use super::worker_queries;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use database::{
    Answer, DiskUse, ImageContents, ImageDifference, ImagePair, ImagePart, ShadowPair, WORKER_QUERY_TIMEOUT,
    WorkerQuery,
};

/// Returns what an image holds.
pub(crate) async fn contents(service: &Service, part: ImagePart) -> Result<ImageContents, Problem> {
    match worker_queries::turn(service, WorkerQuery::Image(part)).await? {
        Some(Answer::Image(contents)) => Ok(*contents),
        _ => Err(no_answer()),
    }
}

/// Returns in what two images differ.
pub(crate) async fn difference(service: &Service, pair: ImagePair) -> Result<ImageDifference, Problem> {
    match worker_queries::turn(service, WorkerQuery::Compare(pair)).await? {
        Some(Answer::Compared(difference)) => Ok(*difference),
        _ => Err(no_answer()),
    }
}

/// Returns in what the image of a build and one of another service differ.
pub(crate) async fn shadow(service: &Service, pair: ShadowPair) -> Result<ImageDifference, Problem> {
    match worker_queries::turn(service, WorkerQuery::Shadow(pair)).await? {
        Some(Answer::Compared(difference)) => Ok(*difference),
        _ => Err(no_answer()),
    }
}

/// Returns what takes up room on the machine of a worker, which first removes what nobody needs, if that is wanted.
pub(crate) async fn disk(service: &Service, clean: bool) -> Result<DiskUse, Problem> {
    match worker_queries::turn(service, WorkerQuery::Disk { clean }).await? {
        Some(Answer::Disk(disk)) => Ok(disk),
        _ => Err(no_answer()),
    }
}

fn no_answer() -> Problem {
    let detail = format!("no worker has answered within {} s", WORKER_QUERY_TIMEOUT.as_secs());
    Problem::new(Code::NoAnswer, detail).hint("see whether a worker runs: GET /v1/queue")
}
