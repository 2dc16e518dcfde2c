//! What can go wrong with the database.

/// A request to the database failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or is full, locked or broken.
    #[error("{doing}: the database is unavailable")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        cause: sqlx::Error,
    },
    /// Another attempt has the build, or it has ended: nothing was written.
    #[error("the lease on the build is lost")]
    LeaseLost,
    /// A newer slipway has been here.
    #[error("the database has schema {found}, this slipway knows {known}: use the newer slipway, or restore a backup")]
    NewerSchema {
        /// Version of the schema.
        found: i64,
        /// Latest version this program knows.
        known: i64,
    },
    /// The URL names a kind of database that there is none of.
    #[error("`{0}:` is no database that slipway knows: use sqlite:///path")]
    UnknownKind(String),
    /// A row does not hold what it should.
    #[error("{0} in the database is damaged")]
    Damaged(&'static str),
}

impl Error {
    pub(crate) fn unavailable(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |cause| Error::Unavailable { doing, cause }
    }
}
