//! Signatures of deliveries: verified over the raw bytes, in constant time, before anything is parsed.

use crate::intake::spool::Received;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// Used where there is no key to compare with, so that an answer takes as long.
const NO_KEY: &str = "no repository has this key";
/// Hashes that every check makes: those of a present and a previous key.
const MIN_HASHES: usize = 2;

/// The proof in a delivery's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof<'h> {
    /// Hexadecimal HMAC-SHA256 of the body.
    Signature(&'h str),
    /// The key itself.
    Key(&'h str),
    /// Nothing.
    None,
}

impl Proof<'_> {
    /// Returns the bytes of a signature that is one: 64 hexadecimal digits.
    pub(crate) fn signature(&self) -> Option<Vec<u8>> {
        let Proof::Signature(digits) = self else { return None };
        hex::decode(digits).ok().filter(|bytes| bytes.len() == 32)
    }

    /// Returns which of `keys` is the key that was sent in clear; `None` if none is, or the proof is of another kind.
    pub(crate) fn presented<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Option<Signed> {
        let Proof::Key(presented) = self else { return None };
        let is_right = |key: &&str| presented.as_bytes().ct_eq(key.as_bytes()).into();
        // Every key is compared, so that the time tells of none.
        let right: Vec<String> = keys.filter(is_right).map(str::to_owned).collect();
        (!right.is_empty()).then_some(Signed { keys: right })
    }
}

/// The keys that made a proof.
#[derive(Debug)]
pub(crate) struct Signed {
    keys: Vec<String>,
}

impl Signed {
    /// Checks a signature with each of `keys`, in one pass over the body; `None` if none is right.
    ///
    /// At least [`MIN_HASHES`] are made, so that an unknown repository takes as long as a wrong signature.
    pub(crate) fn verify(
        received: &mut Received,
        signature: &[u8],
        keys: &[String],
    ) -> std::io::Result<Option<Signed>> {
        let mut tried: Vec<&str> = Vec::new();
        for key in keys {
            if !tried.contains(&key.as_str()) {
                tried.push(key);
            }
        }
        let real = tried.len();
        tried.resize(real.max(MIN_HASHES), NO_KEY);
        let mac = |key: &&str| {
            <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length")
        };
        let mut macs: Vec<_> = tried.iter().map(mac).collect();
        received.each_part(|part| macs.iter_mut().for_each(|mac| mac.update(part)))?;
        let verdicts: Vec<bool> = macs.into_iter().map(|mac| mac.verify_slice(signature).is_ok()).collect();
        let right = tried.iter().zip(verdicts).take(real).filter(|(_, is_right)| *is_right);
        let keys: Vec<String> = right.map(|(key, _)| (*key).to_owned()).collect();
        Ok((!keys.is_empty()).then_some(Signed { keys }))
    }

    /// Returns which of `keys` made the proof, counted from 0.
    pub(crate) fn signed_with(&self, keys: &[String]) -> Option<usize> {
        keys.iter().position(|key| self.keys.contains(key))
    }
}

/// Returns the JSON of a payload, which a form carries in a field.
pub(crate) fn json_of(body: &[u8], form: bool) -> Option<Cow<'_, [u8]>> {
    if !form {
        return Some(Cow::Borrowed(body));
    }
    let mut fields = url::form_urlencoded::parse(body);
    fields.find(|(name, _)| name == "payload").map(|(_, value)| Cow::Owned(value.into_owned().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_signature_is_right_and_others_are_not() {
        // WH-02 to WH-05; the example is that of GitHub's documentation.
        let (key, body) = ("It's a Secret to Everybody", b"Hello, World!");
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let check = |body: &'static [u8], proof: Proof<'_>, keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let mut received = Received::Memory(body.into());
            let signature = proof.signature().unwrap_or_default();
            Signed::verify(&mut received, &signature, &keys).unwrap().map(|signed| signed.keys)
        };
        let verify = |proof, keys: &[&str]| check(body, proof, keys).is_some();
        assert!(verify(Proof::Signature(signature), &["other", key]));
        assert!(!verify(Proof::Signature(signature), &["other"]));
        assert!(!verify(Proof::Signature(&signature[..62]), &[key]));
        assert!(!verify(Proof::Signature("757107"), &[key]) && !verify(Proof::Signature("no digits"), &[key]));
        assert!(!verify(Proof::None, &[key]) && !verify(Proof::Signature(signature), &[]));
        assert!(check(b"Hello, World?", Proof::Signature(signature), &[key]).is_none());
        let presented = |given, keys: &[&'static str]| Proof::Key(given).presented(keys.iter().copied()).is_some();
        assert!(presented("abc", &["x", "abc"]) && !presented("ab", &["abc"]) && !presented("", &["abc"]));
    }

    #[test]
    fn the_key_that_stands_for_none_is_right_for_nobody() {
        // WH-07
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(NO_KEY.as_bytes()).unwrap();
        mac.update(b"x");
        let signature = mac.finalize().into_bytes();
        let mut received = Received::Memory(b"x".as_slice().into());
        assert!(Signed::verify(&mut received, &signature, &[]).unwrap().is_none());
    }
}
