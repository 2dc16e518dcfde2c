//! Tokens of the API. Only their hashes are stored.

use crate::database::Database;
use crate::error::Error;
use crate::model::json::{json, to_json};
use crate::sql::statement::{Row, sql};
/// How exact the time of the last use is: not every request writes.
const USE_MS: i64 = 60_000;

const TOKEN: &str = "name, scopes_json, repositories_json, created_ms, expires_ms, last_used_ms, revoked_ms";

/// A token about to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name, never used before.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it may be used for: `read`, `trigger`, `admin`.
    pub scopes: Vec<String>,
    /// The repositories it is good for; empty for all.
    pub repositories: Vec<String>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// The repositories it is good for; empty for all.
    pub repositories: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

impl Database {
    /// Stores a token; tells whether its name was free.
    pub async fn create_token(&self, token: &NewToken) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let written = sql(
            "storing a token",
            "INSERT INTO tokens (name, hash, scopes_json, repositories_json, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&token.name)
        .bind(hex::encode(token.hash))
        .bind(to_json(&token.scopes)?)
        .bind(to_json(&token.repositories)?)
        .bind(now)
        .bind(token.expires_ms)
        .run(self.write())
        .await?;
        Ok(written == 1)
    }

    /// Returns the token with this hash, if it is neither revoked nor expired, and takes note of its use.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT {TOKEN} FROM tokens WHERE hash = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2)"
        );
        let row = sql("reading a token", text).bind(hex::encode(hash)).bind(now).optional(self.read()).await?;
        let Some(token) = row.as_ref().map(record).transpose()? else { return Ok(None) };
        if token.last_used_ms.is_none_or(|used| now - used >= USE_MS) {
            sql("writing the use of a token", "UPDATE tokens SET last_used_ms = $2 WHERE name = $1")
                .bind(&token.name)
                .bind(now)
                .run(self.write())
                .await?;
        }
        Ok(Some(token))
    }

    /// Returns all tokens, by name, those that are no more good for anything too.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, Error> {
        let text = format!("SELECT {TOKEN} FROM tokens ORDER BY name");
        sql("reading the tokens", text).all(self.read()).await?.iter().map(record).collect()
    }

    /// Revokes a token; tells whether there was one that was not revoked yet.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let text = "UPDATE tokens SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL";
        Ok(sql("revoking a token", text).bind(name).bind(now).run(self.write()).await? == 1)
    }
}

fn record(row: &Row) -> Result<TokenRecord, Error> {
    Ok(TokenRecord {
        name: row.get(0)?,
        scopes: json(&row.get::<String>(1)?)?,
        repositories: json(&row.get::<String>(2)?)?,
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
        last_used_ms: row.get(5)?,
        revoked_ms: row.get(6)?,
    })
}
