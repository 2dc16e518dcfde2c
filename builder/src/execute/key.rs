//! Content keys: what is in the cache key of each kind of step. Content and definitions are, times and limits never.

use super::options::Options;
use crate::key::KeyBuilder;
use dockerfile::plan::Plan;

/// Returns the key of an empty file system.
pub(crate) fn scratch() -> String {
    KeyBuilder::new("scratch.1").finish()
}

/// Returns the key of what a stage starts from, for layers whose times end at `latest`: they are others with another time.
pub(crate) fn with_times(base: String, latest: Option<i64>) -> String {
    match latest {
        None => base,
        Some(time) => KeyBuilder::new("times.1").text(&base).text(&time.to_string()).finish(),
    }
}

/// Returns the key of a `WORKDIR`.
pub(crate) fn workdir(parent: &str, path: &str, user: &str) -> String {
    KeyBuilder::new("workdir.1").text(parent).text(path).text(user).finish()
}

/// Returns the key of a layer that stands on its own together with those below it.
pub(crate) fn linked(below: &str, layer: &str) -> String {
    KeyBuilder::new("linked.1").text(below).text(layer).finish()
}

/// Returns the key below a command that sees further hosts, whose names count but not their addresses, or another host
/// name than the usual one, or is limited.
pub(crate) fn with_options(parent: &str, options: &Options, plan: &Plan) -> String {
    let (hosts, ulimits) = (&options.hosts, &options.ulimits);
    if let Some(name) = &plan.hostname {
        let below = KeyBuilder::new("hostname.1").text(parent).text(name).finish();
        return with_hosts(&below, hosts, ulimits);
    }
    with_hosts(parent, hosts, ulimits)
}

fn with_hosts(parent: &str, hosts: &[(String, String)], ulimits: &[runtime::Ulimit]) -> String {
    if hosts.is_empty() && ulimits.is_empty() {
        return parent.to_owned();
    }
    let mut key = KeyBuilder::new("options.1");
    key.text(parent).list(hosts.iter().map(|(name, _)| name));
    key.list(ulimits.iter().map(ToString::to_string)).finish()
}
