//! Accounts: who somebody is, by password, access token or neither, and what they may do at this moment.

use crate::access::PasswordLogin;
use crate::bearer::Claims;
use crate::error::Failure;
use crate::guesses::{Guesses, shortened};
use crate::rights::{Caller, Grant};
use database::{Account, Database, Right, hash_password, password_matches};
use image_store::Store;
use registry_client::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

/// How old what is known of the database may be: a right that is taken away ends within this time.
const MAX_AGE: Duration = Duration::from_secs(2);
/// How long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// Passwords that are remembered.
const MAX_REMEMBERED: usize = 1000;
/// Passwords that are hashed at once: each takes 19 MiB and a processor.
const HASHING: usize = 2;

/// The accounts of a registry; cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    /// Users of the configuration, who may do everything.
    users: Vec<User>,
    database: Database,
    known: AsyncMutex<Option<Arc<Known>>>,
    remembered: Mutex<HashMap<Digest, Instant>>,
    guesses: Guesses,
    hashing: Arc<Semaphore>,
}

/// A user of the configuration.
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Accounts and rights as the database had them at a moment.
struct Known {
    read_at: Instant,
    accounts: HashMap<String, Account>,
    rights: Vec<Right>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Accounts({} users)", self.0.users.len())
    }
}

impl Accounts {
    /// Returns the users of the configuration, and the accounts of the database.
    pub fn new(users: Vec<User>, database: Database) -> Self {
        Accounts(Arc::new(Inner {
            users,
            database,
            known: AsyncMutex::default(),
            remembered: Mutex::default(),
            guesses: Guesses::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
        }))
    }

    /// Returns the database.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Returns what somebody may do who did not log in.
    pub async fn nobody(&self) -> Result<Caller, Failure> {
        Ok(self.known().await?.caller(""))
    }

    /// Returns who logs in with a password.
    pub(crate) async fn log_in(&self, login: &PasswordLogin, address: &str, store: &Store) -> Result<Caller, Failure> {
        let PasswordLogin { name, password } = login;
        // Every user is compared, so that the time tells nothing. Nobody locks them out: builds log in as one of them.
        let is_user = self.0.users.iter().fold(false, |found, user| {
            let has = |one: &str, other: &str| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
            found | (has(&user.name, name) & has(&user.password, password))
        });
        if is_user {
            return Ok(everything(name, store.sign_login(name, password)));
        }
        let known = self.known().await?;
        // An account of the database with that name would become the configured user.
        let account = known.account(name).filter(|_| self.configured(name).is_none());
        let hash = account.map_or_else(no_hash, |account| account.password_hash.clone());
        let (now, shown) = (Instant::now(), shortened(name));
        let mut turn = self.0.guesses.turn(name, address, now).await;
        if let Some(seconds) = turn.closed_for(now) {
            let message =
                format!("too many wrong passwords for `{shown}` came from {address}: it is closed for a while");
            return Err(Failure::too_many(message, seconds));
        }
        turn.add(now);
        if !self.matches(password, hash.clone()).await? || account.is_none() {
            tracing::warn!(account = shown, address, "a wrong password was sent to the registry");
            return Err(Failure::wrong_password());
        }
        turn.take_back();
        Ok(Caller { login: store.sign_login(name, &hash), ..known.caller(name) })
    }

    /// Returns who sent an access token.
    pub async fn of_token(&self, token: &str, store: &Store) -> Result<Caller, Failure> {
        let claims = Claims::read(token, store).ok_or_else(Failure::token_invalid)?;
        let mut caller = self.of_login(&claims.account, &claims.login, store).await?;
        caller.scope = Some(claims.scope());
        Ok(caller)
    }

    /// Returns what an account may do that logged in earlier; refuses it if it is gone, or has another password by now.
    pub async fn of_login(&self, name: &str, login: &str, store: &Store) -> Result<Caller, Failure> {
        if name.is_empty() {
            return self.nobody().await;
        }
        let caller = match self.configured(name) {
            Some(user) => Some(everything(name, store.sign_login(name, &user.password))),
            None => {
                let known = self.known().await?;
                let login = known.account(name).map(|account| store.sign_login(name, &account.password_hash));
                login.map(|login| Caller { login, ..known.caller(name) })
            }
        };
        let is_same = |caller: &Caller| bool::from(caller.login.as_bytes().ct_eq(login.as_bytes()));
        caller.filter(is_same).ok_or_else(Failure::token_invalid)
    }

    fn configured(&self, name: &str) -> Option<&User> {
        self.0.users.iter().find(|user| !name.is_empty() && user.name == name)
    }

    /// Tells whether a password is that of a hash; one that was right lately is not hashed again.
    async fn matches(&self, password: &str, hash: String) -> Result<bool, Failure> {
        let key = Digest::of(format!("{hash}\0{password}").as_bytes());
        let is_fresh = |at: &Instant| at.elapsed() < REMEMBERED;
        if self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&key).is_some_and(is_fresh) {
            return Ok(true);
        }
        let permit = self.0.hashing.clone().acquire_owned().await.map_err(|_| Failure::unavailable())?;
        let password = password.to_owned();
        let matches = tokio::task::spawn_blocking(move || {
            // It goes on if the client goes away, and takes its memory until its end.
            let _permit = permit;
            password_matches(&password, &hash)
        });
        let matches = matches.await;
        let matches = matches.map_err(|_| Failure::unavailable())?;
        if matches {
            let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= MAX_REMEMBERED {
                remembered.retain(|_, at| is_fresh(at));
            }
            if remembered.len() < MAX_REMEMBERED {
                remembered.insert(key, Instant::now());
            }
        }
        Ok(matches)
    }

    async fn known(&self) -> Result<Arc<Known>, Failure> {
        let mut known = self.0.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.read_at.elapsed() < MAX_AGE) {
            return Ok(known.clone());
        }
        let (read_at, database) = (Instant::now(), &self.0.database);
        let accounts = database.accounts().await?.into_iter().map(|account| (account.name.clone(), account)).collect();
        let fresh = Arc::new(Known { read_at, accounts, rights: database.rights().await? });
        *known = Some(fresh.clone());
        Ok(fresh)
    }
}

impl Known {
    /// Returns an account that has not ended.
    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name).filter(|account| account.expires_ms.is_none_or(|at| at > now_ms()))
    }

    /// Returns what an account may do, with what everybody may.
    fn caller(&self, name: &str) -> Caller {
        let rights = self.rights.iter().filter(|right| right.account.is_empty() || right.account == name);
        let grant = |right: &Right| Grant {
            is_everybodys: right.account.is_empty(),
            ..Grant::new(&right.pattern, &right.actions)
        };
        let grants = rights.map(grant).collect();
        Caller { name: name.to_owned(), grants, ..Caller::default() }
    }
}

fn everything(name: &str, login: String) -> Caller {
    Caller { name: name.to_owned(), login, is_all: true, ..Caller::default() }
}

/// Returns a hash that no password has: who is not there takes as long to be refused as who is.
fn no_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash_password("").unwrap_or_default()).clone()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
