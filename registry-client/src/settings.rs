//! Settings of a client of registries.

use crate::auth::Credentials;
use crate::http::HostSettings;
use crate::pace::MinimumRate;
use crate::retry::RetryPolicy;
use crate::rights::Home;
use std::collections::HashMap;

/// How a client talks to registries.
#[derive(Clone)]
pub struct Settings {
    /// Its logins.
    pub credentials: Credentials,
    /// The value of its `User-Agent` header.
    pub user_agent: String,
    /// When requests that failed are sent again.
    pub retry: RetryPolicy,
    /// The rate below which a download is given up.
    pub minimum_rate: MinimumRate,
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
            hosts: HashMap::new(),
            home: None,
        }
    }
}
