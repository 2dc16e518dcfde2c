//! Hides secrets in what a build prints, in the forms in which commands print them, wherever a chunk of output ends.
//!
//! Known limit: whoever transforms a secret otherwise (reverses it, prints it letter by letter) gets it printed.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// The text that is shown in place of a secret.
const MASK: &[u8] = b"***";
/// Shorter secrets are words that turn up everywhere; they are not hidden.
pub const SHORTEST: usize = 4;
/// Larger secrets are refused: searching for all their forms would take more memory than a build is worth.
pub const LARGEST: usize = 64 * 1024;
/// A line of a secret that is hidden when it turns up alone has at least so many bytes.
const SHORTEST_LINE: usize = 8;
/// Characters in a line that `base64` prints.
const BASE64_LINE: usize = 76;

/// All forms of the secrets of a build.
#[derive(Clone, Default)]
pub struct Masks {
    forms: Option<Arc<Forms>>,
}

struct Forms {
    search: AhoCorasick,
    beginnings: Vec<Beginning>,
}

impl Masks {
    /// Takes the secrets; what is shorter than [`SHORTEST`] without the space around it is left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut forms = BTreeSet::new();
        secrets.into_iter().for_each(|secret| add_forms(secret, &mut forms));
        let forms: Vec<Vec<u8>> = forms.into_iter().filter(|form| form.len() >= SHORTEST).collect();
        let search = (!forms.is_empty()).then(|| AhoCorasick::new(&forms));
        // Building the search fails only for texts that are longer than secrets may be.
        let forms = search.and_then(Result::ok).map(|search| {
            let beginnings = forms.into_iter().map(Beginning::new).collect();
            Arc::new(Forms { search, beginnings })
        });
        Masks { forms }
    }

    /// Returns what hides the secrets in one stream of output.
    pub fn masker(&self) -> Masker {
        Masker { forms: self.forms.clone(), held: Vec::new(), covered: 0, masking: false }
    }

    /// Returns `text` with the secrets hidden.
    pub fn text(&self, text: &str) -> String {
        let mut masked = Vec::new();
        let mut masker = self.masker();
        masker.push(text.as_bytes(), &mut |bytes| masked.extend_from_slice(bytes));
        masker.finish(&mut |bytes| masked.extend_from_slice(bytes));
        String::from_utf8_lossy(&masked).into_owned()
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Masks({})", self.forms.as_ref().map_or(0, |forms| forms.beginnings.len()))
    }
}

/// Hides secrets in one stream; holds back what may be the beginning of one.
pub struct Masker {
    forms: Option<Arc<Forms>>,
    held: Vec<u8>,
    /// Bytes at the start of `held` that a mask which was shown already stands for.
    covered: usize,
    /// Whether a mask is what was shown last.
    masking: bool,
}

impl Masker {
    /// Passes on what is known to be harmless of `bytes` and of what was held back.
    pub fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
        let Some(forms) = self.forms.clone() else { return out(bytes) };
        self.held.extend_from_slice(bytes);
        let hold = forms.beginnings.iter().map(|beginning| beginning.at_the_end_of(&self.held)).max().unwrap_or(0);
        self.emit(&forms, self.held.len() - hold, out);
    }

    /// Passes on what was held back: nothing follows that would make a secret of it.
    pub fn finish(&mut self, out: &mut dyn FnMut(&[u8])) {
        if let Some(forms) = self.forms.clone() {
            self.emit(&forms, self.held.len(), out);
        }
    }

    /// Passes on the first `cut` bytes, secrets hidden.
    fn emit(&mut self, forms: &Forms, cut: usize, out: &mut dyn FnMut(&[u8])) {
        if cut == 0 {
            return;
        }
        let (mut at, mut covered_after) = (0, 0);
        for secret in self.secrets(forms).into_iter().filter(|secret| secret.start < cut) {
            if secret.start > at {
                out(&self.held[at..secret.start]);
            }
            if secret.start > 0 || !self.masking {
                out(MASK);
            }
            at = secret.end.min(cut);
            covered_after = secret.end.saturating_sub(cut);
        }
        self.masking = at == cut;
        if at < cut {
            out(&self.held[at..cut]);
        }
        self.held.drain(..cut);
        self.covered = if self.held.is_empty() { 0 } else { covered_after };
    }

    /// Returns where secrets are in what is held, those that touch joined.
    fn secrets(&self, forms: &Forms) -> Vec<Range<usize>> {
        let found = forms.search.find_overlapping_iter(&self.held).map(|found| found.start()..found.end());
        let mut found: Vec<_> = found.collect();
        if self.covered > 0 {
            found.push(0..self.covered);
        }
        found.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in found {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }
}

/// A form of a secret, prepared to find out how much of it a text ends with.
struct Beginning {
    form: Vec<u8>,
    /// For each length of a match, the length of the longest shorter one that it ends with (Knuth, Morris, Pratt).
    shorter: Vec<u32>,
}

impl Beginning {
    fn new(form: Vec<u8>) -> Self {
        let mut shorter = vec![0u32; form.len()];
        let mut length = 0usize;
        for at in 1..form.len() {
            while length > 0 && form[at] != form[length] {
                length = shorter[length - 1] as usize;
            }
            length += usize::from(form[at] == form[length]);
            shorter[at] = length as u32;
        }
        Beginning { form, shorter }
    }

    /// Returns how many bytes at the end of `text` begin the form without being all of it.
    fn at_the_end_of(&self, text: &[u8]) -> usize {
        let mut length = 0usize;
        for &byte in &text[text.len().saturating_sub(self.form.len() - 1)..] {
            while length > 0 && byte != self.form[length] {
                length = self.shorter[length - 1] as usize;
            }
            length += usize::from(byte == self.form[length]);
        }
        length
    }
}

