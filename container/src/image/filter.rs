//! Filters of image lists: `dangling`, `label`, `before`, `since`, `until` and `reference`.

use super::{Catalog, Image};
use crate::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Conditions on images that are listed or pruned.
#[derive(Debug, Default)]
pub struct Filters {
    dangling: Option<bool>,
    labels: Vec<String>,
    without_labels: Vec<String>,
    before: Option<String>,
    since: Option<String>,
    until: Option<i64>,
    references: Vec<String>,
}

impl Filters {
    /// Reads `NAME=VALUE` texts; `now` is in seconds since 1970.
    pub fn parse(texts: &[String], now: i64) -> Result<Filters, Error> {
        let mut filters = Filters::default();
        for text in texts {
            let wrong = || Error::Invalid(format!("invalid filter '{text}'"));
            if let Some(label) = text.strip_prefix("label!=") {
                filters.without_labels.push(label.to_owned());
                continue;
            }
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Error::Invalid(format!(
                    "invalid argument \"{text}\" for \"-f, --filter\" flag: invalid filter '{text}'"
                ))
            })?;
            match (name, value) {
                ("dangling", "true" | "1") => filters.dangling = Some(true),
                ("dangling", "false" | "0") => filters.dangling = Some(false),
                ("dangling", _) => return Err(Error::Invalid(format!("invalid filter 'dangling=[{value}]'"))),
                ("label", _) => filters.labels.push(value.to_owned()),
                ("before", _) => filters.before = Some(value.to_owned()),
                ("since", _) => filters.since = Some(value.to_owned()),
                ("until", _) => filters.until = Some(moment(value, now).ok_or_else(wrong)?),
                ("reference", _) => filters.references.push(value.to_owned()),
                _ => return Err(wrong()),
            }
        }
        Ok(filters)
    }

    /// Tells whether images without a name were asked for.
    pub fn asks_for_dangling(&self) -> bool {
        self.dangling == Some(true)
    }

    /// Fails if an image that a filter names is not there.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        self.before.iter().chain(&self.since).try_for_each(|name| catalog.find(name).map(drop))
    }

    /// Tells whether `image` is what was asked for.
    pub fn matches(&self, catalog: &Catalog, image: &Image) -> bool {
        let labels = &image.config.config.labels;
        let has = |label: &String| match label.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
            None => labels.contains_key(label),
        };
        let created = |name: &String| catalog.find(name).map(Image::created).ok();
        let named =
            |pattern: &String| image.names.iter().any(|name| name_matches(pattern, name.repository(), &name.tag));
        self.dangling.is_none_or(|dangling| image.is_dangling() == dangling)
            && self.labels.iter().all(has)
            && !self.without_labels.iter().any(has)
            && self.before.as_ref().is_none_or(|name| created(name).is_some_and(|limit| image.created() < limit))
            && self.since.as_ref().is_none_or(|name| created(name).is_some_and(|limit| image.created() > limit))
            && self.until.is_none_or(|limit| image.created() < limit)
            && (self.references.is_empty() || self.references.iter().any(named))
    }
}

/// Tells whether a name matches a pattern that names a repository, or a repository and a tag.
pub fn name_matches(pattern: &str, repository: &str, tag: &str) -> bool {
    let whole = format!("{repository}:{tag}");
    [repository, &whole].iter().any(|text| is_match(pattern.as_bytes(), text.as_bytes()))
}

/// Matches `*` and `?`, neither of which stands for a slash.
pub(crate) fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => is_match(rest, text),
        (Some((b'*', rest)), Some((byte, after))) => is_match(rest, text) || *byte != b'/' && is_match(pattern, after),
        (Some((b'?', rest)), Some((byte, after))) => *byte != b'/' && is_match(rest, after),
        (Some((wanted, rest)), Some((byte, after))) => wanted == byte && is_match(rest, after),
        _ => false,
    }
}

/// Reads a time of RFC 3339, seconds since 1970, or how long ago (`24h`, `10m`).
pub fn moment(text: &str, now: i64) -> Option<i64> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time.unix_timestamp());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds as i64);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, length) = match &rest[end..] {
            unit if unit.starts_with("ms") => (0.001, 2),
            unit if unit.starts_with('h') => (3600.0, 1),
            unit if unit.starts_with('m') => (60.0, 1),
            unit if unit.starts_with('s') => (1.0, 1),
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[end + length..];
    }
    Some(now - seconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_times_are_read_as_docker_reads_them() {
        let is = |pattern: &str, text: &str| is_match(pattern.as_bytes(), text.as_bytes());
        assert!(is("*", "debian") && is("deb?an:*", "debian:12") && is("a/*", "a/b"));
        assert!(!is("*", "a/b") && !is("debian", "debian:12"));
        assert_eq!(moment("1h30m", 10_000), Some(10_000 - 5400));
        assert_eq!(moment("1970-01-01T00:01:00Z", 0), Some(60));
        assert_eq!(moment("90", 0), Some(90));
        assert_eq!(moment("1w", 0), None);
        assert!(Filters::parse(&["dangling=maybe".to_owned()], 0).is_err());
        assert!(Filters::parse(&["nosuch=1".to_owned()], 0).is_err());
        assert!(Filters::parse(&["dangling".to_owned()], 0).is_err());
    }
}
