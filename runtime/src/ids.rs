//! Which user and group ids the sandbox uses: uid 0 in there is never uid 0 of this machine.

use crate::Error;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Ids that a sandbox has.
const COUNT: u32 = 65_536;
/// First id that is used when slipway runs as root: far above people, services and most ranges of `/etc/subuid`.
const ROOT_BASE: u32 = 1_879_048_192;

/// How ids inside the sandbox become ids of this machine.
#[derive(Debug, Clone)]
pub struct Ids {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Started as root: a range of its own.
    Range { base: u32 },
    /// Started by somebody else: their own id and what `/etc/subuid` gives them.
    Account { uid: u32, gid: u32, subuid: (u32, u32), subgid: (u32, u32) },
}

impl Ids {
    /// Finds out which ids can be used.
    pub fn detect() -> Result<Self, Error> {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if uid.is_root() {
            return Ok(Ids { kind: Kind::Range { base: ROOT_BASE } });
        }
        let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
        let find = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            subordinate(&text, &name, uid.as_raw()).ok_or_else(|| {
                Error::Unsupported(format!(
                    "`{file}` gives `{name}` no ids to build with: add the line `{name}:100000:65536` to /etc/subuid and /etc/subgid"
                ))
            })
        };
        let (subuid, subgid) = (find("/etc/subuid")?, find("/etc/subgid")?);
        Ok(Ids { kind: Kind::Account { uid: uid.as_raw(), gid: gid.as_raw(), subuid, subgid } })
    }

    /// Makes the state directory in `place` and returns its path.
    ///
    /// The sandbox owns it; `place` around it is the service's, and nobody else passes through: what steps make set-uid
    /// in there must be out of everybody's reach.
    pub(crate) fn prepare_state(&self, place: &Path) -> Result<PathBuf, Error> {
        let state = place.join("state");
        let doing = || format!("creating `{}`", state.display());
        DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(Error::system(doing()))?;
        DirBuilder::new().recursive(true).mode(0o711).create(&state).map_err(Error::system(doing()))?;
        let (uid, gid) = match &self.kind {
            Kind::Range { base } => (*base, *base),
            Kind::Account { subuid, subgid, .. } => (subuid.0, subgid.0),
        };
        if fs::metadata(&state).map_err(Error::system(doing()))?.uid() != uid {
            match self.kind {
                Kind::Range { .. } => chown(&state, Some(uid), Some(gid)).map_err(Error::system(doing()))?,
                Kind::Account { .. } => crate::owner::give_away(&state, self)?,
            }
        }
        Ok(state)
    }

    /// Gives the process `id`, which just made a user namespace, its ids.
    pub(crate) fn map(&self, id: u32) -> Result<(), Error> {
        match &self.kind {
            Kind::Range { base } => {
                for file in ["uid_map", "gid_map"] {
                    let path = format!("/proc/{id}/{file}");
                    fs::write(&path, format!("0 {base} {COUNT}\n"))
                        .map_err(Error::system(format!("writing `{path}`")))?;
                }
                Ok(())
            }
            Kind::Account { subuid, subgid, .. } => {
                let whole = |(base, count): (u32, u32)| [0, base, count.min(COUNT)];
                map_with("newuidmap", id, &whole(*subuid))?;
                map_with("newgidmap", id, &whole(*subgid))
            }
        }
    }

    /// Gives the process `id` the account's own ids as 0 and the sandbox's first ids as 1: it can pass things on.
    pub(crate) fn map_to_give_away(&self, id: u32) -> Result<(), Error> {
        match &self.kind {
            Kind::Range { .. } => Ok(()),
            Kind::Account { uid, gid, subuid, subgid } => {
                map_with("newuidmap", id, &[0, *uid, 1, 1, subuid.0, 1])?;
                map_with("newgidmap", id, &[0, *gid, 1, 1, subgid.0, 1])
            }
        }
    }
}

/// Maps ids with the setuid program that is allowed to: triples of first id inside, first id outside, and count.
fn map_with(program: &str, id: u32, map: &[u32]) -> Result<(), Error> {
    let missing = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => Error::Unsupported(format!("`{program}` is missing: install the package `uidmap`")),
        _ => Error::System { doing: format!("running `{program}`"), cause },
    };
    let output = Command::new(program)
        .args([id].iter().chain(map).map(u32::to_string))
        .stdin(Stdio::null())
        .output()
        .map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Unsupported(format!("`{program}` refuses to map ids: {}", said.trim())))
}

/// Returns the first range that `/etc/subuid` or `/etc/subgid` gives an account.
fn subordinate(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let (base, count): (u32, u32) = (fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?);
        ((owner == name || owner == uid.to_string()) && count >= 1000).then_some((base, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_or_number() {
        let text = "other:1:65536\nme:100000:65536\n1007:300000:65536\n";
        assert_eq!(subordinate(text, "me", 5), Some((100_000, 65_536)));
        assert_eq!(subordinate(text, "x", 1007), Some((300_000, 65_536)));
        assert_eq!(subordinate(text, "x", 5), None);
    }
}
