//! Owners of files and processes: ids that have no place in the sandbox are named, with what would give them one.

use super::bpf::MappedIds;
use crate::id_map::{self, Extent, NO_ID};
use rustix::fs::{Gid, Uid};
use std::io;

/// Ids of a file or a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Mode and owner of what a mount shows.
pub(crate) struct Access {
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
}

impl Access {
    /// Brings mode, user and group together.
    pub(crate) fn new(mode: u32, uid: u32, gid: u32) -> Self {
        Access { mode, owner: Owner { uid, gid } }
    }
}

/// Ids below this one have a place in every sandbox.
const SYSTEM_IDS: u32 = 500;

/// Kinds of ids, and where an account gets more of them.
const KINDS: [Kind; 2] = [
    Kind { name: "user", map: "/proc/self/uid_map", file: "/etc/subuid" },
    Kind { name: "group", map: "/proc/self/gid_map", file: "/etc/subgid" },
];

/// Ids of users with a place in the sandbox, then those of groups.
pub(crate) type Maps = [Vec<Extent>; 2];

/// Reads which ids have a place in this process's sandbox.
pub(crate) fn maps() -> io::Result<Maps> {
    Ok([id_map::read(KINDS[0].map)?, id_map::read(KINDS[1].map)?])
}

/// Returns the first ids that have no place in this process's sandbox.
pub(crate) fn mapped_ids() -> MappedIds {
    let first_without = |map: &[Extent]| {
        let mut extents = map.to_vec();
        extents.sort_unstable_by_key(|extent| extent.inside);
        extents.iter().fold(0, |next, extent| if extent.inside == next { next + extent.count } else { next })
    };
    match maps() {
        Ok([users, groups]) => MappedIds { users: first_without(&users), groups: first_without(&groups) },
        Err(_) => MappedIds { users: NO_ID, groups: NO_ID },
    }
}

/// A kind of ids.
struct Kind {
    name: &'static str,
    /// The kernel's file with the ids of this process.
    map: &'static str,
    /// The file of the machine that grants ids.
    file: &'static str,
}

impl Owner {
    /// Gives something to the owner; `change` is the system call that does.
    ///
    /// For the kernel the largest number means that nothing is changed: that must not pass for an id.
    pub(crate) fn give(
        self,
        change: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        if self.uid == NO_ID || self.gid == NO_ID {
            return Err(self.refused().unwrap_or_else(|| io::ErrorKind::InvalidInput.into()));
        }
        match change(Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))) {
            Err(rustix::io::Errno::INVAL) => Err(self.refused().unwrap_or_else(|| rustix::io::Errno::INVAL.into())),
            other => Ok(other?),
        }
    }

    /// Says which of the two ids has no place, if one has none.
    pub(crate) fn refused(self) -> Option<io::Error> {
        let ids = [self.uid, self.gid];
        ids.into_iter().zip(&KINDS).find_map(|(id, kind)| problem(id, kind)).map(io::Error::other)
    }

    /// Says which of the two ids has no place in `maps`, if one has none. For the kernel the largest number means that
    /// nothing is changed.
    pub(crate) fn without_place(self, maps: &Maps) -> Option<String> {
        let ids = [self.uid, self.gid].into_iter().zip(maps).zip(&KINDS);
        ids.filter(|((id, _), _)| *id != NO_ID).find_map(|((id, map), kind)| unmapped(id, map, kind))
    }
}

/// Says why a group of a process has no place, if it has none.
pub(crate) fn refused_group(gid: u32) -> Option<io::Error> {
    problem(gid, &KINDS[1]).map(io::Error::other)
}

fn problem(id: u32, kind: &Kind) -> Option<String> {
    if id < SYSTEM_IDS {
        return None;
    }
    if id == NO_ID {
        return Some(format!("{id} is not a {} id: the largest one is {}", kind.name, NO_ID - 1));
    }
    unmapped(id, &id_map::read(kind.map).ok()?, kind)
}

fn unmapped(id: u32, map: &[Extent], kind: &Kind) -> Option<String> {
    let Kind { name: kind, file, .. } = kind;
    if map.iter().any(|extent| extent.has(id)) {
        return None;
    }
    let count: u64 = map.iter().map(|extent| u64::from(extent.count)).sum();
    let here = format!("the {kind} id {id} has no place here");
    if count > u64::from(NO_ID / 2) {
        return Some(format!("{here}: this machine keeps some ids for itself; choose another"));
    }
    let more = u64::from(id) + 1 - count.min(u64::from(id));
    Some(format!(
        "{here}: builds of this account have the ids 0 to {}; a line `ACCOUNT:FIRST:{more}` in {file} gives it {more} more, and a service that runs as root has all",
        count.saturating_sub(1)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_not_an_id() {
        // EN-44
        let mut changed = false;
        let given = Owner { uid: 0, gid: NO_ID }.give(|_, _| {
            changed = true;
            Ok(())
        });
        assert!(given.unwrap_err().to_string().contains("4294967295 is not a group id") && !changed);
        assert!(Owner { uid: 0, gid: 0 }.refused().is_none());
    }
}
