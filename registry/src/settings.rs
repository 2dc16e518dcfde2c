//! Settings: how the registry is served.

use crate::access::Access;
use crate::events::Endpoint;
use crate::policy::{ImmutableTags, Quota};
use crate::retention::RetentionRule;
use axum::http::HeaderMap;
use database::Database;
use image_store::Mirrors;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Finds the address that a request came from, whichever proxies stand between.
#[derive(Clone)]
pub struct ClientAddress(Arc<Find>);

type Find = dyn Fn(IpAddr, &HeaderMap) -> IpAddr + Send + Sync;

impl ClientAddress {
    /// Returns one that finds it from the address of the other end of the connection and the headers.
    pub fn new(find: impl Fn(IpAddr, &HeaderMap) -> IpAddr + Send + Sync + 'static) -> Self {
        ClientAddress(Arc::new(find))
    }

    /// Returns the address as it is counted and recorded.
    pub(crate) fn of(&self, peer: IpAddr, headers: &HeaderMap) -> String {
        (self.0)(peer, headers).to_canonical().to_string()
    }
}

impl Default for ClientAddress {
    fn default() -> Self {
        ClientAddress::new(|peer, _| peer)
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientAddress")
    }
}

/// How the registry is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Access to it.
    pub access: Access,
    /// Whether a manifest may name blobs and manifests that its repository does not have.
    pub sparse_manifests: bool,
    /// Whether a manifest that is put by digest gets the tags of its `tag` parameters (version 1.2 of the specification).
    pub tag_parameters: bool,
    /// The URL under which others reach the registry; taken from each request if it is not given.
    pub public_url: Option<String>,
    /// Tags that never move.
    pub immutable_tags: Vec<ImmutableTags>,
    /// How much repositories may hold; of several for one repository the first counts.
    pub quotas: Vec<Quota>,
    /// Which tags are kept; repositories without a rule keep all.
    pub retention: Vec<RetentionRule>,
    /// How long deleted tags are kept, with what they lead to.
    pub restore: Duration,
    /// The address that a request came from.
    pub client_address: ClientAddress,
    /// Where pushes and deletions are recorded.
    pub audit: Option<Database>,
    /// Endpoints that are told of what happens.
    pub endpoints: Vec<Endpoint>,
    /// Other registries that are read through this one.
    pub mirrors: Mirrors,
}

impl Settings {
    /// Returns the settings that a registry has unless it is told otherwise.
    pub fn new(access: Access) -> Self {
        Settings {
            access,
            sparse_manifests: false,
            tag_parameters: true,
            public_url: None,
            immutable_tags: Vec::new(),
            quotas: Vec::new(),
            retention: Vec::new(),
            restore: Duration::ZERO,
            client_address: ClientAddress::default(),
            audit: None,
            endpoints: Vec::new(),
            mirrors: Mirrors::default(),
        }
    }
}
