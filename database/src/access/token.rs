//! Tokens of the API. Only their hashes are stored.

use crate::database::Database;
use crate::error::Error;
use crate::model::json::to_json;
use crate::sql::columns::{columns, document, get};
use crate::sql::statement::sql;
/// How exact the time of the last use is: not every request writes.
const USE_MS: i64 = 60_000;

/// The select list of a record, for statements.
const TOKEN: &str = TokenRecord::COLUMNS;

/// A token about to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name, never used before.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Its scopes: `read`, `trigger`, `admin`.
    pub scopes: Vec<String>,
    /// The repositories it is good for; empty for all.
    pub repositories: Vec<String>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Whose it is: it may no more than they; `None` for one that stands alone.
    pub identity: Option<i64>,
}

columns! {
    /// A token as it is stored.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TokenRecord {
        /// Its name.
        pub name: String = get "name",
        /// Its scopes.
        pub scopes: Vec<String> = document "scopes_json",
        /// The repositories it is good for; empty for all.
        pub repositories: Vec<String> = document "repositories_json",
        /// When it was made, in milliseconds since 1970.
        pub created_ms: i64 = get "created_ms",
        /// When it ends.
        pub expires_ms: Option<i64> = get "expires_ms",
        /// When it was last used, to the minute.
        pub last_used_ms: Option<i64> = get "last_used_ms",
        /// When it was revoked.
        pub revoked_ms: Option<i64> = get "revoked_ms",
        /// Whose it is; `None` for one that stands alone.
        pub identity: Option<i64> = get "identity",
    }
}

impl Database {
    /// Stores a token; tells whether its name was free.
    pub async fn create_token(&self, token: &NewToken) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let written = sql(
            "storing a token",
            "INSERT INTO tokens (name, hash, scopes_json, repositories_json, created_ms, expires_ms, identity) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&token.name)
        .bind(hex::encode(token.hash))
        .bind(to_json(&token.scopes)?)
        .bind(to_json(&token.repositories)?)
        .bind(now)
        .bind(token.expires_ms)
        .bind(token.identity)
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
        let Some(token) = row.as_ref().map(TokenRecord::read).transpose()? else { return Ok(None) };
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
        sql("reading the tokens", text).all(self.read()).await?.iter().map(TokenRecord::read).collect()
    }

    /// Returns the tokens of somebody that are good, by name.
    pub async fn tokens_of(&self, identity: i64) -> Result<Vec<TokenRecord>, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT {TOKEN} FROM tokens WHERE identity = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2) \
             ORDER BY name"
        );
        let rows = sql("reading somebody's tokens", text).bind(identity).bind(now).all(self.read()).await?;
        rows.iter().map(TokenRecord::read).collect()
    }

    /// Revokes a token; tells whether there was one that was not revoked yet.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let text = "UPDATE tokens SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL";
        Ok(sql("revoking a token", text).bind(name).bind(now).run(self.write()).await? == 1)
    }
}
