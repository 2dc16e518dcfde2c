//! The database on real files and servers.
