//! Names of repositories in a body that is not verified yet: they are searched for, not parsed, and only tell which keys are
//! worth a try.

use super::spool::Received;
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Longest text of a name that is looked at, with what stands before it.
const MAX_NAMED: usize = 1024;
/// Ids that are looked at.
const MAX_IDS: usize = 200;

/// Keys and values that name a repository: `full_name`, GitLab's path, of Bitbucket's server a slug and a project's key, and of
/// plain git servers a name or a URL.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#""(full_name|path_with_namespace|repository|clone_url|slug|key)"\s{0,8}:\s{0,8}"((?:[^"\\]|\\.){1,400})""#,
    )
    .expect("the expression is well formed")
});

/// Keys and values that may be a repository's id: a number, or Bitbucket's text in braces.
static IDENTIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(?:id|uuid)"\s{0,8}:\s{0,8}(?:([0-9]{1,20})|"(\{[0-9a-fA-F-]{1,64}\})")"#)
        .expect("the expression is well formed")
});

/// Names that stand in a body, in lower case.
#[derive(Debug, Default)]
pub(crate) struct Names {
    whole: BTreeSet<String>,
    slugs: BTreeSet<String>,
    keys: BTreeSet<String>,
    urls: BTreeSet<String>,
    ids: BTreeSet<String>,
    max: usize,
}

impl Names {
    /// Looks for at most `max` names of each kind; `form` says that the body is one.
    pub(crate) fn of(received: &mut Received, form: bool, max: usize) -> std::io::Result<Names> {
        let mut names = Names { max, ..Names::default() };
        let mut text: Vec<u8> = Vec::new();
        let mut decoder = Decoder::default();
        received.each_part(|part| {
            if form {
                decoder.decode(part, &mut text)
            } else {
                text.extend_from_slice(part)
            }
            names.note(&text);
            // A name may lie across the border of two parts.
            let keep = text.len().min(MAX_NAMED);
            text.drain(..text.len() - keep);
        })?;
        Ok(names)
    }

    /// Tells whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && (self.slugs.is_empty() || self.keys.is_empty()) && self.urls.is_empty()
    }

    /// Tells whether the body may be about the repository that the forge calls `name` and that is cloned from `clone_url`.
    pub(crate) fn may_mean(&self, name: &str, clone_url: &str) -> bool {
        let name = name.to_lowercase();
        let in_parts =
            || name.split_once('/').is_some_and(|(key, slug)| self.keys.contains(key) && self.slugs.contains(slug));
        self.is_empty() || self.whole.contains(&name) || in_parts() || self.urls.contains(&same_url(clone_url))
    }

    /// Tells whether an id stands in the body.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn note(&mut self, text: &[u8]) {
        for found in IDENTIFIED.captures_iter(text).take(MAX_IDS.saturating_sub(self.ids.len())) {
            let id = found.get(1).or(found.get(2)).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
            self.ids.extend(id);
        }
        for found in NAMED.captures_iter(text) {
            let set = match &found[1] {
                b"slug" => &mut self.slugs,
                b"key" => &mut self.keys,
                b"clone_url" => &mut self.urls,
                _ => &mut self.whole,
            };
            let quoted = [b"\"", &found[2], b"\""].concat();
            if set.len() < self.max
                && let Ok(name) = serde_json::from_slice::<String>(&quoted)
            {
                set.insert(if &found[1] == b"clone_url" { same_url(&name) } else { name.to_lowercase() });
            }
        }
    }
}

/// Returns what is the same for all spellings of a clone URL: with and without `.git` and slashes at its end.
pub(crate) fn same_url(url: &str) -> String {
    let url = url.to_lowercase();
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}

/// Decodes a form that comes in parts.
#[derive(Debug, Default)]
struct Decoder {
    /// The digits of `%2F` that were read so far.
    digits: Option<Vec<u8>>,
}

impl Decoder {
    fn decode(&mut self, part: &[u8], text: &mut Vec<u8>) {
        for byte in part {
            match (&mut self.digits, byte) {
                (Some(digits), byte) => {
                    digits.push(*byte);
                    if digits.len() == 2 {
                        let digits = self.digits.take().unwrap_or_default();
                        let decoded =
                            std::str::from_utf8(&digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
                        text.push(decoded.unwrap_or(b'?'));
                    }
                }
                (None, b'%') => self.digits = Some(Vec::with_capacity(2)),
                (None, b'+') => text.push(b' '),
                (None, byte) => text.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn names(text: &str, form: bool) -> Names {
        Names::of(&mut Received::Memory(Bytes::from(text.to_owned())), form, 4).unwrap()
    }

    #[test]
    fn names_are_found_as_forges_write_them() {
        // SEC-M3
        let github =
            names(r#"{"ref":"x \"full_name\":\"no/no\"","repository":{"id":1,"full_name":"Owner/App"}}"#, false);
        assert!(github.may_mean("owner/app", "https://x/y") && github.may_mean("Owner/App", "https://x/y"));
        assert!(!github.may_mean("no/no", "https://x/y"), "a text that quotes a name is not one");
        let spaced = names(r#"{ "project" : { "path_with_namespace" : "g\/s\/p" } }"#, false);
        assert!(spaced.may_mean("g/s/p", "https://x/y") && !spaced.may_mean("g/s", "https://x/y"));
        let server = names(r#"{"repository":{"slug":"r","project":{"key":"P"}}}"#, false);
        assert!(server.may_mean("P/r", "https://x/y") && !server.may_mean("r/P", "https://x/y"));
        assert!(names("{\"test\":true}", false).is_empty());
        let plain = names(r#"{"clone_url":"https://git.example.com/Team/app.git/"}"#, false);
        assert!(plain.may_mean("a/b", "https://git.example.com/team/app") && !plain.may_mean("a/b", "https://x/y"));
        assert!(names(r#"{"repository":"a/b"}"#, false).may_mean("a/b", "https://x/y"));
    }

    #[test]
    fn forms_are_decoded_and_names_across_parts_found() {
        let json = r#"{"repository":{"full_name":"a/b"}}"#;
        let encoded: String = json.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert!(names(&format!("payload={encoded}"), true).may_mean("a/b", "https://x/y"));
        let mut decoder = Decoder::default();
        let mut text = Vec::new();
        for part in encoded.as_bytes().chunks(2) {
            decoder.decode(part, &mut text);
        }
        assert_eq!(text, json.as_bytes());
        let mut file = tempfile::tempfile().unwrap();
        let long = format!("{}{json}{}", " ".repeat(256 * 1024 - 20), " ".repeat(300_000));
        std::io::Write::write_all(&mut file, long.as_bytes()).unwrap();
        let names = Names::of(&mut Received::File(file, long.len() as u64), false, 4).unwrap();
        assert!(names.may_mean("a/b", "https://x/y") && !names.is_empty());
    }

    #[test]
    fn ids_are_found_as_forges_write_them() {
        let found = names(
            r#"{"repository":{"id": 1296269,"full_name":"a/b"},"project":{"uuid":"{a0-1}"},"user":{"id":"7"}}"#,
            false,
        );
        assert!(found.has_id("1296269") && found.has_id("{a0-1}") && !found.has_id("7"));
        let many: String = (0..1000).map(|number| format!(r#""id":{number},"#)).collect();
        assert!(names(&many, false).ids.len() <= MAX_IDS);
    }

    #[test]
    fn many_names_are_not_followed() {
        let many: String = (0..100).map(|number| format!(r#""full_name":"a/{number}","#)).collect();
        let names = names(&many, false);
        assert!(names.may_mean("a/0", "https://x/y") && !names.may_mean("a/50", "https://x/y"));
    }
}
