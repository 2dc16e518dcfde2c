//! Claims builds, rules fetches and worker queries, each of which has a thread of its own.

use super::fd_budget::FdBudget;
use super::lease::LeaseClock;
use super::settings::Settings;
use super::stop::Stop;
use super::{attempt, garbage, janitor, query, reconcile, rules_fetch};
use crate::Services;
use crate::semaphore::Semaphore;
use runtime::CancellationToken;
use std::thread::Scope;
use std::time::Duration;

/// RulesFetches that are answered at once, besides the builds.
const RULES_FETCHES: usize = 2;
/// Worker queries that are answered at once, besides these.
const WORKER_QUERIES: usize = 2;
/// How long one wait for work may take; after it the worker checks whether it is to stop.
const WAIT: Duration = Duration::from_millis(500);
/// How long to wait when there is work that this worker cannot have now.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait when the database cannot be asked.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);

/// Claims and builds until `stop` is asked; what runs then has its time to end, or goes back to the queue.
pub fn work(services: &Services, settings: &Settings, stop: &Stop) {
    services.sandbox.network.begin_lookups();
    janitor::sweep(services);
    garbage::recover(services);
    let (builds, rules_fetches) = (Semaphore::new(settings.builds.max(1)), Semaphore::new(RULES_FETCHES));
    let worker = Worker {
        services,
        settings,
        stop,
        builds,
        rules_fetches,
        worker_queries: Semaphore::new(WORKER_QUERIES),
        fds: FdBudget::default(),
    };
    let ends = CancellationToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            janitor::keep(services, settings, stop);
            ends.cancel();
        });
        scope.spawn(|| reconcile::keep(services, settings, &ends));
        worker.claim_all(scope);
    });
    janitor::leave(services, settings);
}

/// The state that the claim loop shares with the tasks it starts.
struct Worker<'a> {
    services: &'a Services,
    settings: &'a Settings,
    stop: &'a Stop,
    builds: Semaphore,
    rules_fetches: Semaphore,
    worker_queries: Semaphore,
    fds: FdBudget,
}

/// The next move of the claim loop.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Claim something; whether the wait before said that there is something.
    Claim { was_ready: bool },
    /// Wait for work.
    Wait,
}

impl<'a> Worker<'a> {
    /// Claims one thing after the other; each is done in a thread of its own.
    fn claim_all<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let tokio = &self.services.tokio;
        let mut work = tokio.block_on(async { self.services.database.watch_work() });
        let mut next = Next::Claim { was_ready: false };
        while !self.stop.is_asked() {
            let done = match next {
                Next::Claim { .. } => self.claim_any(scope),
                Next::Wait => tokio.block_on(work.wait(WAIT)),
            };
            match done {
                Ok(true) => next = Next::Claim { was_ready: matches!(next, Next::Wait) },
                Ok(false) => {
                    if matches!(next, Next::Claim { was_ready: true }) {
                        // No permit is available, or what is ready is not for this worker: a serial rule, a paused queue.
                        self.builds.wait_for_release(PAUSE);
                    }
                    next = Next::Wait;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the queue cannot be read; trying again");
                    std::thread::sleep(ERROR_BACKOFF);
                }
            }
        }
    }

    /// Claims one of each kind; tells whether there was any.
    fn claim_any<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        Ok(self.claim_rules_fetch(scope)? | self.claim_build(scope)? | self.claim_worker_query(scope)?)
    }

    fn claim_build<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let running = self.builds.held();
        let Some(permit) = self.builds.try_acquire().filter(|_| self.fds.is_left(running)) else { return Ok(false) };
        let asked = runtime::uptime();
        let claim = self.services.tokio.block_on(self.services.database.claim(&self.settings.name))?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            attempt::run(self.services, self.settings, claim, LeaseClock::at(asked), self.stop);
            drop(permit);
        });
        Ok(true)
    }

    fn claim_rules_fetch<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let Some(permit) = self.rules_fetches.try_acquire() else { return Ok(false) };
        let claim = self.services.tokio.block_on(self.services.database.claim_rules_fetch(&self.settings.name))?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            rules_fetch::answer(self.services, self.settings, claim, self.stop);
            drop(permit);
        });
        Ok(true)
    }
    fn claim_worker_query<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let Some(permit) = self.worker_queries.try_acquire() else { return Ok(false) };
        let claim = self.services.tokio.block_on(self.services.database.claim_worker_query())?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            query::answer(self.services, self.settings, &claim);
            drop(permit);
        });
        Ok(true)
    }
}
