//! Functions that write values as text of a form, and read such texts: base64, hashes, JSON, CSV, URLs.

use super::table::{Facts, Function};
use crate::Error;
use crate::csv;
use crate::value::Value;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::Digest;
use std::collections::BTreeMap;

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("base64decode", 1, 1, base64decode),
    ("base64encode", 1, 1, |a, _| Ok(Value::text(BASE64_STANDARD.encode(a[0].to_text()?)))),
    ("csvdecode", 1, 1, csvdecode),
    ("homedir", 0, 0, |_, facts| Ok(Value::text(&facts.home))),
    ("jsondecode", 1, 1, |a, _| {
        let json =
            serde_json::from_str(&a[0].to_text()?).map_err(|error| Error::new(format!("this is not JSON: {error}")));
        Ok(Value::from_json(&json?))
    }),
    ("jsonencode", 1, 1, |a, _| Ok(Value::text(crate::print::escape_html(&a[0].to_json().to_string())))),
    ("md5", 1, 1, |a, _| Ok(Value::text(hex::encode(md5::Md5::digest(a[0].to_text()?))))),
    ("sha1", 1, 1, |a, _| Ok(Value::text(hex::encode(sha1::Sha1::digest(a[0].to_text()?))))),
    ("sha256", 1, 1, |a, _| Ok(Value::text(hex::encode(sha2::Sha256::digest(a[0].to_text()?))))),
    ("sha512", 1, 1, |a, _| Ok(Value::text(hex::encode(sha2::Sha512::digest(a[0].to_text()?))))),
    ("urlencode", 1, 1, |a, _| Ok(Value::text(urlencode(&a[0].to_text()?)))),
    ("uuidv4", 0, 0, uuidv4),
    ("uuidv5", 2, 2, uuidv5),
];

fn base64decode(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let bytes = BASE64_STANDARD.decode(arguments[0].to_text()?);
    let bytes = bytes.map_err(|error| Error::new(format!("this is not base64: {error}")))?;
    String::from_utf8(bytes).map(Value::Text).map_err(|_| Error::new("the bytes are not UTF-8"))
}

fn csvdecode(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let text = arguments[0].to_text()?;
    let mut rows = text.lines().filter(|line| !line.is_empty()).map(csv::fields);
    let names = rows.next().ok_or_else(|| Error::new("a line with names is expected"))??;
    let mut list = Vec::new();
    for row in rows {
        let row = row?;
        if row.len() != names.len() {
            return Err(Error::new(format!("a line has {} fields in place of {}", row.len(), names.len())));
        }
        let object: BTreeMap<_, _> = names.iter().cloned().zip(row.into_iter().map(Value::Text)).collect();
        list.push(Value::Map(object));
    }
    Ok(Value::List(list))
}

fn urlencode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

fn uuid(mut bytes: [u8; 16], version: u8) -> Value {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    Value::Text([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

fn first_16(digest: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

fn uuidv4(_: &[Value], facts: &Facts) -> Result<Value, Error> {
    facts.made.set(facts.made.get() + 1);
    let digest = sha2::Sha256::digest([facts.seed.as_slice(), &facts.made.get().to_be_bytes()].concat());
    Ok(uuid(first_16(&digest), 4))
}

fn uuidv5(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (space, name) = (arguments[0].to_text()?, arguments[1].to_text()?);
    let known = |number: u8| format!("6ba7b81{number}9dad11d180b400c04fd430c8");
    let space = match space.as_str() {
        "dns" => known(0),
        "url" => known(1),
        "oid" => known(2),
        "x500" => known(4),
        other => other.replace('-', ""),
    };
    let space = hex::decode(&space).ok().filter(|bytes| bytes.len() == 16);
    let space = space.ok_or_else(|| Error::new("a UUID, or dns, url, oid or x500 is expected as the namespace"))?;
    Ok(uuid(first_16(&sha1::Sha1::digest([space.as_slice(), name.as_bytes()].concat())), 5))
}
