//! Which user and group ids the sandbox uses: uid 0 in there is never uid 0 of this machine.

mod note;

use crate::Error;
use crate::id_map::{self, Extent};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// File beside the state that records the ranges used by an account's sandboxes.
const NOTE: &str = "ids";
/// Files in which the kernel shows this process its own ids.
const OWN_MAPS: [&str; 2] = ["/proc/self/uid_map", "/proc/self/gid_map"];

/// How ids inside the sandbox become ids of this machine.
#[derive(Debug, Clone)]
pub struct Ids {
    kind: Kind,
    users: Vec<Extent>,
    groups: Vec<Extent>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Started as root.
    Root,
    /// Started by another account: its own ids.
    Account { uid: u32, gid: u32 },
}

impl Ids {
    /// Finds out which ids can be used by sandboxes whose state is in `place`.
    pub fn detect(place: &Path) -> Result<Self, Error> {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if uid.is_root() {
            let map = |file: &str| {
                let machine = id_map::read(file).map_err(Error::system(format!("reading `{file}`")))?;
                let map = id_map::of_root(&machine);
                match map.first() {
                    Some(_) => Ok(map),
                    None => Err(Error::Unsupported(format!("`{file}` shows no ids to build with but root's"))),
                }
            };
            return Ok(Ids { kind: Kind::Root, users: map(OWN_MAPS[0])?, groups: map(OWN_MAPS[1])? });
        }
        let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
        let find = |file: &str, own: u32| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let granted = id_map::granted(&text, &name, uid.as_raw(), own);
            // An image's own accounts alone need more than a few.
            if granted.iter().any(|range| range.count >= 500) {
                return Ok(granted);
            }
            Err(Error::Unsupported(format!(
                "`{file}` gives `{name}` no ids to build with: add the line `{name}:100000:65536` to /etc/subuid and /etc/subgid"
            )))
        };
        let granted = [find("/etc/subuid", uid.as_raw())?, find("/etc/subgid", gid.as_raw())?];
        let [users, groups] =
            note::keep(&place.join(NOTE), granted)?.map(|ranges| id_map::one_after_the_other(&ranges));
        Ok(Ids { kind: Kind::Account { uid: uid.as_raw(), gid: gid.as_raw() }, users, groups })
    }

    /// Returns the ids of this machine that are the first ones inside.
    fn first(&self) -> (u32, u32) {
        let first = |map: &[Extent]| map.first().map_or(id_map::NO_ID, |extent| extent.outside);
        (first(&self.users), first(&self.groups))
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
        let (uid, gid) = self.first();
        if fs::metadata(&state).map_err(Error::system(doing()))?.uid() != uid {
            match self.kind {
                Kind::Root => chown(&state, Some(uid), Some(gid)).map_err(Error::system(doing()))?,
                Kind::Account { .. } => crate::owner::give_away(&state, |id| self.map_to_give_away(id))?,
            }
        }
        Ok(state)
    }

    /// Gives the process `id`, which just made a user namespace, its ids.
    pub(crate) fn map(&self, id: u32) -> Result<(), Error> {
        match self.kind {
            Kind::Root => {
                for (file, map) in [("uid_map", &self.users), ("gid_map", &self.groups)] {
                    let path = format!("/proc/{id}/{file}");
                    fs::write(&path, id_map::lines(map)).map_err(Error::system(format!("writing `{path}`")))?;
                }
                Ok(())
            }
            Kind::Account { .. } => {
                map_with("newuidmap", id, &self.users)?;
                map_with("newgidmap", id, &self.groups)
            }
        }
    }

    /// Gives the process `id` the account's own ids as 0 and the sandbox's first ids as 1: it can pass things on.
    fn map_to_give_away(&self, id: u32) -> Result<(), Error> {
        let Kind::Account { uid, gid } = self.kind else { return Ok(()) };
        let (first_user, first_group) = self.first();
        let both = |own: u32, first: u32| {
            [Extent { inside: 0, outside: own, count: 1 }, Extent { inside: 1, outside: first, count: 1 }]
        };
        map_with("newuidmap", id, &both(uid, first_user))?;
        map_with("newgidmap", id, &both(gid, first_group))
    }
}

/// Maps ids with the setuid program that is allowed to.
fn map_with(program: &str, id: u32, map: &[Extent]) -> Result<(), Error> {
    let missing = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => Error::Unsupported(format!("`{program}` is missing: install the package `uidmap`")),
        _ => Error::System { doing: format!("running `{program}`"), cause },
    };
    let output = Command::new(program)
        .arg(id.to_string())
        .args(
            map.iter()
                .flat_map(|extent| [extent.inside, extent.outside, extent.count])
                .map(|number| number.to_string()),
        )
        .stdin(Stdio::null())
        .output()
        .map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Unsupported(format!("`{program}` refuses to map ids: {}", said.trim())))
}
