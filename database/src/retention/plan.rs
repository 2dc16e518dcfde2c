//! The decision about what goes: pure, from what there is and the limits.

use std::collections::BTreeMap;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long forges deliver again: a delivery that could still come again must be recognised.
const REDELIVERY_MS: i64 = 3 * DAY_MS;

/// How much is kept; `None` stands for no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limits of builds; their contents are logs.
    pub builds: Limit,
    /// Days after their end that logs are kept.
    pub log_days: Option<u32>,
    /// Limits of deliveries; their contents are bodies.
    pub deliveries: Limit,
}

/// How much is kept of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    /// Days.
    pub days: Option<u32>,
    /// Number.
    pub number: Option<u32>,
    /// Bytes of their contents.
    pub bytes: Option<u64>,
}

/// The limits of all repositories.
#[derive(Debug, Clone, Default)]
pub struct RetentionPolicy {
    /// Those of a repository that has none of its own.
    pub usual: Limits,
    /// Those of the others.
    pub repositories: BTreeMap<String, Limits>,
    /// Those of all repositories together.
    pub total: Limits,
    /// Days that entries of the audit log are kept.
    pub audit_days: Option<u32>,
}

impl RetentionPolicy {
    /// Returns the limits of a repository.
    pub fn of(&self, repository: &str) -> Limits {
        self.repositories.get(repository).unwrap_or(&self.usual).clone()
    }
}

/// Something that retention decides about.
#[derive(Debug, Clone)]
pub(crate) struct Item<Id> {
    /// Ids grow with time.
    pub id: Id,
    /// The moment from which its age is counted; `None` while it is not over.
    pub since_ms: Option<i64>,
    /// Bytes of its log or body.
    pub bytes: i64,
    /// Whether its contents are removed already, but not all of them.
    pub is_half_removed: bool,
    /// Whether something refers to it.
    pub is_needed: bool,
}

/// Rows to be removed.
#[derive(Debug)]
pub(crate) struct Doomed<Id> {
    /// Items that go.
    pub rows: Vec<Id>,
    /// Items whose logs or bodies go.
    pub contents: Vec<Id>,
    /// Items that would go if nothing referred to them: what belongs to them goes, their records stay.
    pub stripped: Vec<Id>,
}

/// Rows that remain, for the limits of all repositories together.
#[derive(Debug)]
pub(crate) struct Retained<Id>(Vec<Item<Id>>);

impl<Id> Default for Retained<Id> {
    fn default() -> Self {
        Retained(Vec::new())
    }
}

impl<Id> Default for Doomed<Id> {
    fn default() -> Self {
        Doomed { rows: Vec::new(), contents: Vec::new(), stripped: Vec::new() }
    }
}

/// A kind of items: which of the limits are theirs.
pub(crate) trait Kind: Ord + Clone {
    /// Returns the limit of the kind.
    fn limit(limits: &Limits) -> &Limit;
    /// Returns the days that contents are kept.
    fn content_days(limits: &Limits) -> Option<u32>;
    /// Returns the least age at which an item goes because there are too many.
    fn least_age_ms() -> i64;
}

impl Kind for String {
    fn limit(limits: &Limits) -> &Limit {
        &limits.builds
    }

    fn content_days(limits: &Limits) -> Option<u32> {
        limits.log_days
    }

    fn least_age_ms() -> i64 {
        0
    }
}

impl Kind for i64 {
    fn limit(limits: &Limits) -> &Limit {
        &limits.deliveries
    }

    fn content_days(_: &Limits) -> Option<u32> {
        None
    }

    fn least_age_ms() -> i64 {
        REDELIVERY_MS
    }
}

impl<Id: Kind> Retained<Id> {
    /// Decides about the items of a repository and keeps the rest in mind.
    pub(crate) fn judge(&mut self, limits: &Limits, items: Vec<Item<Id>>, now_ms: i64) -> Doomed<Id> {
        let (doomed, kept) = judge(items, limits, now_ms);
        self.0.extend(kept);
        doomed
    }

    /// Decides about what all repositories have kept.
    pub(crate) fn beyond(self, total: &Limits, now_ms: i64) -> Doomed<Id> {
        judge(self.0, total, now_ms).0
    }
}

