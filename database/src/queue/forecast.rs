//! Forecasts the queue by playing the rules of claiming forward. Pure.

use crate::model::build_id::BuildId;
use crate::sql::columns::{build_id, columns, get};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

/// Builds that are named as being ahead of another.
const MAX_LISTED: usize = 10;
/// Durations of a rule's newest builds from which the next one's is foretold, and how many there must be.
const SAMPLES: usize = 20;
const MIN_SAMPLES: usize = 3;

/// Where a queued build is in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePlace {
    /// 1 for the next; `None` for a build that nobody has approved: it is not in the line yet.
    pub position: Option<i64>,
    /// The first of those that are claimed before it.
    pub ahead: Vec<BuildId>,
    /// The reason that it waits.
    pub waiting_for: WaitingFor,
    /// When it is likely to begin, in milliseconds from now; `None` where what runs before it gives no measure.
    pub starts_in_ms: Option<i64>,
    /// When it is likely to have ended at the latest, in milliseconds from now.
    pub eta_ms: Option<i64>,
}

/// The reason that a queued build waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// A free worker.
    Slot,
    /// The end of an earlier build of the same rule, whose builds run one at a time.
    SerialGroup,
    /// Some time to pass since its last attempt failed.
    Backoff,
    /// Somebody to resume the queue.
    Resume,
    /// Somebody to approve it.
    Approval,
}

/// A queued build and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedBuild {
    /// Its id.
    pub id: BuildId,
    /// Its repository.
    pub repository: String,
    /// Its rule.
    pub rule: String,
    /// Its ref.
    pub git_ref: String,
    /// Its priority.
    pub priority: i64,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: i64,
    /// Its place.
    pub place: QueuePlace,
}

columns! {
    /// A queued build, as far as it decides on the order.
    #[derive(Debug, Clone)]
    pub(crate) struct Waiting {
        pub id: BuildId = build_id "id",
        pub repository: String = get "repository",
        pub rule: String = get "rule",
        pub concurrency_group: String = get "concurrency_group",
        pub is_serial: bool = get "is_serial",
        pub priority: i64 = get "priority",
        pub not_before_ms: i64 = get "not_before_ms",
        pub git_ref: String = get "git_ref",
        pub created_ms: i64 = get "created_ms",
    }
}

columns! {
    /// A running build.
    #[derive(Debug, Clone)]
    pub(crate) struct Running {
        pub repository: String = get "repository",
        pub rule: String = get "rule",
        pub concurrency_group: String = get "concurrency_group",
        pub started_ms: i64 = get "started_ms" as "COALESCE(started_ms, 0)",
    }
}

/// All that the future of the queue follows from.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    pub now_ms: i64,
    pub is_paused: bool,
    pub slots: i64,
    pub waiting: Vec<Waiting>,
    /// Queued builds that nobody has approved: nothing waits for them.
    pub held: Vec<Waiting>,
    pub running: Vec<Running>,
    pub last_started: HashMap<String, i64>,
    /// How long builds of repository and rule took, the latest first.
    pub durations: Vec<((String, String), i64)>,
}

impl Waiting {
    fn at(&self, place: QueuePlace) -> QueuedBuild {
        QueuedBuild {
            id: self.id.clone(),
            repository: self.repository.clone(),
            rule: self.rule.clone(),
            git_ref: self.git_ref.clone(),
            priority: self.priority,
            created_ms: self.created_ms,
            place,
        }
    }

    fn until_approved(&self) -> QueuedBuild {
        let (ahead, waiting_for) = (Vec::new(), WaitingFor::Approval);
        self.at(QueuePlace { position: None, ahead, waiting_for, starts_in_ms: None, eta_ms: None })
    }
}

/// Order of the first builds of concurrency groups: the least is next.
type Key = (Reverse<i64>, i64, i64, BuildId);

