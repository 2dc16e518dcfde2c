//! Errors of the database.

use std::sync::Arc;

/// A request to the database failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or is full, locked or broken.
    #[error("{doing}: the database is unavailable")]
    Unavailable {
        /// The activity that failed.
        doing: &'static str,
        /// The database's own error.
        #[source]
        cause: sqlx::Error,
    },
    /// The server of the database does not take a connection.
    #[error(
        "connecting to the PostgreSQL server at {server}: check that it runs there and what `server.database` says"
    )]
    NoServer {
        /// Host and port.
        server: String,
        /// The cause.
        #[source]
        cause: sqlx::Error,
    },
    /// A batch failed, and with it everything that was stored in it.
    #[error(transparent)]
    Together(Arc<Error>),
    /// Another attempt has the build, or it has ended: nothing was written.
    #[error("the lease on the build is lost")]
    LeaseLost,
    /// Somebody else did the same at the same time.
    #[error("another did the same in this moment; try again")]
    Conflict,
    /// An earlier attempt may still be moving the tag, and did not end in time.
    #[error("another build has been moving the tag `{0}` for too long")]
    TagHeld(String),
    /// A newer slipway has been here.
    #[error("the database has schema {found}, this slipway knows {known}: use the newer slipway, or restore a backup")]
    NewerSchema {
        /// Version of the schema.
        found: i64,
        /// Latest version this program knows.
        known: i64,
    },
    /// The URL names a kind of database that there is none of.
    #[error("`{0}:` is not a database that slipway knows: use sqlite:///path or postgres://user@host/name")]
    UnknownKind(String),
    /// A row does not hold what it should.
    #[error("{0} in the database is damaged")]
    Damaged(&'static str),
    /// The machine gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// Secrets are asked for, but nobody gave the key that seals them.
    #[error("there is no key for the secrets in the database")]
    NoKey,
    /// A secret was sealed with another key, or moved to another name.
    #[error("the secret `{0}` cannot be opened with this key")]
    WrongKey(String),
}

impl Error {
    pub(crate) fn unavailable(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |cause| Error::Unavailable { doing, cause }
    }

    /// Tells a row that another was faster to write from other trouble.
    pub(crate) fn or_conflict(self) -> Self {
        match &self {
            Error::Unavailable { cause: sqlx::Error::Database(cause), .. } if cause.is_unique_violation() => {
                Error::Conflict
            }
            Error::Unavailable { cause: sqlx::Error::RowNotFound, .. } => Error::Conflict,
            _ => self,
        }
    }
}
