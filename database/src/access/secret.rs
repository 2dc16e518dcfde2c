//! Secrets of repositories, sealed: whoever reads the database without the key learns their names and lengths only.

use crate::access::secret_key::{Place, SecretKey};
use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
/// Which of the stored secrets a key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFit {
    /// All of them, or there are none.
    All,
    /// Some were sealed with another key.
    Some {
        /// Those, as `repository:name`.
        foreign: Vec<String>,
    },
    /// There are secrets, and it opens none of them.
    None,
}

impl Database {
    /// Seals and stores a secret, in place of an earlier one of this name.
    pub async fn put_secret(&self, repository: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        let sealed = self.key()?.seal(&Place { repository, name }, value).ok_or(Error::NoKey)?;
        let now = self.now_ms().await?;
        sql(
            "storing a secret",
            "INSERT INTO secrets (repository, name, sealed, changed_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (repository, name) DO UPDATE SET sealed = excluded.sealed, changed_ms = excluded.changed_ms",
        )
        .bind(repository)
        .bind(name)
        .bind(sealed)
        .bind(now)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Tells whether anything was sealed.
    pub async fn has_secrets(&self) -> Result<bool, Error> {
        Ok(sql("looking for secrets", "SELECT 1 FROM secrets LIMIT 1").optional(self.read()).await?.is_some())
    }

    /// Finds out which of the secrets the key opens.
    pub async fn key_fit(&self) -> Result<KeyFit, Error> {
        let text = "SELECT repository, name, sealed FROM secrets ORDER BY repository, name";
        let rows = sql("trying the key of the secrets", text).all(self.read()).await?;
        let mut foreign = Vec::new();
        for row in &rows {
            let (repository, name): (String, String) = (row.get("repository")?, row.get("name")?);
            let place = Place { repository: &repository, name: &name };
            if self.key()?.open(&place, &row.get::<Vec<u8>>("sealed")?).is_none() {
                foreign.push(format!("{repository}:{name}"));
            }
        }
        Ok(match foreign.len() {
            0 => KeyFit::All,
            count if count == rows.len() => KeyFit::None,
            _ => KeyFit::Some { foreign },
        })
    }

    /// Returns the names of a repository's secrets.
    pub async fn secret_names(&self, repository: &str) -> Result<Vec<String>, Error> {
        let text = "SELECT name FROM secrets WHERE repository = $1 ORDER BY name";
        let rows = sql("reading the names of secrets", text).bind(repository).all(self.read()).await?;
        rows.iter().map(|row| row.get("name")).collect()
    }

    /// Returns those of the named secrets that there are, opened.
    pub async fn secrets(&self, repository: &str, names: &[String]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut opened = Vec::with_capacity(names.len());
        for name in names {
            let text = "SELECT sealed FROM secrets WHERE repository = $1 AND name = $2";
            let row = sql("reading a secret", text).bind(repository).bind(name).optional(self.read()).await?;
            let Some(row) = row else { continue };
            let value = self.key()?.open(&Place { repository, name }, &row.get::<Vec<u8>>("sealed")?);
            opened.push((name.clone(), value.ok_or_else(|| Error::WrongKey(name.clone()))?));
        }
        Ok(opened)
    }

    /// Removes a secret; tells whether there was one.
    pub async fn delete_secret(&self, repository: &str, name: &str) -> Result<bool, Error> {
        let text = "DELETE FROM secrets WHERE repository = $1 AND name = $2";
        Ok(sql("removing a secret", text).bind(repository).bind(name).run(self.write()).await? == 1)
    }

    /// Returns the key, which values are sealed with.
    pub(crate) fn key(&self) -> Result<&SecretKey, Error> {
        self.key.as_deref().ok_or(Error::NoKey)
    }
}
