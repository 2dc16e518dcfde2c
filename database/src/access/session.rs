//! Sessions of people who signed in: as somebody who is known, or with a token of the API. Only hashes are stored, of the
//! session and of its token.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{Row, sql};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// Random bytes of a session's id.
const LENGTH: usize = 32;
/// Digits of a session's hash that name it.
const NAME_DIGITS: usize = 16;
/// Longest name of a browser that is stored.
const MAX_BROWSER: usize = 200;

/// The owner of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOwner {
    /// A token, by its hash.
    Token([u8; 32]),
    /// Somebody who is known, by the number of their identity.
    Identity(i64),
}

/// A session about to begin.
#[derive(Debug, Clone)]
pub struct NewSession<'s> {
    /// The owner.
    pub owner: SessionOwner,
    /// How many milliseconds it is good for.
    pub span_ms: i64,
    /// The address that it begins at.
    pub address: String,
    /// The browser, as it says.
    pub browser: &'s str,
}

/// A session of somebody, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name, which is not its id and signs nobody in.
    pub name: String,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// The address that it began at.
    pub address: String,
    /// The browser, as it said.
    pub browser: String,
}

impl Database {
    /// Begins a session and returns its id; sessions that have expired are removed.
    pub async fn begin_session(&self, session: &NewSession<'_>) -> Result<String, Error> {
        let mut random = [0; LENGTH];
        SystemRandom::new().fill(&mut random).map_err(|_| Error::NoRandomness)?;
        let id = hex::encode(random);
        let now = self.now_ms().await?;
        let text = "DELETE FROM sessions WHERE expires_ms <= $1";
        sql("removing old sessions", text).bind(now).run(self.write()).await?;
        let (token, identity) = match &session.owner {
            SessionOwner::Token(hash) => (hex::encode(hash), None),
            SessionOwner::Identity(identity) => (String::new(), Some(*identity)),
        };
        let text = "INSERT INTO sessions (hash, token_hash, created_ms, expires_ms, identity, address, browser) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let statement = sql("storing a session", text).bind(hash(&id)).bind(token).bind(now);
        let statement = statement.bind(now + session.span_ms).bind(identity).bind(&session.address);
        let browser: String = session.browser.chars().filter(|char| !char.is_control()).take(MAX_BROWSER).collect();
        statement.bind(browser).run(self.write()).await?;
        Ok(id)
    }

    /// Returns the owner of a session that is neither ended nor expired.
    pub async fn owner_of_session(&self, id: &str) -> Result<Option<SessionOwner>, Error> {
        let now = self.now_ms().await?;
        let text = "SELECT token_hash, identity FROM sessions WHERE hash = $1 AND expires_ms > $2";
        let row = sql("reading a session", text).bind(hash(id)).bind(now).optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        if let Some(identity) = row.get::<Option<i64>>("identity")? {
            return Ok(Some(SessionOwner::Identity(identity)));
        }
        let digits: String = row.get("token_hash")?;
        let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|hash| Some(SessionOwner::Token(hash))).ok_or(Error::Damaged("the token of a session"))
    }

    /// Returns somebody's sessions, the newest first.
    pub async fn sessions_of(&self, identity: i64) -> Result<Vec<Session>, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT substr(hash, 1, {NAME_DIGITS}) AS name, created_ms, expires_ms, address, browser FROM sessions \
             WHERE identity = $1 AND expires_ms > $2 ORDER BY created_ms DESC, hash"
        );
        let rows = sql("reading somebody's sessions", text).bind(identity).bind(now).all(self.read()).await?;
        rows.iter().map(session).collect()
    }

    /// Ends a session.
    pub async fn end_session(&self, id: &str) -> Result<(), Error> {
        let text = "DELETE FROM sessions WHERE hash = $1";
        sql("ending a session", text).bind(hash(id)).run(self.write()).await?;
        Ok(())
    }

    /// Ends the session of somebody that is listed under this name; tells whether there was one.
    pub async fn end_session_named(&self, identity: i64, name: &str) -> Result<bool, Error> {
        let text = format!("DELETE FROM sessions WHERE identity = $1 AND substr(hash, 1, {NAME_DIGITS}) = $2");
        Ok(sql("ending a session", text).bind(identity).bind(name).run(self.write()).await? > 0)
    }

    /// Ends all sessions of somebody, but for the one with this id; returns how many those were.
    pub async fn end_sessions_of(&self, identity: i64, but: Option<&str>) -> Result<u64, Error> {
        let text = "DELETE FROM sessions WHERE identity = $1 AND hash <> $2";
        let kept = but.map(hash).unwrap_or_default();
        sql("ending somebody's sessions", text).bind(identity).bind(kept).run(self.write()).await
    }
}

/// Returns the name under which a session is listed.
pub fn session_name(id: &str) -> String {
    hash(id).chars().take(NAME_DIGITS).collect()
}

fn session(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        address: row.get("address")?,
        browser: row.get("browser")?,
    })
}

fn hash(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}
