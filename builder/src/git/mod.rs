//! Git: bare mirrors, fetches into them, and commits that are read without a checkout.

mod changes;
mod checkout;
mod commit;
#[cfg(test)]
pub(crate) mod committed;
mod directory;
mod error;
mod fetch;
mod fetch_request;
mod fetching;
pub(crate) mod gitdir;
mod leftovers;
mod lfs;
mod lfs_files;
mod lfs_server;
mod lfs_store;
mod logins;
mod mirror;
mod modules;
mod remote;
mod side_by_side;
mod ssh;
mod submodules;
#[cfg(test)]
mod tests;
mod unpack;
mod url;
mod usage;

pub use changes::{Change, MAX_CHANGES};
pub use checkout::Checkout;
pub use commit::CommitTree;
pub(crate) use commit::is_refused;
pub use directory::Directory;
pub(crate) use directory::followed;
pub use error::SourceError;
pub use fetch_request::{CommitId, FetchSettings, Revision};
pub use fetching::Fetching;
pub use lfs::Pointer;
pub(crate) use lfs_files::{Place as LfsPlace, fetch as fetch_pointed};
pub use lfs_server::LfsAccess;
pub use lfs_store::{LfsStore, remove_unused_contents};
pub use logins::Logins;
pub use mirror::Mirror;
pub use registry_client::without_credentials;
pub use remote::{Announced, RemoteError};
#[cfg(any(test, fuzzing))]
pub use remote::{read_advertisement, read_pack, read_refs};
pub use ssh::{HostKeys, SshAccess, SshFailure};
pub use submodules::SubmoduleAccess;
pub use unpack::enter_if_asked;
#[cfg(any(test, fuzzing))]
pub(crate) use unpack::unpack;
pub use url::GitContext;
pub use usage::{remove_last, remove_unused};
