//! `--chown` and `USER` looked up in the account files of an image.

use super::CopyError;

/// Tells whether `spec` (`user[:group]`) needs no account files.
pub fn is_numeric(spec: &str) -> bool {
    spec.split(':').all(|part| number(part).is_some())
}

/// Returns owner and group that `spec` names, given the content of `/etc/passwd` and `/etc/group`.
///
/// A number alone is its own group; a name alone has the group of its account. An unknown name is 0, as in BuildKit, but
/// an image without `/etc/passwd` cannot have names looked up.
pub fn lookup_owner(spec: &str, passwd: Option<&[u8]>, group: Option<&[u8]>) -> Result<(u32, u32), CopyError> {
    let (user, group_name) = spec.split_once(':').map_or((spec, None), |(user, group)| (user, Some(group)));
    let (uid, own_gid) = match number(user) {
        Some(uid) => (uid, uid),
        None => {
            let passwd = passwd.ok_or_else(|| CopyError::NoAccounts(spec.to_owned()))?;
            account(passwd, user).unwrap_or((0, 0))
        }
    };
    let gid = match group_name {
        None | Some("") => own_gid,
        Some(name) => match number(name) {
            Some(gid) => gid,
            None => group.and_then(|group| field(group, name, 2)).unwrap_or(0),
        },
    };
    Ok((uid, gid))
}

fn number(text: &str) -> Option<u32> {
    if text == "root" { Some(0) } else { text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())) }
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
        let owner = |spec| lookup_owner(spec, Some(passwd), Some(group)).unwrap();
        assert_eq!(owner("app"), (100, 200));
        assert_eq!(owner("66"), (66, 66));
        assert_eq!(owner("app:web"), (100, 33));
        assert_eq!(owner("1:2"), (1, 2));
        assert_eq!(owner("nosuch"), (0, 0));
        assert!(matches!(lookup_owner("app", None, None), Err(CopyError::NoAccounts(_))));
        assert_eq!(lookup_owner("root:0", None, None), Ok((0, 0)));
    }
}
