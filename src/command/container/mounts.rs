//! Mounts of `slipway run`: volumes, and directories in memory.

use super::flags::{refused, size};
use crate::hand::Failure;
use container::VolumeMount;
use std::collections::BTreeMap;

/// Why a container gets no files of this machine.
const NO_FILES: &str = "a container sees no files of this machine; put them into an image, copy them with `slipway cp`, or use a volume with a name";

/// The mounts of a container.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    /// Directories in memory, with a limit in bytes.
    pub tmpfs: BTreeMap<String, Option<u64>>,
    /// Volumes; those without a name have an empty one.
    pub volumes: Vec<VolumeMount>,
}

/// The flags that mount something, as they were given.
pub(crate) struct MountFlags<'f> {
    /// `-v`.
    pub volumes: &'f [String],
    /// `--tmpfs`.
    pub tmpfs: &'f [String],
    /// `--mount`.
    pub mounts: &'f [String],
}

impl Mounts {
    /// Reads the flags; `declared` are the directories that the image declares to be volumes.
    pub(crate) fn read<'d>(
        flags: &MountFlags<'_>,
        declared: impl IntoIterator<Item = &'d String>,
    ) -> Result<Mounts, Failure> {
        let mut mounts = Mounts::default();
        for text in flags.volumes {
            let volume = volume(text)?;
            mounts.add(volume)?;
        }
        for text in flags.tmpfs {
            mounts.add_tmpfs(text)?;
        }
        for text in flags.mounts {
            mounts.add_mount(text)?;
        }
        for target in declared {
            let target = clean("VOLUME", target)?;
            if !mounts.has(&target) {
                mounts.volumes.push(VolumeMount { volume: String::new(), target, read_only: false, no_copy: false });
            }
        }
        Ok(mounts)
    }

    fn has(&self, target: &str) -> bool {
        self.tmpfs.contains_key(target) || self.volumes.iter().any(|mount| mount.target == target)
    }

    fn add(&mut self, mount: VolumeMount) -> Result<(), Failure> {
        if self.has(&mount.target) {
            return Err(duplicate(&mount.target));
        }
        self.volumes.push(mount);
        Ok(())
    }

    /// Adds `PATH[:size=SIZE]`.
    fn add_tmpfs(&mut self, text: &str) -> Result<(), Failure> {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        let mut limit = None;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", value)) => limit = Some(size("--tmpfs", value)?),
                _ => return Err(format!("--tmpfs `{text}`: only the option size= is known").into()),
            }
        }
        self.limit(clean("--tmpfs", path)?, limit)
    }

    fn limit(&mut self, target: String, limit: Option<u64>) -> Result<(), Failure> {
        if self.has(&target) {
            return Err(duplicate(&target));
        }
        self.tmpfs.insert(target, limit);
        Ok(())
    }

    /// Adds `type=volume|tmpfs,target=PATH,…`.
    fn add_mount(&mut self, text: &str) -> Result<(), Failure> {
        let wrong =
            |problem: &str| Failure::from(format!("invalid argument \"{text}\" for \"--mount\" flag: {problem}"));
        let (mut kind, mut source, mut target, mut limit) = ("volume", String::new(), None, None);
        let (mut read_only, mut no_copy) = (false, false);
        for field in text.split(',') {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            match key {
                "type" => kind = value,
                "source" | "src" => source = value.to_owned(),
                "target" | "dst" | "destination" => target = Some(clean("--mount", value)?),
                "readonly" | "ro" => read_only = is_set(value).ok_or_else(|| wrong("a boolean is expected"))?,
                "volume-nocopy" => no_copy = is_set(value).ok_or_else(|| wrong("a boolean is expected"))?,
                "tmpfs-size" => limit = Some(size("--mount", value)?),
                _ => return Err(wrong(&format!("unexpected key '{key}' in '{field}'"))),
            }
        }
        match kind {
            "tmpfs" | "volume" => {}
            "bind" => return Err(refused("--mount type=bind", NO_FILES)),
            other => return Err(wrong(&format!("type={other}: volume or tmpfs is expected"))),
        }
        let target = target.ok_or_else(|| wrong("target is required"))?;
        if kind == "tmpfs" {
            return self.limit(target, limit);
        }
        self.add(VolumeMount { volume: source, target, read_only, no_copy })
    }
}

