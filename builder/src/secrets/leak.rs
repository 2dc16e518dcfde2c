//! Finds secrets in the layer of a step that mounts them: what is in an image is everybody's.
//!
//! A secret is looked for as it is and in base64. Other encodings are not recognised, as in the log.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::io::{self, Write};

/// Shorter secrets turn up in files by chance.
const SHORTEST: usize = 8;

/// The reaction to a step whose layer holds a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leak {
    /// The requester is warned.
    #[default]
    Warned,
    /// The build fails, and the layer is not kept.
    Refused,
}

/// Passes on what is written and looks for secrets in it.
pub struct Detector<W> {
    inner: W,
    search: Option<AhoCorasick>,
    /// The secret that each form is of.
    names: Vec<String>,
    longest: usize,
    /// The end of what was written, which may be the beginning of a secret.
    tail: Vec<u8>,
    found: Option<usize>,
}

impl<W: Write> Detector<W> {
    /// Looks for `secrets`, names and values, in what is written to `inner`.
    pub fn new<'s>(inner: W, secrets: impl IntoIterator<Item = (&'s str, &'s [u8])>) -> Self {
        let (mut names, mut forms) = (Vec::new(), Vec::new());
        for (name, value) in secrets {
            let value = value.trim_ascii();
            if value.len() >= SHORTEST {
                let encoded = [STANDARD_NO_PAD.encode(value).into_bytes(), URL_SAFE_NO_PAD.encode(value).into_bytes()];
                for form in std::iter::once(value.to_vec()).chain(encoded) {
                    names.push(name.to_owned());
                    forms.push(form);
                }
            }
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        // Building the search fails only for texts that are longer than secrets may be.
        let search = (!forms.is_empty()).then(|| AhoCorasick::new(&forms).ok()).flatten();
        Detector { inner, search, names, longest, tail: Vec::new(), found: None }
    }

    /// Returns the name of a secret that was written.
    pub fn found(&self) -> Option<&str> {
        self.names.get(self.found?).map(String::as_str)
    }

    fn look(&mut self, bytes: &[u8]) {
        let Some(search) = self.search.as_ref().filter(|_| self.found.is_none()) else { return };
        // Where two writes meet, then the rest as it is.
        let kept = self.tail.len();
        self.tail.extend_from_slice(&bytes[..bytes.len().min(self.longest)]);
        let across = search.find(&self.tail);
        self.found = across.or_else(|| search.find(bytes)).map(|found| found.pattern().as_usize());
        self.tail.truncate(kept);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(self.longest)..]);
        let surplus = self.tail.len().saturating_sub(self.longest.saturating_sub(1));
        self.tail.drain(..surplus);
    }
}

impl<W: Write> Write for Detector<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.look(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&[u8]]) -> Option<String> {
        let secrets: [(&str, &[u8]); 2] = [("short", b"abc\n"), ("key", b"hush-hush!\n")];
        let mut detector = Detector::new(Vec::new(), secrets);
        pieces.iter().for_each(|piece| detector.write_all(piece).unwrap());
        assert_eq!(detector.inner, pieces.concat());
        detector.found().map(str::to_owned)
    }

    #[test]
    fn a_secret_is_found_wherever_the_writes_meet() {
        let text = b"before hush-hush! after";
        for cut in 0..text.len() {
            for again in cut..text.len() {
                let pieces = [&text[..cut], &text[cut..again], &text[again..]];
                assert_eq!(found(&pieces).as_deref(), Some("key"), "{cut} {again}");
            }
        }
        let letters: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(found(&letters).as_deref(), Some("key"));
        assert_eq!(found(&[b"x aHVzaC1odXNoIQ y"]).as_deref(), Some("key"), "base64");
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert_eq!(found(&[b"abc hush-hush", b" hush!"]), None);
        assert_eq!(found(&[]), None);
    }
}
