//! The ids that forges have for the repositories: each delivery is looked up by them, so they are cached in memory.

use crate::forges::{Forge, Message};
use crate::intake::catalog::Entry;
use database::{Database, ForgeRepository, ToldRepository};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is taken for true: another server may have changed it.
const CACHE_TTL: Duration = Duration::from_secs(2);

/// The known ids.
#[derive(Default)]
pub(crate) struct KnownIds {
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    read_at: Option<Instant>,
    known: Arc<ById>,
}

/// Repositories as their forges know them, by their names here.
pub(crate) type ById = HashMap<String, ForgeRepository>;

impl KnownIds {
    /// Returns all of them.
    pub(crate) async fn all(&self, database: &Database) -> Result<Arc<ById>, database::Error> {
        {
            let cached = self.cached();
            if cached.read_at.is_some_and(|at| at.elapsed() < CACHE_TTL) {
                return Ok(cached.known.clone());
            }
        }
        let read_at = Some(Instant::now());
        let known = database.forge_repositories().await?;
        let known = Arc::new(known.into_iter().map(|one| (one.repository.clone(), one)).collect::<ById>());
        *self.cached() = Cached { read_at, known: known.clone() };
        Ok(known)
    }

    /// Takes note of what a verified delivery tells of a repository: its id, and a name that the server does not have.
    pub(crate) async fn note(
        &self,
        database: &Database,
        entry: &Entry,
        forge: Forge,
        message: &Message,
    ) -> Result<(), database::Error> {
        let (Some(id), Some(name)) = (&message.repository_id, &message.repository) else { return Ok(()) };
        let repository = entry.document.name.as_str();
        let has_moved = !entry.repository.forge_name.eq_ignore_ascii_case(name);
        let all = self.all(database).await?;
        let is_known = all.get(repository).is_some_and(|known| {
            (known.forge.as_str(), &known.forge_id, &known.forge_name) == (forge.as_str(), id, name)
                && known.moved_ms.is_some() == has_moved
        });
        if is_known {
            return Ok(());
        }
        if has_moved {
            tracing::warn!(
                repo = repository,
                forge_name = name,
                "the forge calls a repository by another name: set its `forge_name`"
            );
        }
        let forge = forge.as_str();
        let told = ToldRepository { repository, forge, forge_id: id, forge_name: name, has_moved };
        database.note_forge_repository(&told).await?;
        self.cached().read_at = None;
        Ok(())
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether the forge has this id for a repository.
pub(crate) fn is_id_of(known: &ById, forge: Forge, entry: &Entry, is_it: impl Fn(&str) -> bool) -> bool {
    let known = known.get(&entry.document.name);
    known.is_some_and(|known| known.forge == forge.as_str() && is_it(&known.forge_id))
}
