//! Settings of a client of registries.

use crate::auth::Credentials;
use crate::http::{HostSettings, READ_TIMEOUT};
use crate::pace::MinimumRate;
use crate::retry::RetryPolicy;
use crate::rights::Home;
use std::collections::HashMap;
use std::time::Duration;

/// How a client talks to registries.
#[derive(Clone)]
pub struct Settings {
    /// Its logins.
    pub credentials: Credentials,
    /// The value of its `User-Agent` header.
    pub user_agent: String,
    /// When requests that failed are sent again.
    pub retry: RetryPolicy,
    /// The rate below which a transfer is given up.
    pub minimum_rate: MinimumRate,
    /// How long a registry may take to answer a request that it has whole, unless that was an upload.
    pub read_timeout: Duration,
    /// Settings of single registries, by host.
    pub hosts: HashMap<String, HostSettings>,
    /// The registry that serves from the store of this process, if there is one.
    pub home: Option<Home>,
}

impl Default for Settings {
    fn default() -> Self {
        let user_agent = concat!("slipway/", env!("CARGO_PKG_VERSION")).to_owned();
        Settings {
            credentials: Credentials::None,
            user_agent,
            retry: RetryPolicy::default(),
            minimum_rate: MinimumRate::default(),
            read_timeout: READ_TIMEOUT,
            hosts: HashMap::new(),
            home: None,
        }
    }
}
