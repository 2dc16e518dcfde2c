//! All repositories, of the configuration and of the API, and the Apps that were made on a page. Each delivery needs them, so
//! they are cached in memory, and the database is asked for changes once a second.

use crate::configuration::document::{RepositoryDocument, compile, from_json};
use crate::configuration::forges::Forges;
use crate::configuration::settings::{Repository, Settings};
use crate::forges::made_apps;
use database::{Database, RepositoryRecord};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is taken for true: another server may have changed it.
const CACHE_TTL: Duration = Duration::from_secs(1);
/// Name under which the key of deliveries is kept among a repository's secrets; no secret of a user is called so.
pub(crate) const KEY: &str = "@deliveries";
/// The key before.
pub(crate) const PREVIOUS_KEY: &str = "@deliveries-before";

/// Returns the name under which the key of a webhook's requests is kept among a repository's secrets.
pub(crate) fn webhook_key(webhook: &str) -> String {
    format!("@webhook/{webhook}")
}

/// A repository as it is written and as it is meant.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As it is written.
    pub document: RepositoryDocument,
    /// As it is meant.
    pub repository: Repository,
    /// Version in the database; `None` for one of the configuration.
    pub version: Option<i64>,
}

/// All repositories.
pub(crate) struct Catalog {
    fixed: Vec<Arc<Entry>>,
    forges: Forges,
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    read_at: Option<Instant>,
    entries: Arc<Vec<Arc<Entry>>>,
}

impl Catalog {
    /// Returns a catalog of the configuration's repositories; those of the database come when they are asked for.
    pub(crate) fn new(settings: &Settings) -> Catalog {
        let entry = |(document, repository): &(RepositoryDocument, Repository)| {
            Arc::new(Entry { document: document.clone(), repository: repository.clone(), version: None })
        };
        let fixed = settings.repositories.iter().map(entry).collect();
        Catalog { fixed, forges: settings.forges.clone(), cached: Mutex::default() }
    }

    /// Returns all repositories, by name.
    pub(crate) async fn all(&self, database: &Database) -> Result<Arc<Vec<Arc<Entry>>>, database::Error> {
        let known = {
            let cached = self.cached();
            if cached.read_at.is_some_and(|at| at.elapsed() < CACHE_TTL) {
                return Ok(cached.entries.clone());
            }
            cached.entries.clone()
        };
        // Taken before the rows are read: what changes meanwhile is read again.
        let read_at = Instant::now();
        made_apps::load(database, &self.forges).await?;
        let mut entries = self.fixed.clone();
        for record in database.repositories().await? {
            if self.is_fixed(&record.name) {
                continue;
            }
            let same =
                |entry: &&Arc<Entry>| entry.document.name == record.name && entry.version == Some(record.version);
            match known.iter().find(same) {
                Some(entry) => entries.push(entry.clone()),
                None => entries.extend(read(database, record).await?.map(Arc::new)),
            }
        }
        entries.sort_by(|one, other| one.document.name.cmp(&other.document.name));
        let entries = Arc::new(entries);
        *self.cached() = Cached { read_at: Some(read_at), entries: entries.clone() };
        Ok(entries)
    }

    /// Returns the repository `name`.
    pub(crate) async fn get(&self, database: &Database, name: &str) -> Result<Option<Arc<Entry>>, database::Error> {
        Ok(self.all(database).await?.iter().find(|entry| entry.document.name == name).cloned())
    }

    /// Tells whether the configuration defines a repository.
    pub(crate) fn is_fixed(&self, name: &str) -> bool {
        self.fixed.iter().any(|entry| entry.document.name == name)
    }

    /// Says that the database holds something else now.
    pub(crate) fn changed(&self) {
        self.cached().read_at = None;
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a repository of the database; one that this version cannot read is left out, and the log says so.
async fn read(database: &Database, record: RepositoryRecord) -> Result<Option<Entry>, database::Error> {
    let keys = keys(database, &record.name).await?;
    let webhook_keys = webhook_keys(database, &record).await?;
    let document: Result<RepositoryDocument, _> = from_json(record.document.as_bytes());
    let meant = document.map_err(|error| error.to_string()).and_then(|document| {
        // Keys of before they were checked stay good until they are changed.
        let mut repository = compile(&document, Vec::new())?;
        repository.keys = keys;
        for webhook in &mut repository.webhooks {
            webhook.key =
                webhook_keys.iter().find(|(name, _)| *name == webhook_key(&webhook.name)).map(|(_, key)| key.clone());
        }
        Ok(Entry { document, repository, version: Some(record.version) })
    });
    meant.map(Some).or_else(|problem| {
        tracing::error!(repo = record.name, problem, "a repository in the database cannot be used");
        Ok(None)
    })
}

/// Returns the keys of a repository's deliveries, the present one first.
async fn keys(database: &Database, name: &str) -> Result<Vec<String>, database::Error> {
    let names = [KEY.to_owned(), PREVIOUS_KEY.to_owned()];
    let mut found = opened(database, name, &names).await?;
    found.sort_by_key(|(name, _)| name != KEY);
    Ok(found.into_iter().map(|(_, value)| value).collect())
}

/// Returns the keys of the requests to a repository's webhooks, by the names under which they are kept.
async fn webhook_keys(
    database: &Database,
    record: &RepositoryRecord,
) -> Result<Vec<(String, String)>, database::Error> {
    let names = database.secret_names(&record.name).await?;
    let names: Vec<String> = names.into_iter().filter(|name| name.starts_with(&webhook_key(""))).collect();
    opened(database, &record.name, &names).await
}

async fn opened(
    database: &Database,
    repository: &str,
    names: &[String],
) -> Result<Vec<(String, String)>, database::Error> {
    // A database that has no key holds no secrets either.
    let found = match database.secrets(repository, names).await {
        Err(database::Error::NoKey) => Vec::new(),
        other => other?,
    };
    Ok(found.into_iter().filter_map(|(name, value)| Some((name, String::from_utf8(value).ok()?))).collect())
}
