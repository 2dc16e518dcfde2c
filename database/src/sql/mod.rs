//! The two databases, and all in which they differ: connections, clock, locks, announcements.
//!
//! Statements are written once. Text between `/*+` and `*/` is for PostgreSQL alone: SQLite takes it for a
//! comment, and needs no row locks because it has one writer.

pub(crate) mod announcements;
pub(crate) mod build_changes;
pub(crate) mod clock;
pub(crate) mod clock_skew;
pub(crate) mod columns;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod faults;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod reserve;
pub(crate) mod schema;
pub(crate) mod statement;
pub(crate) mod states;
pub(crate) mod target;
pub(crate) mod transaction;
