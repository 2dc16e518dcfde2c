//! One lane for each forge: what is sent to one waits for nothing that is sent to another.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The pause of a lane in which nothing could be sent.
const IDLE_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause after a forge that does not answer.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The end of a lane's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneEnd {
    /// Something was sent; there may be more.
    Sent,
    /// There was nothing to send.
    Idle,
    /// The forge does not answer, or wants not to be asked before the time that it gave.
    Unavailable(Option<Duration>),
}

/// The lanes, by the name of their forge.
#[derive(Default)]
pub(crate) struct Lanes {
    tasks: JoinSet<(String, LaneEnd)>,
    lanes: HashMap<String, Lane>,
}

#[derive(Default)]
struct Lane {
    is_busy: bool,
    free_at: Option<Instant>,
    failures: u32,
}

impl Lanes {
    /// Tells whether something may be sent to a forge now.
    pub(crate) fn is_free(&self, name: &str) -> bool {
        let lane = self.lanes.get(name);
        lane.is_none_or(|lane| !lane.is_busy && lane.free_at.is_none_or(|at| at <= Instant::now()))
    }

    /// Tells whether nothing is being sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Begins to send to a forge.
    pub(crate) fn begin(&mut self, name: String, work: impl Future<Output = LaneEnd> + Send + 'static) {
        self.lanes.entry(name.clone()).or_default().is_busy = true;
        self.tasks.spawn(async move { (name, work.await) });
    }

    /// Waits until a lane's work ends.
    pub(crate) async fn wait(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(ended)) => self.ended(&ended.0, ended.1),
            // A task that panicked does not say whose it was.
            Some(Err(_)) if self.tasks.is_empty() => self.lanes.clear(),
            Some(Err(_)) | None => {}
        }
    }

    fn ended(&mut self, name: &str, end: LaneEnd) {
        let lane = self.lanes.entry(name.to_owned()).or_default();
        lane.is_busy = false;
        let pause = match end {
            LaneEnd::Sent => None,
            LaneEnd::Idle => Some(IDLE_PAUSE),
            LaneEnd::Unavailable(wanted) => {
                let grown = Duration::from_secs(1 << lane.failures.min(6)).min(MAX_PAUSE);
                Some(wanted.unwrap_or(grown))
            }
        };
        lane.failures = if let LaneEnd::Unavailable(_) = end { lane.failures.saturating_add(1) } else { 0 };
        lane.free_at = pause.map(|pause| Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_forge_that_does_not_answer_holds_up_no_other() {
        let mut lanes = Lanes::default();
        lanes.begin("dead".to_owned(), std::future::pending());
        lanes.begin("quick".to_owned(), async { LaneEnd::Sent });
        assert!(!lanes.is_free("dead") && !lanes.is_free("quick") && lanes.is_free("third"));
        lanes.wait().await;
        assert!(!lanes.is_free("dead") && lanes.is_free("quick"));
    }

    #[tokio::test]
    async fn a_pause_is_what_the_forge_wants_or_grows() {
        let mut lanes = Lanes::default();
        let pause = |lanes: &Lanes| lanes.lanes["one"].free_at.map_or(0, |at| (at - Instant::now()).as_millis());
        for expected in [1_000, 2_000, 4_000] {
            lanes.ended("one", LaneEnd::Unavailable(None));
            assert!(pause(&lanes) <= expected && pause(&lanes) > expected - 500, "{expected}");
        }
        lanes.ended("one", LaneEnd::Unavailable(Some(Duration::from_secs(30))));
        assert!(pause(&lanes) > 29_000 && !lanes.is_free("one"));
        lanes.ended("one", LaneEnd::Sent);
        assert!(lanes.is_free("one") && lanes.lanes["one"].failures == 0);
        lanes.ended("one", LaneEnd::Idle);
        assert!(!lanes.is_free("one"), "the database is not asked again at once");
    }
}
