//! Deliveries that wait to be stored together.

use crate::error::Error;
use crate::model::build_request::BuildRequest;
use crate::model::delivery::{Accepted, NewDelivery};
use crate::model::rules_fetch::NewRulesFetch;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// Most deliveries that one transaction stores.
const MAX_BATCH: usize = 128;

/// A delivery and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub delivery: NewDelivery,
    pub requests: Vec<BuildRequest>,
    pub rules_fetch: Option<NewRulesFetch>,
    pub source: Source,
}

/// Deliveries that wait, and the lock of the task that stores them.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    waiting: Mutex<Vec<Waiting>>,
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub delivered: Delivered,
    pub answer: oneshot::Sender<Result<Accepted, Error>>,
}

/// How a push is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A delivery told of it.
    Told,
    /// Somebody wants an earlier delivery once more.
    Replayed,
    /// A look saw it, and no delivery told of it.
    Found,
}

impl Batches {
    pub(crate) fn push(&self, waiting: Waiting) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }

    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = waiting.len().min(MAX_BATCH);
        waiting.drain(..rest).collect()
    }
}
