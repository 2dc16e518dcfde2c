//! The repositories: those of the configuration, and those that the API keeps in the database. Deliveries look here, so
//! they are kept in memory, and the database is asked for changes once a second.

use crate::document::{RepositoryDocument, compile, from_json};
use crate::settings::Repository;
use database::{Database, RepositoryRecord};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is taken for true: another server may have changed it.
const FRESH: Duration = Duration::from_secs(1);
/// Name under which the key of deliveries is kept among a repository's secrets; no secret of a user is called so.
pub const KEY: &str = "@deliveries";
/// The key before.
pub const PREVIOUS_KEY: &str = "@deliveries-before";

/// A repository as it is written and as it is meant.
#[derive(Debug)]
pub struct Entry {
    /// As it is written.
    pub document: RepositoryDocument,
    /// As it is meant.
    pub repository: Repository,
    /// Version in the database; `None` for one of the configuration.
    pub version: Option<i64>,
}

/// All repositories.
pub struct Catalog {
    fixed: Vec<Arc<Entry>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    read_at: Option<Instant>,
    entries: Arc<Vec<Arc<Entry>>>,
}

impl Catalog {
    /// Returns a catalog of the configuration's repositories; those of the database come when they are asked for.
    pub fn new(fixed: &[(RepositoryDocument, Repository)]) -> Catalog {
        let entry = |(document, repository): &(RepositoryDocument, Repository)| {
            Arc::new(Entry { document: document.clone(), repository: repository.clone(), version: None })
        };
        Catalog { fixed: fixed.iter().map(entry).collect(), kept: Mutex::default() }
    }

    /// Returns all repositories, by name.
    pub async fn all(&self, database: &Database) -> Result<Arc<Vec<Arc<Entry>>>, database::Error> {
        let known = {
            let kept = self.kept();
            if kept.read_at.is_some_and(|at| at.elapsed() < FRESH) {
                return Ok(kept.entries.clone());
            }
            kept.entries.clone()
        };
        // Taken before the rows are read: what changes meanwhile is read again.
        let read_at = Instant::now();
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
        *self.kept() = Kept { read_at: Some(read_at), entries: entries.clone() };
        Ok(entries)
    }

    /// Returns the repository `name`.
    pub async fn get(&self, database: &Database, name: &str) -> Result<Option<Arc<Entry>>, database::Error> {
        Ok(self.all(database).await?.iter().find(|entry| entry.document.name == name).cloned())
    }

    /// Tells whether the configuration defines a repository.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.iter().any(|entry| entry.document.name == name)
    }

    /// Says that the database holds something else now.
    pub fn changed(&self) {
        self.kept().read_at = None;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a repository of the database; one that this version cannot read is left out, and the log says so.
async fn read(database: &Database, record: RepositoryRecord) -> Result<Option<Entry>, database::Error> {
    let keys = keys(database, &record.name).await?;
    let document: Result<RepositoryDocument, _> = from_json(record.document.as_bytes());
    let meant = document.map_err(|error| error.to_string()).and_then(|document| {
        let repository = compile(&document, keys)?;
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
    // A database that has no key holds no secrets either.
    let mut found = match database.secrets(name, &names).await {
        Err(database::Error::NoKey) => Vec::new(),
        other => other?,
    };
    found.sort_by_key(|(name, _)| name != KEY);
    Ok(found.into_iter().filter_map(|(_, value)| String::from_utf8(value).ok()).collect())
}
