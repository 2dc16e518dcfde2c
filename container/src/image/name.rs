//! Names as people write them: without the parts that docker adds.

use registry_client::{Digest, Reference};

/// Digits of a short id.
const SHORT: usize = 12;

/// A name that an image is kept under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Registry and repository, as the store keeps them.
    pub stored: String,
    /// The tag.
    pub tag: String,
}

impl Name {
    /// Returns the name that `reference` stands for.
    pub fn of(reference: &Reference) -> Name {
        let stored = format!("{}/{}", reference.registry(), reference.repository());
        Name { stored, tag: reference.tag().unwrap_or("latest").to_owned() }
    }

    /// Returns the repository as people write it: `debian` for `docker.io/library/debian`.
    pub fn repository(&self) -> &str {
        familiar(&self.stored)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.repository(), self.tag)
    }
}

/// Returns a stored repository as people write it.
pub(crate) fn familiar(stored: &str) -> &str {
    let rest = stored.strip_prefix("docker.io/").unwrap_or(stored);
    rest.strip_prefix("library/").filter(|_| rest.len() < stored.len()).unwrap_or(rest)
}

/// Returns the first 12 digits of an id.
pub fn short_id(id: &Digest) -> &str {
    &id.hex()[..SHORT]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_written() {
        let shown = |text: &str| Name::of(&Reference::parse(text).unwrap()).to_string();
        assert_eq!(shown("debian"), "debian:latest");
        assert_eq!(shown("docker.io/library/debian:12"), "debian:12");
        assert_eq!(shown("user/app:x"), "user/app:x");
        assert_eq!(shown("localhost:5000/library/app"), "localhost:5000/library/app:latest");
    }
}