impl Forecast {
    /// Returns the first `limit` builds with their places.
    pub(crate) fn queue(self, limit: usize) -> Vec<QueuedBuild> {
        let order = self.order(limit);
        let mut times = Times::new(&self);
        let mut queued = Vec::with_capacity(order.len());
        let mut passed_groups: HashMap<&str, ()> =
            self.running.iter().map(|build| (build.concurrency_group.as_str(), ())).collect();
        for (index, &number) in order.iter().enumerate() {
            let build = &self.waiting[number];
            let is_behind = passed_groups.insert(build.concurrency_group.as_str(), ()).is_some();
            let waiting_for = match build {
                _ if self.is_paused => WaitingFor::Resume,
                build if build.not_before_ms > self.now_ms => WaitingFor::Backoff,
                build if build.is_serial && is_behind => WaitingFor::SerialGroup,
                _ => WaitingFor::Slot,
            };
            // A failed attempt waits for its time, a paused queue for somebody.
            let is_ready = !self.is_paused && build.not_before_ms <= self.now_ms;
            let (begin, end) = times.take(build);
            queued.push(build.at(QueuePlace {
                position: Some(index as i64 + 1),
                ahead: order[..index.min(MAX_LISTED)].iter().map(|ahead| self.waiting[*ahead].id.clone()).collect(),
                waiting_for,
                starts_in_ms: begin.known().filter(|_| is_ready),
                eta_ms: end.known().filter(|_| is_ready),
            }));
        }
        let left = limit.saturating_sub(queued.len());
        queued.extend(self.held.iter().take(left).map(Waiting::until_approved));
        queued
    }

    /// Returns how long a running build is likely to take from now on; `None` where builds before it give no measure.
    pub(crate) fn left(&self, repository: &str, rule: &str, started_ms: i64) -> Option<i64> {
        let ran = self.now_ms - started_ms;
        Times::new(self).duration(repository, rule).map(|takes| takes - ran).filter(|left| *left > 0)
    }

    /// Returns the first `limit` queued builds in the order in which they are claimed if nothing else happens.
    fn order(&self, limit: usize) -> Vec<usize> {
        let mut groups: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
        for (number, build) in self.waiting.iter().enumerate() {
            groups.entry(&build.concurrency_group).or_default().push_back(number);
        }
        let mut running: HashMap<&str, i64> = HashMap::new();
        for build in &self.running {
            *running.entry(&build.repository).or_default() += 1;
        }
        let mut last_started: HashMap<&str, i64> =
            self.last_started.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        let key = |number: usize, running: &HashMap<&str, i64>, last_started: &HashMap<&str, i64>| -> Key {
            let build = &self.waiting[number];
            let (count, turn) = (running.get(build.repository.as_str()), last_started.get(build.repository.as_str()));
            (Reverse(build.priority), count.copied().unwrap_or(0), turn.copied().unwrap_or(0), build.id.clone())
        };
        let mut heads = BinaryHeap::new();
        for builds in groups.values_mut() {
            builds.make_contiguous().sort_by_key(|number| (Reverse(self.waiting[*number].priority), *number));
            heads.extend(builds.front().map(|first| Reverse((key(*first, &running, &last_started), *first))));
        }
        let mut order = Vec::new();
        while order.len() < limit
            && let Some(Reverse((known, number))) = heads.pop()
        {
            // Another concurrency group of the same repository may have had a turn since.
            let present = key(number, &running, &last_started);
            if present != known {
                heads.push(Reverse((present, number)));
                continue;
            }
            let build = &self.waiting[number];
            *running.entry(&build.repository).or_default() += 1;
            last_started.insert(&build.repository, self.now_ms + order.len() as i64);
            order.push(number);
            let concurrency_group = groups.entry(&build.concurrency_group).or_default();
            concurrency_group.pop_front();
            heads.extend(concurrency_group.front().map(|next| Reverse((key(*next, &running, &last_started), *next))));
        }
        order
    }
}

/// A moment in milliseconds from now; what nobody can tell comes after all that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    In(i64),
    Unknown,
}

impl Moment {
    fn known(self) -> Option<i64> {
        match self {
            Moment::In(moment) => Some(moment),
            Moment::Unknown => None,
        }
    }

    fn after(self, duration: Option<i64>) -> Moment {
        match (self, duration) {
            (Moment::In(begin), Some(takes)) => Moment::In(begin + takes),
            _ => Moment::Unknown,
        }
    }
}

