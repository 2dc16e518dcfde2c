//! Who sent a delivery: checked over the raw bytes, in constant time, before anything is parsed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Used where there is no key to compare with, so that an answer takes as long.
const NO_KEY: &str = "no repository has this key";

/// What a delivery's headers prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<'h> {
    /// Hexadecimal HMAC-SHA256 of the body.
    Signature(&'h str),
    /// The key itself.
    Key(&'h str),
    /// Nothing.
    None,
}

/// A body whose proof was right for some of the keys.
pub struct Signed<'b> {
    body: &'b [u8],
    keys: Vec<&'b str>,
}

impl<'b> Signed<'b> {
    /// Checks the proof with each of `keys`; `None` if none is right.
    pub fn verify(body: &'b [u8], proof: Proof<'_>, keys: impl Iterator<Item = &'b str>) -> Option<Signed<'b>> {
        let signature = match proof {
            Proof::Signature(digits) => hex::decode(digits).unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut right: Vec<&str> = Vec::new();
        let mut tried: Vec<&str> = Vec::new();
        for key in keys {
            if !tried.contains(&key) {
                tried.push(key);
                if is_right(body, (proof, &signature), key) {
                    right.push(key);
                }
            }
        }
        if tried.is_empty() {
            is_right(body, (proof, &signature), NO_KEY);
        }
        (!right.is_empty()).then_some(Signed { body, keys: right })
    }

    /// Returns which of `keys` made the proof, counted from 0.
    pub fn signed_with(&self, keys: &[String]) -> Option<usize> {
        keys.iter().position(|key| self.keys.contains(&key.as_str()))
    }

    /// Returns the JSON of the payload, which a form carries in a field.
    pub fn json(&self, form: bool) -> Option<Vec<u8>> {
        if !form {
            return Some(self.body.to_vec());
        }
        let mut fields = url::form_urlencoded::parse(self.body);
        fields.find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned().into_bytes())
    }
}

fn is_right(body: &[u8], (proof, signature): (Proof<'_>, &[u8]), key: &str) -> bool {
    if let Proof::Key(presented) = proof {
        return presented.as_bytes().ct_eq(key.as_bytes()).into();
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_signature_is_right_and_others_are_not() {
        // WH-02 to WH-05; the example is that of GitHub's documentation.
        let (key, body) = ("It's a Secret to Everybody", b"Hello, World!");
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let verify = |proof, keys: &[&'static str]| Signed::verify(body, proof, keys.iter().copied()).is_some();
        assert!(verify(Proof::Signature(signature), &["other", key]));
        assert!(!verify(Proof::Signature(signature), &["other"]));
        assert!(!verify(Proof::Signature(&signature[..62]), &[key]));
        assert!(!verify(Proof::Signature("757107"), &[key]) && !verify(Proof::Signature("no digits"), &[key]));
        assert!(!verify(Proof::None, &[key]) && !verify(Proof::Signature(signature), &[]));
        assert!(verify(Proof::Key("abc"), &["x", "abc"]) && !verify(Proof::Key("ab"), &["abc"]));
        assert!(!verify(Proof::Key(""), &["abc"]));
        assert!(Signed::verify(b"Hello, World?", Proof::Signature(signature), [key].into_iter()).is_none());
    }
}
