//! The party that is to blame for a failure.

/// The party that is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The user: retrying the same request does not help.
    User,
    /// A registry, a forge or a mirror: it may help to try again later.
    Upstream,
    /// slipway or its machine.
    Service,
}
