//! The two databases, and all in which they differ: connections, clock, locks, announcements.
//!
//! Statements are written once. What stands between `/*+` and `*/` in one is for PostgreSQL alone: SQLite takes it for a
//! comment, and needs no row locks because it has one writer.

mod connect;
mod statement;
mod transaction;

pub use connect::Store;
pub use statement::{On, Row, Value, sql};
pub use transaction::{Alone, Transaction};

use std::time::Duration;

/// How long a statement waits for a connection or for another's transaction.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The channel on which PostgreSQL says that there is work.
pub const WORK: &str = "slipway_work";
