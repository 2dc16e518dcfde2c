//! Refresh tokens: a client that logged in once gets new access tokens with one. Only hashes are stored.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// How a refresh token begins, so that scanners for leaked secrets recognise one.
const PREFIX: &str = "slr_";
/// Most tokens of an account: those who log in once more end the oldest.
const MAX_TOKENS: usize = 100;
/// Random bytes of a token.
const LENGTH: usize = 32;

/// A refresh token that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The account.
    pub account: String,
    /// Ties it to the password that the account had when it was made.
    pub login: String,
}

impl Database {
    /// Makes a refresh token of an account that is good for so many milliseconds; the oldest of too many end. `login` is what
    /// ties it to the password that the account has.
    pub async fn add_refresh_token(&self, account: &str, login: &str, span_ms: i64) -> Result<String, Error> {
        let mut random = [0; LENGTH];
        SystemRandom::new().fill(&mut random).map_err(|_| Error::NoRandomness)?;
        let token = format!("{PREFIX}{}", hex::encode(random));
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let text = format!(
            "DELETE FROM registry_refresh_tokens WHERE account = $1 AND (expires_ms <= $2 OR hash NOT IN (SELECT hash FROM \
             registry_refresh_tokens WHERE account = $1 ORDER BY created_ms DESC, hash LIMIT {}))",
            MAX_TOKENS - 1
        );
        sql("removing old tokens", text).bind(account).bind(now).run(transaction.on()).await?;
        let text = "INSERT INTO registry_refresh_tokens (hash, account, login, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5)";
        let statement = sql("storing a refresh token", text).bind(hash(&token)).bind(account).bind(login);
        statement.bind(now).bind(now + span_ms).run(transaction.on()).await?;
        transaction.commit("storing a refresh token").await?;
        Ok(token)
    }

    /// Returns a refresh token that has not ended.
    pub async fn refresh_token(&self, token: &str) -> Result<Option<RefreshToken>, Error> {
        let now = self.now_ms().await?;
        let text = "SELECT account, login FROM registry_refresh_tokens WHERE hash = $1 AND expires_ms > $2";
        let row = sql("reading a refresh token", text).bind(hash(token)).bind(now).optional(self.read()).await?;
        row.map(|row| Ok(RefreshToken { account: row.get("account")?, login: row.get("login")? })).transpose()
    }
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}
