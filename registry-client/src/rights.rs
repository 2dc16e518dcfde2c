//! Read rights of a build: which images with the operator's logins, and which of the registry that shares the store.

use crate::Reach;
use crate::address::{AddressPolicy, is_own};
use crate::{Digest, Reference};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Names images of a registry: `host/path`, where `*` stands for part of a component and `**` for any number of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagePattern {
    host: String,
    path: String,
}

impl ImagePattern {
    /// Parses a pattern; without a host it is one of docker.io, as for docker.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| {
            Err(format!("`{text}` {problem}: write a registry's host and a path, as in `registry.example.com/team/*`"))
        };
        let plain = text.replace('*', "x");
        let Ok(reference) = Reference::parse(&plain) else { return wrong("names no images") };
        if text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            return wrong("has a tag or a digest, which no right is limited to");
        }
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        let has_host = reference.registry() != "docker.io" || matches!(first, "docker.io" | "index.docker.io");
        if has_host && first.contains('*') {
            return wrong("has a `*` in its host");
        }
        let path = if has_host { rest } else { text };
        // `debian` is `library/debian`.
        let is_whole = path.replace('*', "x") == reference.repository();
        let path = if is_whole { path.to_owned() } else { format!("library/{path}") };
        Ok(ImagePattern { host: reference.registry().to_owned(), path })
    }

    /// Returns the pattern of one repository.
    pub fn of(reference: &Reference) -> Self {
        ImagePattern { host: reference.registry().to_owned(), path: reference.repository().to_owned() }
    }

    /// Returns whether it stands for the image of a reference, whatever its tag.
    pub fn stands_for(&self, reference: &Reference) -> bool {
        self.host == reference.registry() && path_matches(&self.path, reference.repository())
    }

    /// Returns the host.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Returns whether a path with `*` and `**` stands for `path`.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => {
            let Some(rest) = path.strip_prefix(before) else { return false };
            let (after, deep) = after.strip_prefix('*').map_or((after, false), |after| (after, true));
            let end = if deep { rest.len() } else { rest.find('/').unwrap_or(rest.len()) };
            (0..=end).filter(|at| rest.is_char_boundary(*at)).any(|at| path_matches(after, &rest[at..]))
        }
    }
}

/// The images that one build may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// The addresses that may be connected to, besides the registries of `images`.
    pub reach: Reach,
    /// Its own images and those that the operator named for it.
    pub images: Vec<ImagePattern>,
    /// Images that it may read with the operator's logins besides those.
    pub with_login: Vec<ImagePattern>,
    /// Paths of the registry that shares the store which every build may read.
    pub shared: Vec<String>,
    /// Whether the logins of the client are the build's own, and no operator's: it may use them for any image.
    pub own_logins: bool,
}

/// Shows, for a repository and a blob, that the client has the store of the registry at hand.
pub(crate) type Proof = dyn Fn(&str, &Digest) -> String + Send + Sync;

/// The registry that serves from the store of this process, under whatever name it is reached.
#[derive(Clone)]
pub struct Home {
    /// Its identity, as it stands in its answers; not a secret.
    pub id: String,
    /// Port at which it is known to listen on this machine.
    pub port: Option<u16>,
    /// Returns what shows it that the client has the store at hand and may have a blob in a repository without sending it.
    pub proof: Arc<Proof>,
}

/// The names under which [`Home`] is known by now.
#[derive(Default)]
pub struct Homes {
    home: Option<Home>,
    /// Hosts that answered as it does.
    seen: Mutex<HashSet<String>>,
}

impl Homes {
    /// Begins with what the configuration says.
    pub fn new(home: Option<Home>) -> Self {
        Homes { home, seen: Mutex::default() }
    }

    /// Returns what goes with a request to store a blob.
    pub fn proof(&self, repository: &str, digest: &Digest) -> Option<String> {
        self.home.as_ref().map(|home| (home.proof)(repository, digest))
    }

    /// Takes note of an answer; tells whether it is that of the registry with this store.
    pub fn recognise(&self, host: &str, id: &str) -> bool {
        let is_home = self.home.as_ref().is_some_and(|home| home.id == id);
        if is_home {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
        }
        is_home
    }

    /// Returns whether `host` is known to lead to that registry.
    pub fn contains(&self, host: &str) -> bool {
        self.is_configured(host) || self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// Returns whether `host` is an address of this machine with the port of that registry.
    pub fn is_configured(&self, host: &str) -> bool {
        let Some(port) = self.home.as_ref().and_then(|home| home.port) else { return false };
        let Some((name, at)) = host.rsplit_once(':') else { return false };
        let name = name.trim_matches(['[', ']']);
        at.parse() == Ok(port)
            && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(is_this_machine))
    }
}

fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || is_own(address)
}

impl Rights {
    /// Returns whether the image is the build's own or was named for it, by this or another name of the same registry.
    pub fn names(&self, homes: &Homes, reference: &Reference) -> bool {
        any_matches(&self.images, homes, reference)
    }

    /// Returns whether the operator's login may be used to read the image.
    pub fn may_log_in(&self, homes: &Homes, reference: &Reference) -> bool {
        if homes.contains(reference.registry()) {
            // It is slipway's own login to its own registry.
            return self.may_read_home(homes, reference);
        }
        match self.reach {
            Reach::Anywhere | Reach::Allowed => {
                self.names(homes, reference) || any_matches(&self.with_login, homes, reference)
            }
            // Strangers read with no login of the operator.
            Reach::PublicOnly => self.own_logins,
        }
    }

