//! Access over ssh: a private key, and the keys of the hosts that are trusted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The keys of forges that everybody uses, as these publish them.
const WELL_KNOWN: [(&str, &str); 4] = [
    ("github.com", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"),
    ("gitlab.com", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"),
    ("bitbucket.org", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO"),
    ("codeberg.org", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB"),
];

/// Public keys by host, or by host and port.
#[derive(Debug, Clone, Default)]
pub struct HostKeys(Arc<BTreeMap<String, Vec<String>>>);

impl HostKeys {
    /// Returns these keys, each `KIND BASE64`; those of well-known forges count where a host is not among them.
    pub fn new(keys: &BTreeMap<String, Vec<String>>) -> Self {
        HostKeys(Arc::new(keys.iter().map(|(host, keys)| (host.to_ascii_lowercase(), keys.clone())).collect()))
    }

    /// Returns the keys of a host: those for its port win.
    pub(super) fn of(&self, host: &str, port: u16) -> Vec<String> {
        let configured = self.0.get(&format!("{host}:{port}")).or_else(|| self.0.get(host));
        let well_known = WELL_KNOWN.iter().filter(|(known, _)| *known == host && port == 22);
        configured.cloned().unwrap_or_else(|| well_known.map(|(_, key)| (*key).to_owned()).collect())
    }
}

/// The key and the hosts that a repository is fetched with over ssh.
#[derive(Clone, Default)]
pub struct SshAccess {
    /// The private key as ssh reads it; without one the server lets nobody in.
    pub key: Option<Arc<String>>,
    /// The keys of hosts.
    pub hosts: HostKeys,
}

impl fmt::Debug for SshAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SshAccess").field("has_key", &self.key.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_keys_take_the_place_of_well_known_ones() {
        let keys = [("github.com", "one"), ("h", "two"), ("H:2222", "three")];
        let keys = keys.map(|(host, key)| (host.to_owned(), vec![key.to_owned()]));
        let keys = HostKeys::new(&keys.into());
        assert_eq!((keys.of("github.com", 22), keys.of("h", 22)), (vec!["one".to_owned()], vec!["two".to_owned()]));
        assert_eq!(keys.of("h", 2222), ["three"]);
        assert_eq!(HostKeys::default().of("gitlab.com", 22).len(), 1);
        assert!(HostKeys::default().of("gitlab.com", 2222).is_empty() && keys.of("other", 22).is_empty());
    }
}
