//! The worker: claims builds under a lease, builds them, and writes what happens to the database.

mod attempt;
mod base_image;
mod explain;
mod filter;
mod garbage;
mod hub;
mod identity;
mod janitor;
mod labels;
mod lease;
mod look;
mod lookup;
mod order;
mod outcome;
mod profile;
mod question;
mod quota;
mod reconcile;
mod recorder;
mod rights;
mod room;
mod secrets;
mod slots;
mod source;
mod stop;
mod tag_check;
mod wanted;
mod watch;

use crate::Services;
pub use garbage::RECENT;
pub use identity::name;
use lease::Renewed;
pub use rights::Reading;
use room::Room;
use runtime::CancellationToken;
use slots::Slots;
pub use source::source_error;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread::Scope;
use std::time::Duration;
pub use stop::Stop;

/// Lookups that are answered at once, besides the builds.
const LOOKUPS: usize = 2;
/// Questions that are answered at once, besides these.
const QUESTIONS: usize = 2;
/// How long one wait for work may take: after it the worker looks whether it shall end.
const WAIT: Duration = Duration::from_millis(500);
/// How long to wait when there is work that this worker cannot have now.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait when the database cannot be asked.
const TROUBLE: Duration = Duration::from_secs(1);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the database, unique among living workers.
    pub name: String,
    /// How many builds it runs at once.
    pub builds: usize,
    /// Where mirrors of repositories are kept.
    pub git_dir: PathBuf,
    /// Repositories that the operator's configuration names.
    pub own_repositories: BTreeSet<String>,
    /// User and password by the host of a clone URL, or by host and port.
    pub git_credentials: BTreeMap<String, (String, String)>,
    /// Paths that one instruction may take.
    pub max_paths: usize,
    /// Images that the operator allows all builds to read.
    pub reading: Reading,
    /// How long a fetch may take.
    pub fetch_timeout: Duration,
    /// How long one step may take; a rule may want less.
    pub step_timeout: Duration,
    /// How long one build may take; a rule may want less.
    pub build_timeout: Duration,
}

/// Claims and builds until `stop` is asked; what runs then has its time to end, or goes back to the queue.
pub fn work(services: &Services, settings: &Settings, stop: &Stop) {
    janitor::sweep(services);
    garbage::recover(services);
    let (builds, lookups) = (Slots::new(settings.builds.max(1)), Slots::new(LOOKUPS));
    let worker =
        Worker { services, settings, stop, builds, lookups, questions: Slots::new(QUESTIONS), room: Room::default() };
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

/// What claims and those who build share.
struct Worker<'a> {
    services: &'a Services,
    settings: &'a Settings,
    stop: &'a Stop,
    builds: Slots,
    lookups: Slots,
    questions: Slots,
    room: Room,
}

impl<'a> Worker<'a> {
    /// Claims one thing after the other; each is done in a thread of its own.
    fn claim_all<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let tokio = &self.services.tokio;
        let mut ready = false;
        while !self.stop.is_asked() {
            let claimed = self.claim_any(scope);
            let waited = match claimed {
                Ok(true) => Ok(false),
                Ok(false) => {
                    if ready {
                        // No slot is free, or what is ready is not for this worker: a serial rule, a paused queue.
                        self.builds.wait(PAUSE);
                    }
                    tokio.block_on(self.services.database.wait_for_work(WAIT))
                }
                Err(error) => Err(error),
            };
            match waited {
                Ok(is_ready) => ready = is_ready,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the queue cannot be read; trying again");
                    std::thread::sleep(TROUBLE);
                }
            }
        }
    }

    /// Claims one of each kind; tells whether there was any.
    fn claim_any<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        Ok(self.claim_lookup(scope)? | self.claim_build(scope)? | self.claim_question(scope)?)
    }

    fn claim_build<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let running = self.builds.taken();
        let Some(slot) = self.builds.take().filter(|_| self.room.is_left(running)) else { return Ok(false) };
        let asked = runtime::uptime();
        let claim = self.services.tokio.block_on(self.services.database.claim(&self.settings.name))?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            attempt::run(self.services, self.settings, (claim, Renewed::at(asked)), self.stop);
            drop(slot);
        });
        Ok(true)
    }

    fn claim_lookup<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let Some(slot) = self.lookups.take() else { return Ok(false) };
        let claim = self.services.tokio.block_on(self.services.database.claim_lookup(&self.settings.name))?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            lookup::answer(self.services, self.settings, claim, self.stop);
            drop(slot);
        });
        Ok(true)
    }
    fn claim_question<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<bool, database::Error> {
        let Some(slot) = self.questions.take() else { return Ok(false) };
        let claim = self.services.tokio.block_on(self.services.database.claim_question())?;
        let Some(claim) = claim else { return Ok(false) };
        scope.spawn(move || {
            question::answer(self.services, self.settings, &claim);
            drop(slot);
        });
        Ok(true)
    }
}
