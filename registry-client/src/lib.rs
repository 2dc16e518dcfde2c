//! References, digests, image documents, registry authentication, pull and push.
//!
//! Knows no containers and no builds.
#![forbid(unsafe_code)]

mod digest;
mod document;
pub mod media_type;
mod platform;
mod reference;

pub use digest::{DiffId, Digest, DigestError};
pub use document::{ContainerConfig, Descriptor, Empty, Healthcheck, History, ImageConfig, Index, Manifest, RootFs};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever asked: retrying the same does not help.
    User,
    /// A registry, a forge or a mirror: it may help to try again later.
    Upstream,
    /// slipway or its machine.
    Service,
}
