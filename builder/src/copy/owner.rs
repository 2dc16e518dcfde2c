//! `--chown` and `USER` looked up in the account files of an image.

use super::error::CopyError;

/// Largest id that a file can have: the number after it means none.
const MAX_ID: u32 = u32::MAX - 1;

/// An owner of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

/// Tells whether `spec` (`user[:group]`) needs no account files.
pub fn is_numeric(spec: &str) -> bool {
    spec.split(':').all(is_number)
}

/// Returns owner and group that `spec` names, given the content of `/etc/passwd` and `/etc/group`.
///
/// A number alone is its own group; a name alone has the group of its account, and so has one whose group is unknown. An
/// unknown name is 0, as in BuildKit, but an image without `/etc/passwd` cannot have names looked up.
pub fn lookup_owner(spec: &str, passwd: Option<&[u8]>, group: Option<&[u8]>) -> Result<Owner, CopyError> {
    let (user, group_name) = spec.split_once(':').map_or((spec, None), |(user, group)| (user, Some(group)));
    let (uid, own_gid) = match number(user)? {
        Some(uid) => (uid, uid),
        None => {
            let passwd = passwd.ok_or_else(|| CopyError::NoAccounts(spec.to_owned()))?;
            account(passwd, user).unwrap_or((0, 0))
        }
    };
    let gid = match group_name {
        None | Some("") => own_gid,
        Some(name) => match number(name)? {
            Some(gid) => gid,
            None => group.and_then(|group| field(group, name, 2)).unwrap_or(own_gid),
        },
    };
    match [uid, gid].into_iter().find(|&id| id > MAX_ID) {
        Some(id) => Err(CopyError::BadId(id.to_string())),
        None => Ok(Owner { uid, gid }),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "root" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the id that `text` is, if it is a number.
fn number(text: &str) -> Result<Option<u32>, CopyError> {
    match text {
        "root" => Ok(Some(0)),
        text if is_number(text) => {
            text.parse().ok().filter(|&id| id <= MAX_ID).map(Some).ok_or_else(|| CopyError::BadId(text.to_owned()))
        }
        _ => Ok(None),
    }
}

fn account(passwd: &[u8], name: &str) -> Option<(u32, u32)> {
    Some((field(passwd, name, 2)?, field(passwd, name, 3)?))
}

/// Returns the number in column `column` of the line that starts with `name:`.
fn field(file: &[u8], name: &str, column: usize) -> Option<u32> {
    let text = String::from_utf8_lossy(file);
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(column)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_looked_up_as_buildkit_does() {
        let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:100:200::/:/bin/sh\n";
        let group = b"root:x:0:\nweb:x:33:app\n";
        let owner = |spec| lookup_owner(spec, Some(passwd), Some(group)).map(|owner| (owner.uid, owner.gid)).unwrap();
        assert_eq!(owner("app"), (100, 200));
        assert_eq!(owner("66"), (66, 66));
        assert_eq!(owner("app:web"), (100, 33));
        assert_eq!(owner("1:2"), (1, 2));
        assert_eq!(owner("nosuch"), (0, 0));
        assert!(matches!(lookup_owner("app", None, None), Err(CopyError::NoAccounts(_))));
        assert_eq!(lookup_owner("root:0", None, None), Ok(Owner::default()));
    }

    #[test]
    fn an_unknown_group_is_that_of_the_user() {
        // EN-13
        let passwd = b"mail:x:8:12::/var/mail:/bin/sh\n";
        let owner = |spec, group| lookup_owner(spec, Some(passwd), group).map(|owner| (owner.uid, owner.gid)).unwrap();
        assert_eq!(owner("mail:nosuch", Some(b"mail:x:8:\n".as_slice())), (8, 12));
        assert_eq!(owner("mail:nosuch", None), (8, 12));
        assert_eq!(owner("5:nosuch", None), (5, 5));
        assert_eq!(owner("nosuch:nosuch", None), (0, 0));
        assert_eq!(owner("nosuch:mail", Some(b"mail:x:8:\n".as_slice())), (0, 8));
    }

    #[test]
    fn ids_end_before_the_number_that_means_none() {
        // EN-44
        let passwd = b"none:x:4294967295:4::/:\n";
        let owner = |spec| lookup_owner(spec, Some(passwd), None).map(|owner| (owner.uid, owner.gid));
        assert_eq!(owner("4294967294:1000640000"), Ok((4_294_967_294, 1_000_640_000)));
        for bad in ["4294967295", "1:4294967295", "99999999999", "-1", "0:-1", "none"] {
            assert!(matches!(owner(bad), Err(CopyError::BadId(_))), "{bad}");
        }
    }
}
