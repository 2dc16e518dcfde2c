//! Leftovers of fetches that were killed: stale locks and unfinished packs.

use std::fs;
use std::path::Path;

/// Removes leftovers from the bare repository `path`; no fetch into it may be running.
pub(crate) fn remove(path: &Path) {
    remove_named(path, &|name| name.ends_with(".lock"));
    remove_named(&path.join("objects/pack"), &|name| name.starts_with("pack_git2_"));
    let mut waiting = vec![path.join("refs")];
    while let Some(directory) = waiting.pop() {
        remove_named(&directory, &|name| name.ends_with(".lock"));
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        waiting.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
}

fn remove_named(directory: &Path, leftover: &dyn Fn(&str) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) && leftover(&entry.file_name().to_string_lossy()) {
            // Git reports a leftover that cannot be removed.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leftovers_are_removed() {
        // GIT-14
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let kept = ["HEAD", "shallow", "objects/pack/pack-1.pack", "refs/slipway/refs/heads/main"];
        let left = ["shallow.lock", "objects/pack/pack_git2_ab12", "refs/slipway/refs/heads/main.lock"];
        for file in kept.iter().chain(&left) {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        remove(root);
        assert!(kept.iter().all(|file| root.join(file).exists()));
        assert!(left.iter().all(|file| !root.join(file).exists()));
    }
}
