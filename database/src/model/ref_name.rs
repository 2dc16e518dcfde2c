//! Names of refs.

/// A ref of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefName<'a> {
    /// `namespace/name` of the repository in the configuration.
    pub repository: &'a str,
    /// Full name of the ref: `refs/heads/main`.
    pub git_ref: &'a str,
}