/// When slots and serial concurrency groups are free.
struct Times {
    durations: HashMap<(String, String), i64>,
    slots: BinaryHeap<Reverse<Moment>>,
    groups: HashMap<String, Moment>,
}

impl Times {
    fn new(forecast: &Forecast) -> Self {
        let mut samples: HashMap<(String, String), Vec<i64>> = HashMap::new();
        for (rule, duration) in &forecast.durations {
            let known = samples.entry(rule.clone()).or_default();
            if known.len() < SAMPLES {
                known.push(*duration);
            }
        }
        let durations = samples.into_iter().filter_map(|(rule, known)| Some((rule, expected(known)?))).collect();
        let mut times = Times { durations, slots: BinaryHeap::new(), groups: HashMap::new() };
        for build in &forecast.running {
            let ran = forecast.now_ms - build.started_ms;
            // One that took longer than any before it has no end that could be foretold.
            let left = times.duration(&build.repository, &build.rule).map(|takes| takes - ran).filter(|left| *left > 0);
            let end = left.map_or(Moment::Unknown, Moment::In);
            times.slots.push(Reverse(end));
            times.groups.insert(build.concurrency_group.clone(), end);
        }
        let idle = forecast.slots.max(1) - forecast.running.len() as i64;
        times.slots.extend((0..idle).map(|_| Reverse(Moment::In(0))));
        times
    }

    fn duration(&self, repository: &str, rule: &str) -> Option<i64> {
        self.durations.get(&(repository.to_owned(), rule.to_owned())).copied()
    }

    /// Gives the next free slot to a build; returns when it begins and ends there.
    fn take(&mut self, build: &Waiting) -> (Moment, Moment) {
        let Reverse(free) = self.slots.pop().unwrap_or(Reverse(Moment::Unknown));
        let concurrency_group =
            self.groups.get(&build.concurrency_group).copied().filter(|_| build.is_serial).unwrap_or(Moment::In(0));
        let begin = free.max(concurrency_group);
        let end = begin.after(self.duration(&build.repository, &build.rule));
        self.slots.push(Reverse(end));
        self.groups.insert(build.concurrency_group.clone(), end);
        (begin, end)
    }
}

/// Returns how long a build of a rule takes at most, as far as those before it tell: nothing before there are a few, nor
/// where they took very different times.
fn expected(mut durations: Vec<i64>) -> Option<i64> {
    durations.sort_unstable();
    let (longest, median) = (*durations.last()?, durations[durations.len() / 2]);
    (durations.len() >= MIN_SAMPLES && longest <= 4 * median + 10_000).then_some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(durations: &[i64], ran_ms: i64) -> Vec<QueuedBuild> {
        let rule = || ("acme/app".to_owned(), "main".to_owned());
        let waiting = Waiting {
            id: BuildId::at(1),
            repository: "acme/app".into(),
            rule: "main".into(),
            concurrency_group: "2".into(),
            is_serial: false,
            priority: 0,
            not_before_ms: 0,
            git_ref: "refs/heads/main".into(),
            created_ms: 0,
        };
        let (repository, rule_name) = rule();
        let running =
            Running { repository, rule: rule_name, concurrency_group: "1".into(), started_ms: 100_000 - ran_ms };
        let durations = durations.iter().map(|duration| (rule(), *duration)).collect();
        let (slots, waiting, running) = (1, vec![waiting], vec![running]);
        Forecast { now_ms: 100_000, slots, waiting, running, durations, ..Forecast::default() }.queue(10)
    }

    #[test]
    fn an_estimate_is_right_or_not_given() {
        // US-05
        let times = |durations: &[i64], ran| {
            let place = forecast(durations, ran).remove(0).place;
            (place.starts_in_ms, place.eta_ms)
        };
        assert_eq!(times(&[45_000, 44_000, 45_000], 5_000), (Some(40_000), Some(85_000)));
        assert_eq!(times(&[], 5_000), (None, None), "a length that nobody knows");
        assert_eq!(times(&[752], 0), (None, None), "one build is not a measure");
        assert_eq!(times(&[700, 752, 720], 5_000), (None, None), "longer than any before it");
        assert_eq!(times(&[700, 752, 45_000], 100), (None, None), "sometimes cached, sometimes not");
    }
}
