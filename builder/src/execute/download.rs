//! `ADD` of a file from the web: downloaded once, asked for again with its entity tag, kept as a blob.

use super::blocking::BlockingSink;
use super::resources::BuildResources;
use crate::Error;
use crate::copy::CopySource;
use crate::error::Code;
use files::view::{EntryKind, Node};
use registry_client::{Digest, Download, Downloaded, Reach};
use serde::{Deserialize, Serialize};
use sha2::{Sha384, Sha512};
use std::io::Read;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Bytes that a file may have.
const MAX_FILE: u64 = 8 * 1024 * 1024 * 1024;
/// Name of a file whose URL has none.
const UNNAMED: &str = "__unnamed__";

/// A file that was downloaded.
pub struct WebFile {
    /// Digest of its content, which is a blob of the store.
    pub digest: Digest,
    /// The file as something to be copied.
    pub selection: CopySource,
}

/// A download as it is remembered in the store.
#[derive(Serialize, Deserialize)]
struct Note {
    etag: Option<String>,
    last_modified: Option<String>,
    digest: Digest,
    size: u64,
}

/// Downloads `url` and checks it against `checksum` (`sha256:…`, `sha384:…` or `sha512:…`).
pub fn download(resources: &BuildResources, url: &str, reach: Reach, checksum: Option<&str>) -> Result<WebFile, Error> {
    let checksum = checksum.map(Checksum::parse).transpose()?;
    let note = current(resources, url, reach, checksum.as_ref())?;
    if let Some(expected) = &checksum {
        expected.check(resources, &note.digest)?;
    }
    let mtime = note.last_modified.as_deref().and_then(|text| OffsetDateTime::parse(text, &Rfc2822).ok());
    let (kind, mtime) = (EntryKind::File { size: note.size }, mtime.map_or(0, OffsetDateTime::unix_timestamp));
    let node = Node { kind, mode: 0o600, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None };
    let (name, path) = (name(url), Vec::new());
    let selection =
        CopySource { name, node, path, base: None, parents: Vec::new(), items: Vec::new(), excluded: false };
    Ok(WebFile { digest: note.digest, selection })
}

/// Returns what the server has now; what is here already is not sent again.
fn current(resources: &BuildResources, url: &str, reach: Reach, checksum: Option<&Checksum>) -> Result<Note, Error> {
    let store = &resources.store;
    let doing = || format!("downloading `{url}`");
    // A build that may only reach public addresses does not get a file that another got from elsewhere.
    let reachable = match reach {
        Reach::Anywhere => "Anywhere",
        Reach::Allowed => "Allowed",
        Reach::PublicOnly => "PublicOnly",
    };
    let name = format!("{reachable} {url}");
    let known = store.note("downloads", name.as_bytes()).map_err(|error| Error::store(doing(), error))?;
    let known = known.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    let known = known.filter(|note| store.contains(&note.digest));
    if let Some(note) = known.as_ref()
        && checksum.is_some_and(|checksum| checksum.is(&note.digest))
    {
        return Ok(Note {
            etag: None,
            last_modified: note.last_modified.clone(),
            digest: note.digest.clone(),
            ..*note
        });
    }
    let download = Download {
        url: url.to_owned(),
        reach,
        known: known.as_ref().and_then(|note| note.etag.clone()),
        authorization: None,
        limit: MAX_FILE,
    };
    let writer = store.writer().map_err(|error| Error::store(doing(), error))?;
    let mut sink = BlockingSink::new(writer);
    let downloading = resources.client.download(&download, &mut sink);
    let downloaded = resources.ask(downloading).map_err(|error| error.at(doing()))?;
    let Downloaded::File { etag, last_modified } = downloaded else {
        return known.ok_or_else(|| Error::new(Code::DownloadFailed, format!("`{url}` is not what it was asked for")));
    };
    let written = sink.into_inner().commit().map_err(|error| Error::store(doing(), error))?;
    let note = Note { etag, last_modified, digest: written.digest, size: written.size };
    let bytes = serde_json::to_vec(&note).map_err(|error| Error::new(Code::Store, doing()).with_cause(error))?;
    store.put_note("downloads", name.as_bytes(), &bytes).map_err(|error| Error::store(doing(), error))?;
    Ok(note)
}

