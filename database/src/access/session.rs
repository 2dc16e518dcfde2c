//! Sessions of people who signed in with a token of the API. Only hashes are stored, of the session and of its token.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// Random bytes of a session's id.
const LENGTH: usize = 32;

impl Database {
    /// Begins a session for the token with this hash, good for so many milliseconds, and returns its id; sessions that have
    /// expired are removed.
    pub async fn begin_session(&self, token_hash: &[u8; 32], span_ms: i64) -> Result<String, Error> {
        let mut random = [0; LENGTH];
        SystemRandom::new().fill(&mut random).map_err(|_| Error::NoRandomness)?;
        let id = hex::encode(random);
        let now = self.now_ms().await?;
        let text = "DELETE FROM sessions WHERE expires_ms <= $1";
        sql("removing old sessions", text).bind(now).run(self.write()).await?;
        let text = "INSERT INTO sessions (hash, token_hash, created_ms, expires_ms) VALUES ($1, $2, $3, $4)";
        let statement = sql("storing a session", text).bind(hash(&id)).bind(hex::encode(token_hash));
        statement.bind(now).bind(now + span_ms).run(self.write()).await?;
        Ok(id)
    }

    /// Returns the hash of the token of a session that is neither ended nor expired.
    pub async fn token_of_session(&self, id: &str) -> Result<Option<[u8; 32]>, Error> {
        let now = self.now_ms().await?;
        let text = "SELECT token_hash FROM sessions WHERE hash = $1 AND expires_ms > $2";
        let row = sql("reading a session", text).bind(hash(id)).bind(now).optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let digits: String = row.get("token_hash")?;
        let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Some).ok_or(Error::Damaged("the token of a session"))
    }

    /// Ends a session.
    pub async fn end_session(&self, id: &str) -> Result<(), Error> {
        let text = "DELETE FROM sessions WHERE hash = $1";
        sql("ending a session", text).bind(hash(id)).run(self.write()).await?;
        Ok(())
    }
}

fn hash(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}