/// Adds the forms in which `secret` may be printed.
fn add_forms(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let value = secret.trim_ascii();
    if value.len() < SHORTEST {
        return;
    }
    let whole = STANDARD_NO_PAD.encode(secret);
    let wrapped = whole.as_bytes().chunks(BASE64_LINE).filter(|line| line.len() >= SHORTEST_LINE);
    forms.extend(wrapped.map(<[u8]>::to_vec));
    let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| line.len() >= SHORTEST_LINE);
    for part in lines.chain([value]) {
        forms.insert(part.to_vec());
        for skipped in 0..3 {
            forms.insert(in_base64(&STANDARD_NO_PAD, part, skipped));
            forms.insert(in_base64(&URL_SAFE_NO_PAD, part, skipped));
        }
        forms.extend(url_escaped(part));
        if let Ok(text) = std::str::from_utf8(part) {
            forms.extend(json_escaped(text));
        }
    }
}

/// Returns the characters that stand for `value` in base64 when `skipped` bytes, modulo three, stand before it.
fn in_base64(engine: &impl Engine, value: &[u8], skipped: usize) -> Vec<u8> {
    let mut bytes = vec![0; skipped];
    bytes.extend_from_slice(value);
    let text = engine.encode(&bytes).into_bytes();
    // The characters at both ends also depend on what stands there.
    text[(skipped * 8).div_ceil(6)..bytes.len() * 8 / 6].to_vec()
}

fn url_escaped(value: &[u8]) -> [Vec<u8>; 3] {
    let (mut upper, mut lower) = (String::new(), String::new());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            upper.push(byte as char);
            lower.push(byte as char);
        } else {
            let _ = write!(upper, "%{byte:02X}");
            let _ = write!(lower, "%{byte:02x}");
        }
    }
    let form = upper.replace("%20", "+");
    [upper.into_bytes(), lower.into_bytes(), form.into_bytes()]
}

fn json_escaped(value: &str) -> [Vec<u8>; 3] {
    let quoted = serde_json::Value::from(value).to_string();
    let inside = quoted[1..quoted.len() - 1].to_owned();
    // Go's library escapes what could end a script, PHP's the slash.
    let for_html = inside.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let with_slashes = inside.replace('/', "\\/");
    [inside.into_bytes(), for_html.into_bytes(), with_slashes.into_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &[u8], chunks: &[&[u8]]) -> String {
        let mut shown = Vec::new();
        let mut masker = Masks::new([secret]).masker();
        chunks.iter().for_each(|chunk| masker.push(chunk, &mut |bytes| shown.extend_from_slice(bytes)));
        masker.finish(&mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        // SEC-01
        let secret = "p@ss/w<rd> \"ünd\\ 42";
        let forms = [
            secret.to_owned(),
            "p%40ss%2Fw%3Crd%3E%20%22%C3%BCnd%5C%2042".to_owned(),
            "p%40ss%2fw%3crd%3e%20%22%c3%bcnd%5c%2042".to_owned(),
            "p%40ss%2Fw%3Crd%3E+%22%C3%BCnd%5C+42".to_owned(),
            "p@ss/w<rd> \\\"ünd\\\\ 42".to_owned(),
            "p@ss/w\\u003crd\\u003e \\\"ünd\\\\ 42".to_owned(),
            "p@ss\\/w<rd> \\\"ünd\\\\ 42".to_owned(),
        ];
        for form in forms {
            assert_eq!(masked(secret.as_bytes(), &[format!("a {form} b").as_bytes()]), "a *** b", "{form}");
        }
    }

    #[test]
    fn base64_hides_whatever_stands_around_the_secret() {
        // SEC-01
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{before}s3cr3t-value{after}"));
                let shown = masked(b"s3cr3t-value", &[text.as_bytes()]);
                assert!(shown.contains("***") && shown.len() <= 3 + 8 + 4, "{text}: {shown}");
            }
        }
    }

    #[test]
    fn a_secret_is_hidden_wherever_the_chunks_end() {
        // SEC-01
        let text = b"<token-token-tok> token-tok <token-toktoken-tok-x>";
        let whole = masked(b"token-tok", &[text]);
        assert_eq!(whole, "<***> *** <***-x>");
        for cut in 0..text.len() {
            assert_eq!(masked(b"token-tok", &[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(masked(b"token-tok", &single), whole);
    }

    #[test]
    fn what_only_begins_like_a_secret_is_shown() {
        assert_eq!(masked(b"secret-value", &[b"secret-", b"val"]), "secret-val");
        assert_eq!(masked(b"secret-value", &[b"secret-", b"sauce\n"]), "secret-sauce\n");
    }

    #[test]
    fn short_secrets_are_left_and_lines_of_long_ones_hidden() {
        // SEC-11
        assert_eq!(masked(b"abc\n", &[b"abc"]), "abc");
        assert_eq!(masked(b"", &[b"abc"]), "abc");
        let key = b"-----BEGIN KEY-----\nAAAAB3NzaC1yc2E\n-----END KEY-----\n";
        assert_eq!(masked(key, &[b"  AAAAB3NzaC1yc2E\r\n"]), "  ***\r\n");
        let binary: Vec<u8> = (0..=255).collect();
        assert_eq!(masked(&binary, &[b"<", &binary, b">"]).as_bytes(), b"<***>");
    }

    #[test]
    fn a_large_secret_is_hidden_in_small_chunks() {
        // SEC-11
        let secret: Vec<u8> =
            (0..LARGEST as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let chunks: Vec<&[u8]> = secret.chunks(5_000).collect();
        let began = std::time::Instant::now();
        assert!(masked(&secret, &chunks).starts_with("***"));
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
