//! Mirrors of the configuration, opened for the program's processes: those that serve, build, and are started by hand.

use super::{DataDir, Registries};
use crate::configuration;
use image_store::{Mirror, MirrorSettings, Mirrors, Upstream};
use registry_client::{Client, Credentials, Reach, RetryPolicy, Rights, Settings, report};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use webhook::{Configuration, MirrorSection};

/// When a mirror asks again: whoever waits for it is served what is old before long, and limits are the mirror's to keep.
const RETRY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(250),
    max_backoff: Duration::from_secs(1),
    max_attempts: 2,
    max_elapsed: Duration::ZERO,
};

/// Opens the mirrors of a configuration.
pub(crate) fn open(data: &DataDir, configuration: &Configuration) -> Result<Mirrors, String> {
    let Registries { hosts, .. } = configuration::registries(configuration);
    let mirrors = configuration.mirrors.iter().map(|(host, section)| {
        let upstream = clients(section, &hosts).map_err(|error| report(&error))?;
        let settings = MirrorSettings {
            host: host.clone(),
            upstream: section.upstream.clone(),
            has_login: section.login.is_some(),
            fresh: section.fresh,
            limit: section.limit,
            is_default: section.is_default,
        };
        let directory = data.join("mirrors").join(host);
        Mirror::open(&directory, settings, upstream).map_err(|error| format!("mirrors `{host}`: {}", report(&error)))
    });
    Ok(Mirrors::new(mirrors.collect::<Result<_, String>>()?))
}

/// Opens the mirrors for a command by hand, which works without them.
pub(crate) fn by_hand(data: &DataDir) -> Mirrors {
    let opened = configuration::read_if_mentioned("mirrors", data).and_then(|found| match found {
        Some(configuration) => open(data, &configuration),
        None => Ok(Mirrors::default()),
    });
    opened.unwrap_or_else(|problem| {
        eprintln!("slipway: registries are asked themselves, because their mirrors cannot be used: {problem}");
        Mirrors::default()
    })
}

/// Returns a client that reads through mirrors.
pub(crate) fn through(client: Client, mirrors: Mirrors) -> Client {
    if mirrors.is_empty() { client } else { client.mirrored_by(Arc::new(mirrors)) }
}

fn clients(
    section: &MirrorSection,
    hosts: &HashMap<String, registry_client::HostSettings>,
) -> Result<Upstream, registry_client::Error> {
    let mut hosts = hosts.clone();
    if let Some(plain_http) = section.plain_http {
        hosts.entry(section.upstream.clone()).or_default().plain_http = Some(plain_http);
    }
    let client = |credentials| {
        Client::new(Settings { credentials, hosts: hosts.clone(), retry: RETRY.clone(), ..Settings::default() })
    };
    let login = section.login.as_ref().map(|login| (login.username.clone(), login.password.clone()));
    let own = match login {
        Some(login) => client(Credentials::Fixed(HashMap::from([(section.upstream.clone(), login)])))?,
        None => client(Credentials::None)?,
    };
    let anonymous = client(Credentials::None)?;
    let stranger = anonymous.with_rights(Rights { reach: Reach::PublicOnly, ..Rights::default() });
    Ok(Upstream { own, anonymous, stranger })
}
