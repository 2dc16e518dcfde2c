//! Turns the mounts of a plan into those of the sandbox.

use super::options::Options;
use super::progress::Progress;
use crate::Error;
use crate::error::Code;
use crate::key::KeyBuilder;
use dockerfile::plan::{From, Mount, MountKind};
use runtime::SnapshotId;

/// Notes of the store that say which of several directories a cache is by now.
const GENERATIONS: &str = "cache-mounts";

/// Returns the sandbox's mount for `mount`, if there is anything to mount; secrets may go to `env` instead.
pub(crate) fn sandbox_mount(
    mount: &Mount,
    bound: Option<(Vec<SnapshotId>, Vec<u8>)>,
    progress: &Progress<'_, '_>,
    env: &mut Vec<String>,
) -> Result<Option<runtime::Mount>, Error> {
    let options = progress.execution.options;
    let kind = match &mount.kind {
        MountKind::Bind { writable, .. } => {
            let (layers, source) = bound.expect("the files of a bind mount were found before");
            runtime::MountKind::Bind { layers, source, writable: *writable }
        }
        MountKind::Cache { sharing, mode, uid, gid, writable, .. } => runtime::MountKind::Cache {
            id: cache_name(progress, mount)?,
            sharing: sandbox_sharing(*sharing),
            mode: *mode,
            uid: *uid,
            gid: *gid,
            writable: *writable,
            seed: bound,
        },
        MountKind::Tmpfs { size } => runtime::MountKind::Tmpfs { size: *size },
        MountKind::Script { content } => runtime::MountKind::File { content: content.clone(), mode: 0o755 },
        MountKind::Secret { .. } => return secret(mount, options, env),
        MountKind::Ssh { id, required, mode, uid, gid } => match options.ssh.get(id) {
            Some(socket) => {
                if !env.iter().any(|variable| variable.starts_with("SSH_AUTH_SOCK=")) {
                    env.push(format!("SSH_AUTH_SOCK={}", mount.target));
                }
                runtime::MountKind::Ssh { agent_socket: socket.clone(), mode: *mode, uid: *uid, gid: *gid }
            }
            None if *required => return Err(Error::new(Code::SshNotAvailable, format!("unset ssh forward key {id}"))),
            None => return Ok(None),
        },
    };
    Ok(Some(runtime::Mount { target: mount.target.clone(), kind }))
}

fn sandbox_sharing(sharing: dockerfile::ast::Sharing) -> runtime::Sharing {
    match sharing {
        dockerfile::ast::Sharing::Shared => runtime::Sharing::Shared,
        dockerfile::ast::Sharing::Locked => runtime::Sharing::Locked,
        dockerfile::ast::Sharing::Private => runtime::Sharing::Private,
    }
}

/// Names a cache directory: repositories do not share any, nor do mounts that would fill it differently.
fn cache_name(progress: &Progress<'_, '_>, mount: &Mount) -> Result<String, Error> {
    let MountKind::Cache { id, mode, uid, gid, seed, reset_on_miss, .. } = &mount.kind else {
        return Ok(String::new());
    };
    let mut key = KeyBuilder::new("cache-mount.1");
    let seed = seed.as_ref().map_or_else(|| "None".to_owned(), seed_name);
    key.text(progress.execution.cache.namespace).text(id);
    key.text(&format!("{mode:o} {uid} {gid} {seed} {reset_on_miss}"));
    let name = key.finish()[..32].to_owned();
    if !reset_on_miss {
        return Ok(name);
    }
    let store = &progress.execution.resources.store;
    let failed = |error| Error::store(format!("finding the cache `{id}`"), error);
    let generation = if progress.is_fresh() {
        // Builds that use the directory so far keep it; this one and those after it have another.
        let begun = progress.execution.begun.to_string().into_bytes();
        store.put_note(GENERATIONS, name.as_bytes(), &begun).map_err(failed)?;
        Some(begun)
    } else {
        store.note(GENERATIONS, name.as_bytes()).map_err(failed)?
    };
    let Some(generation) = generation else { return Ok(name) };
    let mut key = KeyBuilder::new("cache-mount-generation.1");
    key.text(&name).field(&generation);
    Ok(key.finish()[..32].to_owned())
}

/// Names what a cache directory holds at first. The names of directories that are on disk are made of this text: it must
/// stay as it is.
fn seed_name(seed: &(From, String)) -> String {
    let (from, path) = seed;
    let from = match from {
        From::Context => "Context".to_owned(),
        From::Stage(index) => format!("Stage({index})"),
        From::Image(name) => format!("Image({name:?})"),
        From::Named(name) => format!("Named({name:?})"),
    };
    format!("Some(({from}, {path:?}))")
}

fn secret(mount: &Mount, options: &Options, env: &mut Vec<String>) -> Result<Option<runtime::Mount>, Error> {
    let MountKind::Secret { id, required, env: variable, file, mode, uid, gid } = &mount.kind else {
        return Ok(None);
    };
    let Some(content) = options.secrets.get(id) else {
        if *required {
            return Err(Error::new(Code::SecretNotAvailable, format!("secret {id}: not found")));
        }
        return Ok(None);
    };
    if let Some(variable) = variable {
        let prefix = format!("{variable}=");
        env.retain(|pair| !pair.starts_with(&prefix));
        env.push(prefix + &String::from_utf8_lossy(content));
    }
    let kind = runtime::MountKind::Secret { content: content.clone(), mode: *mode, uid: *uid, gid: *gid };
    Ok(file.then(|| runtime::Mount { target: mount.target.clone(), kind }))
}
