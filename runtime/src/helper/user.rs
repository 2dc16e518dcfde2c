//! The user of a step: `USER` looked up in the account files of its root, as Docker does.

use super::owner::{Owner, refused_group};
use super::walk::open_in;
use crate::error::HelperError;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

/// Largest account file that is read.
const MAX_FILE: u64 = 10 * 1024 * 1024;
/// Largest id that is taken.
const MAX_ID: u32 = i32::MAX as u32;

/// Ids and home of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, the group itself among them.
    pub groups: Vec<u32>,
    /// Home directory; `/` if there is none.
    pub home: String,
}

/// Looks `spec` (`user[:group]`) up in the files of `root`.
pub(crate) fn look_up(root: &OwnedFd, spec: &str) -> Result<User, HelperError> {
    let user = find(spec, &read(root, b"etc/passwd")?, &read(root, b"etc/group")?)?;
    match user.refused() {
        Some(problem) => Err(HelperError::Step(format!("starting a command as `{spec}`: {problem}"))),
        None => Ok(user),
    }
}

impl User {
    /// Says which of the ids has no place in the sandbox, if one has none.
    fn refused(&self) -> Option<std::io::Error> {
        let owner = Owner { uid: self.uid, gid: self.gid };
        owner.refused().or_else(|| self.groups.iter().find_map(|&gid| refused_group(gid)))
    }
}

fn read(root: &OwnedFd, path: &[u8]) -> Result<String, HelperError> {
    let Ok(opened) = open_in(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) else {
        return Ok(String::new());
    };
    let file = File::from(opened);
    let refused =
        |problem| HelperError::Step(format!("looking up the user: /{} {problem}", String::from_utf8_lossy(path)));
    match file.metadata() {
        Ok(known) if !known.is_file() => return Err(refused("is not a regular file")),
        Ok(known) if known.len() > MAX_FILE => return Err(refused("is larger than 10 MiB")),
        _ => {}
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|_| refused("cannot be read"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of `/etc/passwd`.
struct Account<'f> {
    name: &'f str,
    uid: u32,
    gid: u32,
    home: &'f str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.trim().parse().ok()?, fields.get(3)?.trim().parse().ok()?);
        Some(Account { name: fields[0], uid, gid, home: fields.get(5).copied().unwrap_or("") })
    })
}

fn find(spec: &str, passwd: &str, group: &str) -> Result<User, HelperError> {
    let (user, group_name) = spec.split_once(':').map_or((spec, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    let number = number(user)?;
    let account = accounts(passwd).find(|account| account.name == user || Some(account.uid) == number);
    let (uid, own_gid) = match (&account, number) {
        (Some(account), _) => (account.uid, account.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) if user == "root" => (0, 0),
        (None, None) => {
            return Err(HelperError::Step(format!("unable to find user {user}: no matching entries in passwd file")));
        }
    };
    let home = account.as_ref().map(|account| account.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    let Some(group_name) = group_name.filter(|name| !name.is_empty()) else {
        let mut groups = vec![own_gid];
        if let Some(account) = &account {
            groups.extend(memberships(group, account.name).filter(|gid| *gid != own_gid));
        }
        return Ok(User { uid, gid: own_gid, groups, home });
    };
    let gid = match self::number(group_name)? {
        Some(gid) => gid,
        None => named_group(group, group_name).ok_or_else(|| {
            HelperError::Step(format!("unable to find group {group_name}: no matching entries in group file"))
        })?,
    };
    Ok(User { uid, gid, groups: vec![gid], home })
}

/// Returns the number that `text` is; ids beyond what tools can hold are refused.
fn number(text: &str) -> Result<Option<u32>, HelperError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(HelperError::Step(format!("uids and gids must be in range 0-{MAX_ID}: {text}"))),
    }
}

fn named_group(group: &str, name: &str) -> Option<u32> {
    let line = group.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.trim().parse().ok()
}

fn memberships<'f>(group: &'f str, name: &'f str) -> impl Iterator<Item = u32> + 'f {
    group.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split(':').collect();
        let member = fields.get(3)?.split(',').any(|member| member.trim() == name);
        if member { fields.get(2)?.trim().parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:100:200::/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:app,other\nops:x:44:app\n";

    fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
        let user = find(spec, PASSWD, GROUP).unwrap();
        (user.uid, user.gid, user.groups)
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        // E06
        assert_eq!(ids("app"), (100, 200, vec![200, 33, 44]));
        assert_eq!(ids("100"), (100, 200, vec![200, 33, 44]));
        assert_eq!(ids("100:100"), (100, 100, vec![100]));
        assert_eq!(ids("app:web"), (100, 33, vec![33]));
        assert_eq!(ids("66"), (66, 0, vec![0]));
        assert_eq!(ids(""), (0, 0, vec![0]));
        assert_eq!(find("app", PASSWD, GROUP).unwrap().home, "/home/app");
        assert_eq!(find("", "", "").unwrap().home, "/");
    }

    #[test]
    fn unknown_names_and_large_ids_are_refused() {
        for spec in ["nosuch", "app:nosuch", "4294967295", "2147483648", "0:99999999999"] {
            assert!(matches!(find(spec, PASSWD, GROUP), Err(HelperError::Step(_))), "{spec}");
        }
    }
}
