//! Repositories over ssh: their addresses, the keys of hosts that are trusted, and sessions that speak git and nothing else.

mod access;
mod address;
mod session;

pub use access::{HostKeys, SshAccess};
pub(crate) use address::SshAddress;
pub use session::SshFailure;
pub(crate) use session::SshSession;
