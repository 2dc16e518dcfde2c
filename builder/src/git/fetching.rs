//! How repositories are fetched that a Dockerfile or a command line names.

use super::fetch_request::FetchSettings;
use super::lfs_server::LfsAccess;
use crate::walk::Walk;
use std::path::PathBuf;

/// Where repositories are fetched to that a Dockerfile or a command line names, and how.
#[derive(Clone)]
pub struct Fetching {
    /// Directory of the mirrors; it is shared only by builds that may see the same repositories.
    pub mirrors: PathBuf,
    /// How to fetch.
    pub settings: FetchSettings,
    /// How the files are fetched that Git LFS keeps, if they are.
    pub lfs: Option<LfsAccess>,
    /// Paths that one instruction may take of what is fetched, or of any other place.
    pub max_paths: usize,
}

impl Fetching {
    /// Returns a walk through trees within these limits; it ends with the build.
    pub fn walk(&self) -> Walk {
        Walk::new(self.max_paths, &self.settings.cancel)
    }
}