/// Reads `[NAME:]PATH[:OPTIONS]`.
fn volume(text: &str) -> Result<VolumeMount, Failure> {
    let wrong = || Failure::from(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (name, path, options) = match parts.as_slice() {
        [path] => ("", *path, ""),
        [name, path] => (*name, *path, ""),
        [name, path, options] => (*name, *path, *options),
        _ => return Err(wrong()),
    };
    if name.starts_with(['/', '.', '~']) {
        return Err(refused("-v", NO_FILES));
    }
    if name.is_empty() && parts.len() > 1 || path.is_empty() {
        return Err(wrong());
    }
    let target = clean("-v", path)?;
    let mut mount = VolumeMount { volume: name.to_owned(), target, read_only: false, no_copy: false };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mount.read_only = true,
            "nocopy" => mount.no_copy = true,
            // Labels of SELinux, which nothing here has.
            "rw" | "z" | "Z" => {}
            _ => return Err(Failure::from(format!("invalid mode: {option}"))),
        }
    }
    Ok(mount)
}

fn is_set(value: &str) -> Option<bool> {
    match value {
        "" | "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn duplicate(target: &str) -> Failure {
    container::Error::Invalid(format!("Duplicate mount point: {target}")).into()
}

/// Returns an absolute path below the root, without `.`, `..` and empty parts.
fn clean(flag: &str, path: &str) -> Result<String, Failure> {
    let cleaned = files::path::clean_path(path.as_bytes());
    match path.starts_with('/') && !cleaned.is_empty() {
        true => Ok(format!("/{}", String::from_utf8_lossy(&cleaned))),
        false => Err(format!("{flag} `{path}`: an absolute path below / is expected").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(volumes: &[&str], tmpfs: &[&str], mounts: &[&str]) -> Result<Mounts, String> {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (volumes, tmpfs, mounts) = (all(volumes), all(tmpfs), all(mounts));
        let flags = MountFlags { volumes: &volumes, tmpfs: &tmpfs, mounts: &mounts };
        Mounts::read(&flags, &["/declared/".to_owned()]).map_err(|failure| failure.text)
    }

    #[test]
    fn volumes_are_read_as_docker_reads_them() {
        let found = read(&["db:/var/lib/db:ro", "/cache/"], &["/t:size=1m"], &["source=x,target=/x,readonly"]).unwrap();
        let shown: Vec<String> = found
            .volumes
            .iter()
            .map(|mount| format!("{}:{}:{}", mount.volume, mount.target, mount.read_only))
            .collect();
        assert_eq!(shown, ["db:/var/lib/db:true", ":/cache:false", "x:/x:true", ":/declared:false"]);
        assert_eq!(found.tmpfs, BTreeMap::from([("/t".to_owned(), Some(1 << 20))]));
        assert_eq!(read(&["own:/declared"], &[], &[]).unwrap().volumes.len(), 1);
    }

    #[test]
    fn other_mounts_are_refused_with_the_reason() {
        for (volumes, tmpfs, mounts, problem) in [
            (&["/etc:/x"][..], &[][..], &[][..], "no files of this machine"),
            (&["./x:/x"], &[], &[], "no files of this machine"),
            (&["a:/x:wild"], &[], &[], "invalid mode: wild"),
            (&["a:x"], &[], &[], "an absolute path"),
            (&["a:/x", "b:/x/"], &[], &[], "Duplicate mount point: /x"),
            (&[], &["x"], &[], "an absolute path"),
            (&[], &[], &["type=bind,src=/,dst=/x"], "no files of this machine"),
            (&[], &[], &["type=npipe,dst=/x"], "volume or tmpfs is expected"),
            (&[], &[], &["type=volume"], "target is required"),
            (&[], &[], &["dst=/x,wild=1"], "unexpected key 'wild'"),
        ] {
            let error = read(volumes, tmpfs, mounts).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
