//! Reads what a server announces: its refs and what it can do.

use super::error::{RemoteError, SHA256, said};
use super::packet::{Packet, Packets, text};
use git2::Oid;

/// A ref and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its full name.
    pub name: String,
    /// The commit or annotated tag.
    pub id: Oid,
}

/// Reads `ID NAME …`; `None` of a branch that does not exist yet.
pub(crate) fn announced(line: &str) -> Result<Option<Announced>, RemoteError> {
    if let Some(message) = line.strip_prefix("ERR ") {
        return Err(said(message.as_bytes()));
    }
    let mut words = line.split(' ');
    let (Some(id), Some(name)) = (words.next(), words.next()) else {
        return Err(RemoteError::Malformed("a line of its list of refs has no name"));
    };
    match Oid::from_str(id) {
        Ok(id) if line.len() > 40 && line.as_bytes()[40] == b' ' => Ok(Some(Announced { name: name.to_owned(), id })),
        _ if id == "unborn" => Ok(None),
        _ if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Err(RemoteError::Unsupported(SHA256)),
        _ => Err(RemoteError::Malformed("a line of its list of refs has no SHA-1")),
    }
}

/// A server's advertisement.
#[derive(Debug)]
pub(crate) enum Advertised {
    /// In version 0: what it can do, and all its refs.
    Zero { capabilities: Vec<String>, refs: Vec<Announced> },
    /// In version 2: what it can do.
    Two { capabilities: Vec<String> },
}

/// Reads what a server announces.
pub(crate) async fn advertised(packets: &mut Packets) -> Result<Advertised, RemoteError> {
    let (mut capabilities, mut refs) = (Vec::new(), Vec::new());
    let mut begun = false;
    loop {
        let data = match packets.next().await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) if !begun => continue,
            Some(_) | None => return Ok(Advertised::Zero { capabilities, refs }),
        };
        if data.starts_with(b"# service=") {
            continue;
        }
        if data.starts_with(b"version 2") {
            return of_two(packets).await;
        }
        begun = true;
        let mut parts = data.splitn(2, |&byte| byte == 0);
        let known = parts.next().unwrap_or_default();
        if let Some(list) = parts.next() {
            capabilities = text(list).split(' ').map(str::to_owned).collect();
            refuse_sha256(&capabilities)?;
        }
        // A repository without refs has a line for its capabilities alone.
        refs.extend(announced(&text(known))?.filter(|known| !known.id.is_zero()));
    }
}

async fn of_two(packets: &mut Packets) -> Result<Advertised, RemoteError> {
    let mut capabilities = Vec::new();
    while let Some(Packet::Data(data)) = packets.next().await? {
        capabilities.push(text(&data));
    }
    refuse_sha256(&capabilities)?;
    Ok(Advertised::Two { capabilities })
}

fn refuse_sha256(capabilities: &[String]) -> Result<(), RemoteError> {
    let other = |known: &String| known.strip_prefix("object-format=").is_some_and(|format| format != "sha1");
    if capabilities.iter().any(other) { Err(RemoteError::Unsupported(SHA256)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_an_object_and_a_ref() {
        let id = "1".repeat(40);
        let read = |line: &str| announced(line).unwrap();
        let known = read(&format!("{id} HEAD symref-target:refs/heads/main")).unwrap();
        assert_eq!((known.name.as_str(), known.id.to_string()), ("HEAD", id.clone()));
        assert_eq!(read("unborn HEAD symref-target:refs/heads/main"), None);
        let message = announced("ERR no\u{1b}[2J way").unwrap_err().to_string();
        assert!(message.contains("no\\u{1b}[2J way"), "{message}");
        for bad in ["", &id, "xyz refs/heads/main", "1234 refs/heads/main", &format!("{id}{id} refs/heads/main")] {
            assert!(matches!(announced(bad), Err(RemoteError::Malformed(_))), "{bad}");
        }
    }
}
