//! Paths within a tree: bytes, relative to its root, with `/` between components.

/// Returns `path` relative to the root it is unpacked in: no empty, `.` or `..` components, no slash at either end.
///
/// `..` goes up but never above the root, as image tools have always read such names. The root itself is empty.
pub fn clean_path(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join(&b'/')
}

/// Returns the path of `name` in `directory`; an empty name is the directory itself.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => directory.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}

/// Returns the directory that `path` is in; the root is in itself.
pub fn parent(path: &[u8]) -> &[u8] {
    split(path).0
}

/// Splits `path` into its directory and its last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_clamped_to_the_root() {
        for (path, clean) in
            [("../../etc/x", "etc/x"), ("/a//b/./c/", "a/b/c"), ("a/../..", ""), ("./", ""), ("a/../b", "b")]
        {
            assert_eq!(clean_path(path.as_bytes()), clean.as_bytes(), "{path}");
        }
    }
}
