//! Turns the mounts of a plan into those of the sandbox.

use super::{Execution, Options};
use crate::Error;
use crate::key::KeyBuilder;
use crate::plan::{Mount, MountKind};
use runtime::SnapshotId;

/// Returns the sandbox's mount for `mount`, if there is anything to mount; secrets may go to `env` instead.
pub fn sandbox_mount(
    mount: &Mount,
    bound: Option<(Vec<SnapshotId>, Vec<u8>)>,
    (execution, env): (&Execution<'_>, &mut Vec<String>),
) -> Result<Option<runtime::Mount>, Error> {
    let options = execution.options;
    let kind = match &mount.kind {
        MountKind::Bind { writable, .. } => {
            let (layers, source) = bound.expect("the files of a bind mount were found before");
            runtime::MountKind::Bind { layers, source, writable: *writable }
        }
        MountKind::Cache { sharing, mode, uid, gid, writable, .. } => runtime::MountKind::Cache {
            id: cache_name(execution.cache.namespace, mount),
            sharing: *sharing,
            mode: *mode,
            uid: *uid,
            gid: *gid,
            writable: *writable,
            seed: bound,
        },
        MountKind::Tmpfs { size } => runtime::MountKind::Tmpfs { size: *size },
        MountKind::Script { content } => runtime::MountKind::File { content: content.clone(), mode: 0o755 },
        MountKind::Secret { .. } => return secret(mount, (options, env)),
        MountKind::Ssh { id, required, mode, uid, gid } => match options.ssh.get(id) {
            Some(socket) => {
                if !env.iter().any(|variable| variable.starts_with("SSH_AUTH_SOCK=")) {
                    env.push(format!("SSH_AUTH_SOCK={}", mount.target));
                }
                runtime::MountKind::Ssh { agent_socket: socket.clone(), mode: *mode, uid: *uid, gid: *gid }
            }
            None if *required => return Err(Error::user("ssh_not_available", format!("unset ssh forward key {id}"))),
            None => return Ok(None),
        },
    };
    Ok(Some(runtime::Mount { target: mount.target.clone(), kind }))
}

/// Names a cache directory: repositories do not share any, nor do mounts that would fill it differently.
fn cache_name(namespace: &str, mount: &Mount) -> String {
    let MountKind::Cache { id, mode, uid, gid, seed, .. } = &mount.kind else { return String::new() };
    let mut key = KeyBuilder::new("cache-mount.1");
    key.text(namespace).text(id).text(&format!("{mode:o} {uid} {gid} {seed:?}"));
    key.finish()[..32].to_owned()
}

fn secret(mount: &Mount, (options, env): (&Options, &mut Vec<String>)) -> Result<Option<runtime::Mount>, Error> {
    let MountKind::Secret { id, required, env: variable, file, mode, uid, gid } = &mount.kind else {
        return Ok(None);
    };
    let Some(content) = options.secrets.get(id) else {
        if *required {
            return Err(Error::user("secret_not_available", format!("secret {id}: not found")));
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
