//! Annotations of images: `[level[platform]:]key=value`, as `docker build --annotation` takes them.

use registry_client::Platform;
use std::collections::BTreeMap;

/// Which document an annotation stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The manifest of an image.
    Manifest,
    /// The line of the index that names a manifest.
    ManifestDescriptor,
    /// The index of several platforms.
    Index,
    /// The line of an image layout that names the index.
    IndexDescriptor,
}

/// A note on an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where it stands.
    pub level: Level,
    /// The platform it is for; all if there is none.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// Its text.
    pub value: String,
}

impl Annotation {
    /// Reads an annotation; several levels make several of them.
    pub fn parse(text: &str) -> Result<Vec<Annotation>, String> {
        let bad = |problem: String| format!("annotation `{text}`: {problem}; [LEVEL[PLATFORM]:]KEY=VALUE is right");
        let (front, value) = text.split_once('=').ok_or_else(|| bad("the value is missing".to_owned()))?;
        let (levels, key) = match front.split_once(':') {
            Some((levels, key)) => (levels.split(',').map(str::trim).collect(), key),
            None => (vec!["manifest"], front),
        };
        if key.is_empty() {
            return Err(bad("the key is empty".to_owned()));
        }
        let parse = |level: &str| {
            let (name, platform) = match level.strip_suffix(']').and_then(|level| level.split_once('[')) {
                Some((name, platform)) => (name, Some(platform)),
                None => (level, None),
            };
            let level = match name {
                "manifest" => Level::Manifest,
                "manifest-descriptor" => Level::ManifestDescriptor,
                "index" => Level::Index,
                "index-descriptor" => Level::IndexDescriptor,
                other => return Err(bad(format!("unknown level `{other}`"))),
            };
            let platform = platform.map(str::parse).transpose();
            let platform = platform.map_err(|error: registry_client::PlatformError| bad(error.to_string()))?;
            Ok(Annotation { level, platform, key: key.to_owned(), value: value.to_owned() })
        };
        levels.into_iter().map(parse).collect()
    }
}

/// Returns those of `annotations` that stand in a document of `level` for `platform`.
pub fn of(annotations: &[Annotation], level: Level, platform: Option<&Platform>) -> BTreeMap<String, String> {
    let fits = |annotation: &&Annotation| {
        annotation.level == level && (annotation.platform.is_none() || annotation.platform.as_ref() == platform)
    };
    let chosen = annotations.iter().filter(fits);
    chosen.map(|annotation| (annotation.key.clone(), annotation.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_platforms_are_read() {
        // DF-242
        let one = |text: &str| Annotation::parse(text).unwrap();
        assert_eq!(one("a=b=c")[0].value, "b=c");
        assert_eq!(
            one("index,manifest:a=b").iter().map(|one| one.level).collect::<Vec<_>>(),
            [Level::Index, Level::Manifest]
        );
        let arm = &one("manifest-descriptor[linux/arm64]:a=b")[0];
        assert_eq!(arm.platform.as_ref().unwrap().to_string(), "linux/arm64");
        let all = [one("a=1"), one("manifest[linux/arm64]:a=2"), one("index:a=3")].concat();
        let (amd, arm) = ("linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap());
        assert_eq!(of(&all, Level::Manifest, Some(&amd))["a"], "1");
        assert_eq!(of(&all, Level::Manifest, Some(&arm))["a"], "2");
        for bad in ["a", "=b", "index:=b", "bogus:a=b", "manifest[pentium]:a=b"] {
            assert!(Annotation::parse(bad).is_err(), "{bad}");
        }
    }
}