/// Decides about items, the newest first: what is beyond a limit is the oldest.
fn judge<Id: Kind>(mut items: Vec<Item<Id>>, limits: &Limits, now_ms: i64) -> (Doomed<Id>, Vec<Item<Id>>) {
    items.sort_by(|one, other| other.id.cmp(&one.id));
    let limit = Id::limit(limits);
    let is_older = |item: &Item<Id>, days: Option<u32>| {
        days.is_some_and(|days| item.since_ms.is_some_and(|since| now_ms - since > i64::from(days) * DAY_MS))
    };
    let (mut doomed, mut kept, mut bytes) = (Doomed::default(), Vec::new(), 0_u64);
    for (position, mut item) in items.into_iter().enumerate() {
        let is_over = item.since_ms.is_some();
        let may_go = item.since_ms.is_some_and(|since| now_ms - since >= Id::least_age_ms());
        let is_surplus = may_go && limit.number.is_some_and(|number| position >= number as usize);
        if is_over && (is_surplus || is_older(&item, limit.days)) {
            if !item.is_needed {
                doomed.rows.push(item.id);
                continue;
            }
            doomed.stripped.push(item.id.clone());
            doomed.contents.extend((item.bytes > 0).then(|| item.id.clone()));
            item.bytes = 0;
        }
        bytes = bytes.saturating_add(u64::try_from(item.bytes).unwrap_or(0));
        let is_too_much = limit.bytes.is_some_and(|most| bytes > most);
        let is_old = is_older(&item, Id::content_days(limits));
        if is_over && item.bytes > 0 && (is_too_much || is_old || item.is_half_removed) {
            doomed.contents.push(item.id.clone());
            bytes = bytes.saturating_sub(u64::try_from(item.bytes).unwrap_or(0));
            item.bytes = 0;
        }
        kept.push(item);
    }
    // The oldest go first: an interruption leaves the newest.
    doomed.rows.reverse();
    doomed.contents.reverse();
    (doomed, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: i64, bytes: i64) -> Item<i64> {
        Item { id, since_ms: Some(id * DAY_MS), bytes, is_half_removed: false, is_needed: false }
    }

    fn of(items: &[Item<i64>], deliveries: Limit) -> Doomed<i64> {
        judge(items.to_vec(), &Limits { deliveries, ..Limits::default() }, 11 * DAY_MS).0
    }

    #[test]
    fn the_oldest_go_by_age_number_and_size() {
        let items: Vec<_> = (1..=10).map(|id| item(id, 10)).collect();
        assert_eq!(of(&items, Limit::default()).rows, Vec::<i64>::new(), "without a limit nothing goes");
        assert_eq!(of(&items, Limit { days: Some(8), ..Limit::default() }).rows, [1, 2]);
        assert_eq!(of(&items, Limit { number: Some(7), ..Limit::default() }).rows, [1, 2, 3]);
        assert_eq!(of(&items, Limit { bytes: Some(75), ..Limit::default() }).contents, [1, 2, 3]);
    }

    #[test]
    fn what_could_be_delivered_again_is_not_too_many() {
        let items: Vec<_> = (1..=10).map(|id| item(id, 10)).collect();
        let doomed = of(&items, Limit { number: Some(0), ..Limit::default() });
        assert_eq!(doomed.rows, (1..=8).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_needed_or_not_over_stays_and_the_needed_loses_its_contents() {
        let needed = Item { is_needed: true, ..item(1, 10) };
        let runs = Item { since_ms: None, ..item(2, 10) };
        let doomed = of(&[needed, runs, item(3, 10)], Limit { number: Some(0), days: Some(1), bytes: Some(0) });
        assert_eq!((doomed.rows, doomed.contents, doomed.stripped), (vec![3], vec![1], vec![1]));
    }

    #[test]
    fn a_removal_that_was_interrupted_goes_on() {
        let half = Item { is_half_removed: true, ..item(1, 10) };
        assert_eq!(of(&[half, item(2, 10)], Limit::default()).contents, [1]);
    }

    #[test]
    fn all_repositories_together_have_limits_too() {
        let mut kept = Retained::default();
        let limits = Limits { deliveries: Limit { number: Some(3), ..Limit::default() }, ..Limits::default() };
        for first in [0, 1] {
            let items: Vec<_> = (0..4).map(|number| item(number * 2 + first, 10)).collect();
            assert_eq!(kept.judge(&limits, items, 20 * DAY_MS).rows, [first]);
        }
        let total = Limits { deliveries: Limit { number: Some(4), ..Limit::default() }, ..Limits::default() };
        assert_eq!(kept.beyond(&total, 20 * DAY_MS).rows, [2, 3]);
    }
}
