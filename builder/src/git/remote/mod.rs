//! A repository on a server, over smart HTTP: what its refs name, and packs of its commits.
//!
//! Version 2 of the protocol is spoken without asking first whether the server does: one request tells what a branch
//! names, one more brings the commit. Only who does not understand is asked for what it understands, which is version 0.
//! libgit2, which reads what was fetched, speaks version 0 only, in three requests, and cannot be interrupted.

mod advertised;
mod connection;
mod error;
mod pack;
mod packet;
mod refs;
#[cfg(any(test, fuzzing))]
mod scripted;

pub use advertised::Announced;
pub(crate) use connection::Remote;
pub use error::RemoteError;
pub(crate) use error::SHA256;
pub(crate) use pack::Want;
#[cfg(any(test, fuzzing))]
pub use scripted::{read_advertisement, read_pack, read_refs};
