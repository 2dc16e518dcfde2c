//! Answers the system calls of a step that its filter passes on to its supervisor.

use super::disk::Watch;
use super::notification::{Answer, Unanswered, control, respond};
use super::owner::Maps;
use super::{allocate, owner, seccomp, sockets, syscalls32};
use crate::protocol::receive_with;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Calls of a step that wait for an answer.
pub(crate) struct Answers {
    state: State,
    processes: Option<OwnedFd>,
    /// Ids with a place, where a file that is given to another one ends the step.
    maps: Option<Maps>,
}

enum State {
    /// The listener will come through this.
    Announced(OwnedFd),
    Listening(OwnedFd),
    Over,
}

impl Answers {
    /// Prepares to answer the step that sends its filter's listener through the other end of `channel`.
    ///
    /// Must happen before the root is the step's: what processes there are is looked up in the sandbox's own `/proc`.
    pub(crate) fn new(channel: OwnedFd) -> Answers {
        let processes = super::walk::open_directory("/proc").ok();
        Answers { state: State::Announced(channel), processes, maps: None }
    }

    /// Ends the step rather than leave a file with the wrong owner: nobody would notice that in an image. Must be called
    /// while `/proc` is the sandbox's own.
    pub(crate) fn strict_about_owners(self) -> Answers {
        Answers { maps: owner::maps().ok(), ..self }
    }

    /// Returns what becomes readable when there is something to answer.
    pub(crate) fn waits(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Announced(socket) | State::Listening(socket) => Some(socket.as_fd()),
            State::Over => None,
        }
    }

    /// Answers what waits; tells why the step must end instead.
    pub(crate) fn answer(&mut self, step: Pid, watch: &mut Watch) -> Option<Unanswered> {
        let listener = match &self.state {
            State::Over => return None,
            State::Announced(channel) => {
                let listener = receive_with(channel, &mut [0]).ok().and_then(|(_, mut sent)| sent.pop());
                self.state = listener.map_or(State::Over, State::Listening);
                return None;
            }
            State::Listening(listener) => listener,
        };
        match events(listener) {
            events if events.contains(PollFlags::POLLIN) => {}
            events if events.is_empty() => return None,
            _ => {
                self.state = State::Over;
                return None;
            }
        }
        // SAFETY: a notification is plain data, for which zeros are valid.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // Where it fails the process was ended or interrupted before anybody looked.
        control(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call).ok()?;
        if (call.data.arch, call.data.nr) == (allocate::I386, syscalls32::SOCKETCALL as i32) {
            if let Err(error) = sockets::serve(listener, &call) {
                respond(listener, call.id, error.into());
            }
            return None;
        }
        let answer = match seccomp::owner_of(&call.data) {
            Some(owner) => self.about_owner(owner),
            None => allocate::decide(listener, self.processes.as_ref(), &call, step, watch),
        };
        match answer {
            Answer::End(reason) => return Some(reason),
            answer => respond(listener, call.id, answer),
        }
        None
    }

    /// Decides on a call that gives a file to an owner; where nothing ends the step, the kernel refuses it.
    fn about_owner(&self, owner: owner::Owner) -> Answer {
        let problem = self.maps.as_ref().and_then(|maps| owner.without_place(maps));
        problem.map_or(Answer::Continue, |text| Answer::End(Unanswered::NoPlace(text)))
    }
}

/// Returns whether a call waits, or whether the last process that could call is gone.
fn events(listener: &OwnedFd) -> PollFlags {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds[0].revents().unwrap_or(PollFlags::empty())
}
