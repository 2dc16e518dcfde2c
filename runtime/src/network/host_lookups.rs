//! Addresses of the hosts that steps may reach although they are in private networks: looked up in the background and kept.
//!
//! A build waits for names only if nobody of the process asked for them before. A resolver that is away or drops a question
//! holds nothing up afterwards: the last answer counts until there is another one.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the first answers are waited for, from the first question on.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Age of an answer, or of a question that failed, after which the resolver is asked again.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The lookups of this process.
static LOOKUPS: LazyLock<Lookups> =
    LazyLock::new(|| Lookups::new(|host| Ok((host, 80).to_socket_addrs()?.map(|address| address.ip()).collect())));

/// Begins to look `hosts` up.
pub(crate) fn begin(hosts: impl IntoIterator<Item = String>) {
    LOOKUPS.begin(hosts);
}

/// Returns the addresses of `hosts` as far as they are known.
pub(crate) fn addresses(hosts: impl IntoIterator<Item = String>) -> Vec<IpAddr> {
    LOOKUPS.addresses(hosts)
}

type Resolve = fn(&str) -> io::Result<Vec<IpAddr>>;

struct Lookups {
    shared: Arc<Shared>,
    resolve: Resolve,
}

#[derive(Default)]
struct Shared {
    hosts: Mutex<BTreeMap<String, Host>>,
    answered: Condvar,
}

struct Host {
    /// The last answer.
    addresses: Vec<IpAddr>,
    first_asked: Instant,
    last_asked: Instant,
    is_being_asked: bool,
    /// Whether a question has ended, with or without an answer.
    is_settled: bool,
}

impl Lookups {
    fn new(resolve: Resolve) -> Self {
        Lookups { shared: Arc::default(), resolve }
    }

    fn begin(&self, hosts: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut known = self.shared.locked();
        hosts.into_iter().inspect(|host| self.ask(&mut known, host)).collect()
    }

    fn addresses(&self, hosts: impl IntoIterator<Item = String>) -> Vec<IpAddr> {
        let wanted = self.begin(hosts);
        let mut known = self.shared.locked();
        loop {
            let left = wanted.iter().filter_map(|host| known.get(host)?.time_left()).max();
            let Some(left) = left else { break };
            let waited = self.shared.answered.wait_timeout(known, left);
            known = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        wanted.iter().filter_map(|host| known.get(host)).flat_map(|host| host.addresses.clone()).collect()
    }

    /// Asks for a host in a thread of its own, unless that is under way or was done a moment ago.
    fn ask(&self, known: &mut BTreeMap<String, Host>, name: &str) {
        let now = Instant::now();
        let host = known.entry(name.to_owned()).or_insert_with(|| Host::new(now));
        if host.is_being_asked || host.is_settled && host.last_asked.elapsed() < MAX_AGE {
            return;
        }
        host.last_asked = now;
        let (shared, resolve, asked) = (self.shared.clone(), self.resolve, name.to_owned());
        let thread = std::thread::Builder::new().name("lookup".to_owned());
        host.is_being_asked = thread.spawn(move || shared.settle(&asked, resolve(&asked))).is_ok();
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, name: &str, answer: io::Result<Vec<IpAddr>>) {
        if let Some(host) = self.locked().get_mut(name) {
            (host.is_being_asked, host.is_settled) = (false, true);
            match answer {
                Ok(addresses) => host.addresses = addresses,
                Err(error) => tracing::debug!(host = name, %error, "a host that steps may reach is not known"),
            }
        }
        self.answered.notify_all();
    }
}

impl Host {
    fn new(now: Instant) -> Self {
        Host { addresses: Vec::new(), first_asked: now, last_asked: now, is_being_asked: false, is_settled: false }
    }

    /// Returns how long the first answer is still worth waiting for.
    fn time_left(&self) -> Option<Duration> {
        let left = FIRST_ANSWER_TIMEOUT.checked_sub(self.first_asked.elapsed());
        left.filter(|left| self.is_being_asked && !self.is_settled && !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_answer_is_waited_for_once_and_kept() {
        static QUESTIONS: AtomicUsize = AtomicUsize::new(0);
        let lookups = Lookups::new(|host| {
            QUESTIONS.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            if host == "away" { Err(io::ErrorKind::TimedOut.into()) } else { Ok(vec![IpAddr::from([10, 0, 0, 1])]) }
        });
        for _ in 0..3 {
            assert_eq!(lookups.addresses(names(&["mirror", "away"])), [IpAddr::from([10, 0, 0, 1])]);
        }
        assert_eq!(QUESTIONS.load(Ordering::SeqCst), 2, "each host is asked for once");
    }

    #[test]
    fn a_resolver_that_says_nothing_holds_up_only_the_first_who_asks() {
        let lookups = Lookups::new(|_| {
            std::thread::sleep(Duration::from_secs(60));
            Ok(Vec::new())
        });
        let began = Instant::now();
        assert!(lookups.addresses(names(&["mirror"])).is_empty());
        assert!(began.elapsed() >= FIRST_ANSWER_TIMEOUT);
        let began = Instant::now();
        assert!(lookups.addresses(names(&["mirror"])).is_empty());
        assert!(began.elapsed() < FIRST_ANSWER_TIMEOUT / 4);
    }

    #[test]
    fn a_question_that_fails_later_keeps_the_last_answer() {
        let lookups = Lookups::new(|_| Ok(vec![IpAddr::from([10, 0, 0, 1])]));
        lookups.addresses(names(&["mirror"]));
        lookups.shared.settle("mirror", Err(io::ErrorKind::TimedOut.into()));
        assert_eq!(lookups.addresses(names(&["mirror"])), [IpAddr::from([10, 0, 0, 1])]);
    }
}