    /// Returns whether the image may be read from the registry that shares the store.
    pub fn may_read_home(&self, homes: &Homes, reference: &Reference) -> bool {
        self.names(homes, reference) || self.shared.iter().any(|path| path_matches(path, reference.repository()))
    }

    /// Returns what may be connected to for the image's own registry.
    pub fn address_policy(&self, homes: &Homes, reference: &Reference) -> AddressPolicy {
        // Where the build's own images are is the operator's choice; whether it is this registry, its answer tells.
        let has_own = || self.images.iter().any(|pattern| pattern.host.eq_ignore_ascii_case(reference.registry()));
        let shared = || {
            (homes.is_configured(reference.registry()) || has_own())
                && self.shared.iter().any(|path| path_matches(path, reference.repository()))
        };
        match self.reach {
            Reach::Anywhere | Reach::Allowed => AddressPolicy::Any,
            Reach::PublicOnly if self.names(homes, reference) || shared() => AddressPolicy::Any,
            Reach::PublicOnly => AddressPolicy::Public,
        }
    }
}

fn any_matches(patterns: &[ImagePattern], homes: &Homes, reference: &Reference) -> bool {
    patterns.iter().any(|pattern| {
        let same_host = pattern.host.eq_ignore_ascii_case(reference.registry())
            || (homes.contains(reference.registry()) && homes.contains(&pattern.host));
        same_host && path_matches(&pattern.path, reference.repository())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, image: &str) -> bool {
        let homes = Homes::new(Some(Home { id: "x".into(), port: Some(5000), proof: Arc::new(|_, _| String::new()) }));
        any_matches(&[ImagePattern::parse(pattern).unwrap()], &homes, &Reference::parse(image).unwrap())
    }

    // SEC-M1
    #[test]
    fn patterns_name_images_of_one_registry() {
        for (pattern, image) in [
            ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app:1"),
            ("127.0.0.1:5000/team/app", "localhost:5000/team/app"),
            ("127.0.0.1:5000/team/app", "[::1]:5000/team/app"),
            ("127.0.0.1:5000/team/app", "127.0.0.2:5000/team/app"),
            ("ghcr.io/team/*", "ghcr.io/team/x"),
            ("ghcr.io/team/**", "ghcr.io/team/x/y"),
            ("ghcr.io/*/base-*", "ghcr.io/team/base-x"),
            ("debian", "docker.io/library/debian:12"),
            ("docker.io/library/*", "debian"),
            ("docker.io/debian", "debian"),
            ("me/app", "index.docker.io/me/app"),
        ] {
            assert!(matches(pattern, image), "{pattern} {image}");
        }
        for (pattern, image) in [
            ("127.0.0.1:5000/team/app", "127.0.0.1:5001/team/app"),
            ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app2"),
            ("127.0.0.1:5000/team/app", "127.0.0.1:5000/other/app"),
            ("ghcr.io/team/*", "ghcr.io/team/x/y"),
            ("ghcr.io/team/*", "quay.io/team/x"),
            ("ghcr.io/other/app", "127.0.0.1:5000/other/app"),
            ("me/*", "debian"),
        ] {
            assert!(!matches(pattern, image), "{pattern} {image}");
        }
        for bad in ["", "*", "ghcr.io/team/x:1", "ghcr.io/Team/x", "*.example.com/x", "a b/c", "https://ghcr.io/x"] {
            let parsed = ImagePattern::parse(bad);
            assert!(bad == "*" && parsed.is_ok() || parsed.is_err(), "{bad} {parsed:?}");
        }
    }

    // SEC-M1
    #[test]
    fn logins_are_for_what_is_named() {
        let homes = Homes::new(Some(Home { id: "x".into(), port: Some(5000), proof: Arc::new(|_, _| String::new()) }));
        let patterns = |texts: &[&str]| texts.iter().map(|text| ImagePattern::parse(text).unwrap()).collect::<Vec<_>>();
        let rights = |reach| Rights {
            reach,
            images: patterns(&["127.0.0.1:5000/team/app", "ghcr.io/team/app"]),
            with_login: patterns(&["docker.io/library/*"]),
            shared: vec!["base/*".to_owned()],
            own_logins: false,
        };
        let (trusted, strangers) = (rights(Reach::Anywhere), rights(Reach::PublicOnly));
        for (image, of_trusted, of_strangers, policy) in [
            ("127.0.0.1:5000/team/app", true, true, AddressPolicy::Any),
            ("localhost:5000/base/x", true, true, AddressPolicy::Any),
            ("127.0.0.1:5000/other/app", false, false, AddressPolicy::Public),
            ("127.0.0.1:6000/base/x", false, false, AddressPolicy::Public),
            ("ghcr.io/team/app", true, false, AddressPolicy::Any),
            ("ghcr.io/other/app", false, false, AddressPolicy::Public),
            // Its answer tells whether it is the registry whose images are shared.
            ("ghcr.io/base/x", false, false, AddressPolicy::Any),
            ("debian", true, false, AddressPolicy::Public),
        ] {
            let image = Reference::parse(image).unwrap();
            assert_eq!(trusted.may_log_in(&homes, &image), of_trusted, "{image}");
            assert_eq!(strangers.may_log_in(&homes, &image), of_strangers, "{image}");
            assert_eq!(strangers.address_policy(&homes, &image), policy, "{image}");
            assert_eq!(trusted.address_policy(&homes, &image), AddressPolicy::Any, "{image}");
        }
    }
}
