//! The ids that forges have for repositories: one that was renamed or transferred is known by it.

use crate::database::Database;
use crate::error::Error;
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;

columns! {
    /// A repository as its forge knows it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ForgeRepository {
        /// `namespace/name` here.
        pub repository: String = get "repository",
        /// The forge that told it.
        pub forge: String = get "forge",
        /// The forge's id.
        pub forge_id: String = get "forge_id",
        /// The forge's name, as it was told last.
        pub forge_name: String = get "forge_name",
        /// When it became another one than the server has, in milliseconds since 1970.
        pub moved_ms: Option<i64> = get "moved_ms",
        /// Whether the forge itself says so.
        pub is_confirmed: bool = get "is_confirmed",
    }
}

/// A repository as a delivery names it.
#[derive(Debug, Clone)]
pub struct ToldRepository<'t> {
    /// `namespace/name` here.
    pub repository: &'t str,
    /// The forge that told it.
    pub forge: &'t str,
    /// The forge's id.
    pub forge_id: &'t str,
    /// The forge's name.
    pub forge_name: &'t str,
    /// Whether the server has another name.
    pub has_moved: bool,
}

impl Database {
    /// Returns all repositories whose ids are known.
    pub async fn forge_repositories(&self) -> Result<Vec<ForgeRepository>, Error> {
        let text = format!("SELECT {} FROM forge_repositories ORDER BY repository", ForgeRepository::COLUMNS);
        let rows = sql("reading ids of repositories", text).all(self.read()).await?;
        rows.iter().map(ForgeRepository::read).collect()
    }

    /// Returns how its forge knows a repository.
    pub async fn forge_repository(&self, repository: &str) -> Result<Option<ForgeRepository>, Error> {
        let text = format!("SELECT {} FROM forge_repositories WHERE repository = $1", ForgeRepository::COLUMNS);
        let row = sql("reading the id of a repository", text).bind(repository).optional(self.read()).await?;
        row.as_ref().map(ForgeRepository::read).transpose()
    }

    /// Takes note of the id and the name that a delivery tells.
    pub async fn note_forge_repository(&self, told: &ToldRepository<'_>) -> Result<(), Error> {
        let now = self.now_ms().await?;
        sql(
            "noting the id of a repository",
            "INSERT INTO forge_repositories (repository, forge, forge_id, forge_name, moved_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (repository) DO UPDATE SET forge = excluded.forge, forge_id = excluded.forge_id, \
             forge_name = excluded.forge_name, moved_ms = excluded.moved_ms, is_confirmed = FALSE",
        )
        .bind(told.repository)
        .bind(told.forge)
        .bind(told.forge_id)
        .bind(told.forge_name)
        .bind(told.has_moved.then_some(now))
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Takes note that the forge itself says what a repository's name is now.
    pub async fn confirm_forge_name(&self, known: &ForgeRepository) -> Result<(), Error> {
        let text = "UPDATE forge_repositories SET is_confirmed = TRUE WHERE repository = $1 AND forge_id = $2 AND forge_name = $3";
        let statement = sql("noting the name of a repository", text);
        let statement = statement.bind(&known.repository).bind(&known.forge_id).bind(&known.forge_name);
        statement.run(self.write()).await.map(drop)
    }
}
