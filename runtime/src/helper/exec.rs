//! Runs a command among the processes of a container that runs.

use super::answers::Answers;
use super::child::{self, Place, Streams};
use super::container;
use super::disk::Watch;
use super::follow::{Started, follow};
use super::run::handle_of;
use super::walk::open_directory;
use super::{seccomp, user};
use crate::container::ContainerId;
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, Ended, RunRequest, control_pair};
use nix::unistd::{ForkResult, fork};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// Namespaces of a container; that of the mounts comes last, because the others are found through `/proc`.
const NAMESPACES: [&str; 6] = ["ipc", "uts", "cgroup", "net", "pid", "mnt"];

/// Serves the request to run a command in the container `id`.
pub(crate) fn serve(
    id: &ContainerId,
    filters: &seccomp::Filters,
    mut conversation: Conversation,
    outside: Option<OwnedFd>,
) -> io::Result<()> {
    let request: RunRequest = conversation.receive_value()?;
    let answer = run(id, &request, filters, &mut conversation, outside);
    conversation.send_value(&answer)
}

fn run(
    id: &ContainerId,
    request: &RunRequest,
    filters: &seccomp::Filters,
    conversation: &mut Conversation,
    outside: Option<OwnedFd>,
) -> Answer<Ended> {
    let failed = |error: io::Error| HelperError::Inside(format!("starting a command in a container: {error}"));
    let (asked, answering) = control_pair().map_err(|error| failed(error.into()))?;
    let answers = Answers::new(asked);
    container::join(container::process(id)?, &NAMESPACES).map_err(failed)?;
    let root = open_directory("/").map_err(failed)?;
    let user = user::look_up(&root, &request.step.user)?;
    let (error, complaint) = io::pipe().map_err(failed)?;
    let (stdio, output) = container::stdio(request, &root, outside.as_ref()).map_err(failed)?;
    drop(outside);
    // SAFETY: the handler of a request has one thread.
    let process = match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let streams = Streams { stdio, complaint: complaint.into(), answering };
            child::run(&Place::Joined, request, &user, filters, streams)
        }
        ForkResult::Parent { child } => child,
    };
    drop((stdio, complaint, answering));
    let handle = handle_of(process).map_err(failed)?;
    let error = File::from(OwnedFd::from(error));
    container::tell_start(&error, conversation).map_err(failed)?;
    let watch = Watch::new(Vec::new(), request.disk);
    follow(Started { process, handle, output, error, answers }, conversation, request.step.timeout, watch)
}
