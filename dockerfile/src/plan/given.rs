//! Names to which the requester gave a meaning of their own: a directory, a repository, a tar, an image.

use super::settings::Settings;
use registry_client::{Platform, Reference};

/// Names that nobody can give another meaning.
const OWN: [&str; 2] = ["scratch", "context"];

/// The meaning that the requester gave to a name, by the name under which it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Files.
    Files(String),
    /// An image.
    Image(String),
}

impl Settings {
    /// Returns what the requester says that `name` means; a meaning for `platform` alone comes first.
    pub fn given(&self, name: &str, platform: &Platform) -> Option<Given> {
        let nothing = self.named_contexts.is_empty() && self.named_images.is_empty();
        if nothing || OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return None;
        }
        let familiar = familiar(name);
        let known = |wanted: &str| {
            let named = |names: &[String]| names.iter().find(|given| *familiar_given(given) == *wanted).cloned();
            named(&self.named_contexts).map(Given::Files).or_else(|| named(&self.named_images).map(Given::Image))
        };
        known(&format!("{familiar}::{platform}")).or_else(|| known(&familiar))
    }
}

/// Returns a given name as it is compared: `NAME::PLATFORM` is for one platform.
fn familiar_given(name: &str) -> String {
    match name.split_once("::") {
        Some((name, platform)) => format!("{}::{platform}", familiar(name)),
        None => familiar(name),
    }
}

/// Returns the shortest name of an image: `alpine` for `docker.io/library/alpine:latest`.
fn familiar(name: &str) -> String {
    let Ok(reference) = Reference::parse(name) else { return name.to_owned() };
    let mut short = match (reference.registry(), reference.repository()) {
        ("docker.io", repository) => repository.strip_prefix("library/").unwrap_or(repository).to_owned(),
        (registry, repository) => format!("{registry}/{repository}"),
    };
    if let Some(tag) = reference.tag().filter(|tag| *tag != "latest") {
        short = format!("{short}:{tag}");
    }
    match reference.digest() {
        Some(digest) => format!("{short}@{digest}"),
        None => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-088
    #[test]
    fn names_are_compared_as_images_are_called() {
        let platform: Platform = "linux/amd64".parse().unwrap();
        let settings = Settings {
            named_contexts: vec!["src".into(), "scratch".into(), "context".into()],
            named_images: vec![
                "alpine".into(),
                "alpine::linux/amd64".into(),
                "debian:12".into(),
                "h:5/x:latest".into(),
            ],
            ..Settings::new(platform.clone())
        };
        let given = |name: &str| settings.given(name, &platform);
        assert_eq!(given("src"), Some(Given::Files("src".into())));
        let image = |name: &str| Some(Given::Image(name.into()));
        for name in ["alpine", "alpine:latest", "docker.io/library/alpine", "library/alpine:latest"] {
            assert_eq!(given(name), image("alpine::linux/amd64"), "{name}");
            assert_eq!(settings.given(name, &"linux/arm64".parse().unwrap()), image("alpine"), "{name}");
        }
        assert_eq!(given("debian:12"), image("debian:12"));
        assert_eq!(given("h:5/x"), image("h:5/x:latest"));
        for none in ["debian", "alpine:3", "scratch", "Scratch", "context", "other/alpine"] {
            assert_eq!(given(none), None, "{none}");
        }
    }
}