/// Returns the last part of the URL's path, as Go's `path.Base` finds it.
fn name(url: &str) -> Vec<u8> {
    let path = url::Url::parse(url).map(|url| percent_decoded(url.path())).unwrap_or_default();
    let last = path.split(|&byte| byte == b'/').rfind(|part| !part.is_empty()).unwrap_or_default();
    match last {
        b"" | b"." | b".." => UNNAMED.as_bytes().to_vec(),
        name if name.contains(&0) => UNNAMED.as_bytes().to_vec(),
        name => name.to_vec(),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// The value of `--checksum`.
struct Checksum {
    algorithm: &'static str,
    hex: String,
}

impl Checksum {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = |problem: &str| {
            Error::new(
                Code::InvalidChecksum,
                format!("--checksum `{text}`: {problem}; sha256:<64 hex digits> is right"),
            )
        };
        let (name, hex) = text.split_once(':').ok_or_else(|| bad("the algorithm is missing"))?;
        let known = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
        let found = known.into_iter().find(|(known, _)| *known == name);
        let (algorithm, digits) = found.ok_or_else(|| bad("unsupported digest algorithm"))?;
        let valid = hex.len() == digits && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Checksum { algorithm, hex: hex.to_owned() }) } else { Err(bad("invalid checksum digest format")) }
    }

    fn is(&self, digest: &Digest) -> bool {
        self.algorithm == "sha256" && self.hex == digest.hex()
    }

    fn check(&self, resources: &BuildResources, digest: &Digest) -> Result<(), Error> {
        let found = match self.algorithm {
            "sha256" => digest.hex().to_owned(),
            "sha384" => hash::<Sha384>(resources, digest)?,
            _ => hash::<Sha512>(resources, digest)?,
        };
        if found == self.hex {
            return Ok(());
        }
        let algorithm = self.algorithm;
        let text = format!("digest mismatch {algorithm}:{found}: {algorithm}:{} was expected", self.hex);
        Err(Error::new(Code::ChecksumMismatch, text))
    }
}

fn hash<H: sha2::Digest>(resources: &BuildResources, digest: &Digest) -> Result<String, Error> {
    let reading = || "checking a download".to_owned();
    let mut file = resources.store.open_blob(digest).map_err(|error| Error::store(reading(), error))?;
    let (mut hash, mut buffer) = (H::new(), vec![0; 128 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(|error| Error::new(Code::Store, reading()).with_cause(error))? {
            0 => return Ok(hex::encode(hash.finalize())),
            got => hash.update(&buffer[..got]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_buildkit_names_them() {
        // DF-189, E22
        for (url, expected) in [
            ("http://h/a/b.txt?x=1#y", "b.txt"),
            ("http://h/a%20b", "a b"),
            ("http://h", UNNAMED),
            ("http://h/a/", "a"),
            ("http://h/%2e%2e", UNNAMED),
            ("http://h/a%2Fb", "b"),
            ("http://h/a%00b", UNNAMED),
            ("http://h/%zz", "%zz"),
        ] {
            assert_eq!(String::from_utf8(name(url)).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn checksums_have_an_algorithm_and_all_their_digits() {
        // DF-191
        let digits = "0".repeat(64);
        assert!(Checksum::parse(&format!("sha256:{digits}")).is_ok());
        for bad in
            ["", "sha256", "sha256:", "md5:00", &format!("sha512:{digits}"), &format!("sha256:{}", "G".repeat(64))]
        {
            assert!(Checksum::parse(bad).is_err(), "{bad}");
        }
    }
}
