//! States as text in statements: `format!("… state = {QUEUED}")`. Their names come from the types that are stored.

use crate::model::build_state::BuildState;
use crate::model::rules_fetch::FetchState;
use crate::model::trigger::Trigger;
use crate::outbox::webhook_delivery::NotificationState;
use crate::worker_query::QueryState;
use std::fmt;

pub(crate) const QUEUED: Quoted = Quoted(BuildState::Queued.as_str());
pub(crate) const PREPARING: Quoted = Quoted(BuildState::Preparing.as_str());
pub(crate) const BUILDING: Quoted = Quoted(BuildState::Building.as_str());
pub(crate) const SUCCEEDED: Quoted = Quoted(BuildState::Succeeded.as_str());
pub(crate) const FAILED: Quoted = Quoted(BuildState::Failed.as_str());
pub(crate) const CANCELLED: Quoted = Quoted(BuildState::Cancelled.as_str());
pub(crate) const SUPERSEDED: Quoted = Quoted(BuildState::Superseded.as_str());
pub(crate) const SKIPPED: Quoted = Quoted(BuildState::Skipped.as_str());

/// The states of a build that has not ended.
pub(crate) const UNENDED: States = States(|state| !state.has_ended());

pub(crate) const FETCH_OPEN: Quoted = Quoted(FetchState::Open.as_str());
pub(crate) const FETCH_CLAIMED: Quoted = Quoted(FetchState::Claimed.as_str());
pub(crate) const FETCH_ANSWERED: Quoted = Quoted(FetchState::Answered.as_str());
pub(crate) const FETCH_EXPANDED: Quoted = Quoted(FetchState::Expanded.as_str());

pub(crate) const QUERY_OPEN: Quoted = Quoted(QueryState::Open.as_str());
pub(crate) const QUERY_TAKEN: Quoted = Quoted(QueryState::Taken.as_str());
pub(crate) const QUERY_ANSWERED: Quoted = Quoted(QueryState::Answered.as_str());

pub(crate) const NOTIFICATION_PENDING: Quoted = Quoted(NotificationState::Pending.as_str());

pub(crate) const PULL_REQUEST: Quoted = Quoted(Trigger::PULL_REQUEST);
pub(crate) const RETRY: Quoted = Quoted(Trigger::RETRY);
pub(crate) const PUSH: Quoted = Quoted(Trigger::PUSH);
/// The kind of the builds of a push that was found, and the forge of the delivery that stands for it.
pub(crate) const RECONCILE: Quoted = Quoted(Trigger::RECONCILE);

/// A stored name in quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted(pub &'static str);

impl fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.0)
    }
}

/// The states of a build of which the function is true, in quotes and separated by commas.
#[derive(Clone, Copy)]
pub(crate) struct States(pub fn(BuildState) -> bool);

impl fmt::Display for States {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = BuildState::all().filter(|state| (self.0)(*state)).map(|state| Quoted(state.as_str()).to_string());
        formatter.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_quoted_names() {
        assert_eq!(QUEUED.to_string(), "'queued'");
        assert_eq!(UNENDED.to_string(), "'queued', 'preparing', 'building', 'pushing'");
        assert_eq!(format!("state = {FETCH_OPEN}"), "state = 'open'");
    }
}
