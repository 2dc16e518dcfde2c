//! The functions of the fuzz targets: each takes any bytes and checks the properties that hold for all of them.

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

use crate::configuration::document::{RepositoryDocument, compile, from_json, own_rules};
use crate::forges::{Forge, Proof, Signed, json_of};
use crate::intake::{names::Names, spool::Received};
use crate::rules::{Pushed, RefKind, Rule, Schedule, Template, is_ref, legal, skip_marker};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

/// The forges, by the first byte of an input.
const FORGES: [Forge; 5] = [Forge::Github, Forge::Gitea, Forge::Gitlab, Forge::Bitbucket, Forge::Generic];
/// Refs that rules and templates are tried with.
const REFS: [&str; 4] = ["refs/heads/main", "refs/heads/feature/a", "refs/tags/v1.2.3-rc.1", "refs/tags/1.2.3"];
/// Longest name of a repository that is looked for before a sender is proven.
const MAX_NAME: usize = 400;

/// Reads a delivery: a byte for the forge, the event in a line, and the body.
pub fn delivery(data: &[u8]) {
    let Some((forge, rest)) = data.split_first() else { return };
    let (forge, is_form) = (FORGES[usize::from(*forge) % FORGES.len()], *forge >= 128);
    let (event, body) = rest.split_at(rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()));
    let (event, body) = (String::from_utf8_lossy(event), body.strip_prefix(b"\n").unwrap_or(body));
    let Some(json) = json_of(body, is_form) else { return };
    let _ = forge.read(&event, &json);
    // As forges write it: without escapes where none are needed, on one line.
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(&json) else { return };
    let compact = document.to_string();
    if let Ok(message) = forge.read(&event, compact.as_bytes())
        && let Some(name) = message.repository.filter(|name| may_be_configured(name))
    {
        let mut received = Received::Memory(Bytes::from(compact));
        let names = Names::of(&mut received, false, usize::MAX).expect("memory is read");
        assert!(names.may_mean(&name, "https://git.example.com/x"), "the key of `{name}` would not be tried");
    }
}

/// Tells whether a repository can have the name: one without an owner is nobody's, and needs no key.
fn may_be_configured(name: &str) -> bool {
    name.len() <= MAX_NAME && !name.contains(['\\', '"']) && name.split('/').all(|part| !part.is_empty())
}

/// Reads headers, a line each, and checks that only the right key makes a signature of what follows the first empty line.
pub fn signature(data: &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 2..).unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in head.split(|&byte| byte == b'\n') {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let keys = ["the right key".to_owned(), "another key".to_owned()];
    let right = signed(&keys[0], body);
    for forge in FORGES {
        let forge = forge.of(&headers);
        let _ = forge.check(&headers);
        if let Ok(said) = forge.headers(&headers) {
            let is_signed = verify(&said.proof, body, &keys);
            assert!(
                !is_signed || matches!(said.proof, Proof::Signature(digits) if digits.eq_ignore_ascii_case(&right))
            );
        }
    }
    assert!(verify(&Proof::Signature(&right), body, &keys));
    assert!(!verify(&Proof::Signature(&right), body, &keys[1..]));
    assert!(!verify(&Proof::Signature(&right), &[body, b"x"].concat(), &keys));
}

fn signed(key: &str, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn verify(proof: &Proof<'_>, body: &[u8], keys: &[String]) -> bool {
    let Some(signature) = proof.signature() else { return false };
    let mut received = Received::Memory(Bytes::copy_from_slice(body));
    Signed::verify(&mut received, &signature, keys).expect("memory is read").is_some()
}

/// Reads a repository's own file, and asks its rules what they make of some refs.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document =
        br#"{"name":"team/app","clone_url":"https://x/y.git","image":"r.example.com/team/app","own_rules":{}}"#;
    let document: RepositoryDocument = from_json(document).expect("the document is right");
    let repository = compile(&document, Vec::new()).expect("the document is right");
    let _ = from_json::<RepositoryDocument>(data);
    let Ok((image, rules)) = own_rules(&repository, text) else { return };
    assert!(image.starts_with(&repository.image));
    assert!(rules.iter().filter_map(|rule| rule.image.as_ref()).all(|image| image.starts_with(&repository.image)));
    rules.iter().for_each(matches);
}

/// Checks that what a rule makes of a push is what registries take.
fn matches(rule: &Rule) {
    for git_ref in REFS {
        let pushed = Pushed::new(git_ref, None).expect("it is a ref").on_default(Some("main"));
        let Ok(matched) = rule.matches(&pushed) else { continue };
        assert!(!matched.tags.is_empty());
        assert!(matched.tags.iter().all(|tag| legal(tag) == *tag && !tag.is_empty()), "{:?}", matched.tags);
    }
}

/// Reads a template, a ref, a commit's message and a schedule, a line each.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let (template, git_ref) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok(read) = Template::parse(template) {
        assert_eq!(read.text(), template);
        assert!(read.groups().all(|group| (1..=9).contains(&group)));
    }
    for source in ["/(.*)/", "/^(v?)([0-9.]*)(.*)$/"] {
        for kind in [RefKind::Branch, RefKind::Tag] {
            let Ok(rule) = Rule::new("rule", kind, source, &[template.to_owned()]) else { continue };
            matches(&rule);
            if is_ref(git_ref)
                && let Some(pushed) = Pushed::new(git_ref, None)
                && let Ok(matched) = rule.matches(&pushed)
            {
                assert!(matched.tags.iter().all(|tag| legal(tag) == *tag), "{:?}", matched.tags);
            }
        }
    }
    assert_eq!(legal(&legal(template)), legal(template));
    skip_marker(lines.next().unwrap_or_default());
    if let Some(schedule) = lines.next().and_then(|line| line.parse::<Schedule>().ok()) {
        let now = OffsetDateTime::UNIX_EPOCH;
        assert!(schedule.next_after(now).is_some_and(|due| due > now));
    }
}

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn inputs_that_were_found_by_fuzzing_stay_mended() {
        replay("delivery", super::delivery);
        replay("signature", super::signature);
        replay("rules", super::rules);
        replay("template", super::template);
    }
}
