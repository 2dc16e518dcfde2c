//! Semantic versions in the names of tags: `v1.2.3`, `1.2.3-rc.1+build`.

/// A version, by the grammar of semver 2.0; a `v` in front is taken too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// First number.
    pub major: String,
    /// Second number.
    pub minor: String,
    /// Third number.
    pub patch: String,
    /// The part after a `-`; empty for a release.
    pub pre: String,
    /// The part after a `+`.
    pub build: String,
}

impl Version {
    /// Reads the name of a tag; `None` if it is not a semantic version.
    pub(crate) fn parse(name: &str) -> Option<Version> {
        let text = name.strip_prefix('v').unwrap_or(name);
        let (text, build) = text.split_once('+').unwrap_or((text, ""));
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = core.split('.');
        let version = Version {
            major: number(numbers.next()?)?,
            minor: number(numbers.next()?)?,
            patch: number(numbers.next()?)?,
            pre: identifiers(pre)?,
            build: identifiers(build)?,
        };
        (numbers.next().is_none() && !text.ends_with('-')).then_some(version)
    }

    /// Returns the whole version without `v`.
    pub(crate) fn full(&self) -> String {
        let mut text = format!("{}.{}.{}", self.major, self.minor, self.patch);
        for (sign, part) in [('-', &self.pre), ('+', &self.build)] {
            if !part.is_empty() {
                text.push(sign);
                text.push_str(part);
            }
        }
        text
    }

    /// Returns what `{semver.*}` stands for: `1.2.3`, `1.2` and `1` for a release, the version alone before one.
    pub(crate) fn all(&self) -> Vec<String> {
        if !self.pre.is_empty() {
            return vec![self.full()];
        }
        vec![self.full(), format!("{}.{}", self.major, self.minor), self.major.clone()]
    }
}

fn number(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.to_owned())
}

fn identifiers(text: &str) -> Option<String> {
    let valid = text.is_empty()
        || text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_semver_says() {
        let full = |name: &str| Version::parse(name).map(|version| version.full());
        for good in ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3+b.7", "10.20.30-a-b.c+d"] {
            assert_eq!(full(good).as_deref(), Some(good));
            assert_eq!(full(&format!("v{good}")).as_deref(), Some(good));
        }
        for bad in ["1.2", "1.2.3.4", "01.2.3", "1.2.x", "main", "", "v", "1.2.3-", "1.2.3-a..b", "V1.2.3"] {
            assert_eq!(full(bad), None, "{bad}");
        }
        assert_eq!(Version::parse("v1.2.3").unwrap().all(), ["1.2.3", "1.2", "1"]);
        assert_eq!(Version::parse("1.2.3-rc").unwrap().all(), ["1.2.3-rc"]);
    }
}
