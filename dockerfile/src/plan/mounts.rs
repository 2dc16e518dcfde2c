//! The mounts of a `RUN`, with their defaults filled in.

use super::config::absolute;
use super::environment::Words;
use super::error::{Code, Error};
use super::model::{From, Mount, MountKind};
use crate::ast;
use crate::mount::parse_mount;
use std::collections::BTreeMap;

/// Expands mounts and fills in their defaults.
pub(crate) struct MountPlanner<'m> {
    /// Expands their values.
    pub words: &'m Words<'m>,
    /// The meanings of the names behind `from=`.
    pub names: &'m BTreeMap<String, From>,
    /// The directory that a relative target starts at.
    pub workdir: &'m str,
    /// Keeps the cache directories of one requester apart from those of others.
    pub namespace: &'m str,
}

impl MountPlanner<'_> {
    /// Plans the mounts of one `RUN`, in the order in which they are written.
    pub(crate) fn plan(&self, mounts: &[String]) -> Result<Vec<Mount>, Error> {
        let mut ssh = 0;
        let mut planned = Vec::with_capacity(mounts.len());
        for text in mounts {
            let expand = |value: &str| self.words.one(value).map_err(|error| error.to_string());
            let mount = parse_mount(text, &expand).map_err(Error::invalid)?;
            let from = match &mount.from {
                None => From::Context,
                Some(name) => {
                    let known = self.names.get(name).cloned();
                    known.ok_or_else(|| Error::new(Code::Internal, format!("`{name}` was not looked up")))?
                }
            };
            planned.push(self.one(mount, from, &mut ssh)?);
        }
        Ok(planned)
    }

    fn one(&self, mount: ast::Mount, from: From, ssh: &mut usize) -> Result<Mount, Error> {
        let written = mount.target.as_deref().filter(|target| !target.is_empty());
        let place = absolute(self.workdir, written.unwrap_or("."));
        let source = mount.source.as_deref().map_or_else(String::new, |source| absolute("/", source)[1..].to_owned());
        let id = |mode: u32| (mount.mode.unwrap_or(mode), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let (target, kind) = match mount.kind {
            ast::MountKind::Bind => {
                let writable = mount.read_only == Some(false);
                (place, MountKind::Bind { from, source, writable })
            }
            ast::MountKind::Cache { id: name, sharing } => {
                let ((mode, uid, gid), writable) = (id(0o755), mount.read_only != Some(true));
                let seed = (mount.from.is_some()).then_some((from, source));
                let reset_on_miss = mount.mode.is_some() || mount.uid.is_some() || mount.gid.is_some();
                // Directories that begin differently are different directories, whatever they are called.
                let name = name.unwrap_or_else(|| clean(written.unwrap_or_default()));
                (
                    place,
                    MountKind::Cache {
                        id: format!("{}/{name} {mode:o} {uid}:{gid}", self.namespace),
                        name,
                        sharing,
                        mode,
                        uid,
                        gid,
                        writable,
                        seed,
                        reset_on_miss,
                    },
                )
            }
            ast::MountKind::Tmpfs { size } => (place, MountKind::Tmpfs { size }),
            ast::MountKind::Secret { id: name, required, env } => {
                let (mode, uid, gid) = id(0o400);
                let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
                let name = name.or_else(|| written.map(base)).unwrap_or_default();
                let file = written.is_some() || env.is_none();
                let target = if written.is_some() { place } else { format!("/run/secrets/{}", base(&name)) };
                (target, MountKind::Secret { id: name, required, env, file, mode, uid, gid })
            }
            ast::MountKind::Ssh { id: name, required } => {
                let (mode, uid, gid) = id(0o600);
                let target = if written.is_some() { place } else { format!("/run/buildkit/ssh_agent.{ssh}") };
                *ssh += 1;
                (target, MountKind::Ssh { id: name.unwrap_or_else(|| "default".to_owned()), required, mode, uid, gid })
            }
        };
        if target == "/" {
            return Err(Error::invalid("invalid mount target \"/\""));
        }
        Ok(Mount { target, kind })
    }
}

/// Returns a path as Go's `path.Clean` does: the name of a cache directory is its target as it is written.
fn clean(path: &str) -> String {
    let absolute = absolute("/", path);
    match path.starts_with('/') {
        true => absolute,
        false if absolute == "/" => ".".to_owned(),
        false => absolute[1..].to_owned(),
    }
}
