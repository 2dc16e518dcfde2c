//! Forwards the sockets of ssh agents: a step connects to a socket in its sandbox, and this thread connects it to the agent outside.
//!
//! The sandbox cannot reach the agent's socket, and need not: it makes a socket of its own and sends it out, listening.

use crate::protocol::{control_pair, receive_with};
use crate::{Error, MountKind, Step};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

/// Connections to agents that are open at once, for one step.
const MAX_CONNECTIONS: usize = 64;

/// A socket that a step connects to, and the agent's on this machine.
type Forwarded = (UnixListener, PathBuf);

/// Starts to forward what `step` mounts; returns the end of the socket that the sandbox gets, if it needs one.
pub(crate) fn forward(step: &Step) -> Result<Option<OwnedFd>, Error> {
    let agents = sockets(step);
    if agents.is_empty() {
        return Ok(None);
    }
    let (here, there) = control_pair().map_err(|error| Error::system("creating a socket")(error.into()))?;
    std::thread::spawn(move || {
        if let Err(error) = serve(&here, &agents, Vec::new()) {
            tracing::warn!(%error, "forwarding an ssh agent ended");
        }
    });
    Ok(Some(there))
}

/// Returns the sockets of this machine that `step` mounts.
pub(crate) fn sockets(step: &Step) -> Vec<PathBuf> {
    let agents = step.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Ssh { agent_socket, .. } => Some(agent_socket.clone()),
        _ => None,
    });
    agents.collect()
}

/// Receives the listening sockets of a container, which come before its streams; fewer if it was not started.
pub(crate) fn receive(sandbox: &OwnedFd, agents: Vec<PathBuf>) -> io::Result<Vec<Forwarded>> {
    let mut listeners = Vec::with_capacity(agents.len());
    for agent in agents {
        let (_, mut descriptors) = receive_with(sandbox, &mut [0])?;
        let Some(listener) = descriptors.pop() else { break };
        listeners.push((UnixListener::from(listener), agent));
    }
    Ok(listeners)
}

/// Serves listening sockets until the sandbox lets go of its end of the socket.
pub(crate) fn serve_beside(sandbox: OwnedFd, listeners: Vec<Forwarded>) {
    std::thread::spawn(move || {
        if let Err(error) = serve(&sandbox, &[], listeners) {
            tracing::warn!(%error, "forwarding a socket ended");
        }
    });
}

/// Receives listening sockets, each with the number of its agent, and serves them until the sandbox lets go.
fn serve(sandbox: &OwnedFd, agents: &[PathBuf], mut listeners: Vec<Forwarded>) -> io::Result<()> {
    let open = Arc::new(());
    loop {
        let mut fds = vec![PollFd::new(sandbox.as_fd(), PollFlags::POLLIN)];
        fds.extend(listeners.iter().map(|(listener, _)| PollFd::new(listener.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for ((listener, agent), _) in listeners.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            let (step, _) = listener.accept()?;
            match UnixStream::connect(agent) {
                Ok(agent) if Arc::strong_count(&open) <= 2 * MAX_CONNECTIONS => connect(step, agent, &open),
                Ok(_) => {}
                Err(error) => tracing::warn!(agent = %agent.display(), %error, "the ssh agent cannot be reached"),
            }
        }
        if ready[0] {
            let mut number = [0];
            let (length, mut descriptors) = receive_with(sandbox, &mut number)?;
            let (1, Some(listener)) = (length, descriptors.pop()) else { return Ok(()) };
            let agent = agents.get(usize::from(number[0])).ok_or_else(|| io::Error::other("an agent nobody mounts"))?;
            listeners.push((UnixListener::from(listener), agent.clone()));
        }
    }
}

/// Passes bytes both ways until one side ends; `open` is held meanwhile.
fn connect(step: UnixStream, agent: UnixStream, open: &Arc<()>) {
    let ends = step.try_clone().and_then(|step| Ok((step, agent.try_clone()?)));
    let Ok((step_again, agent_again)) = ends else { return };
    let (there, back) = (open.clone(), open.clone());
    std::thread::spawn(move || pass(step, agent, there));
    std::thread::spawn(move || pass(agent_again, step_again, back));
}

fn pass(mut from: UnixStream, mut to: UnixStream, _open: Arc<()>) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
