//! The init process of a container: passes signals on, takes in orphans, ends with the command's code.

use nix::libc;
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid, fork, setpgid};
use std::io;

/// Signals of a shell's exit codes start here.
const SIGNALED: i32 = 128;

/// Returns in the process that becomes the command; this process stays as its init and never returns.
pub(crate) fn fork_command() -> io::Result<()> {
    let all = SigSet::all();
    all.thread_block()?;
    // SAFETY: the process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // In a group of its own, so that a terminal's signals do not come twice.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            // SAFETY: plain numbers; without a terminal the call fails, and nothing is lost by that.
            let _ = unsafe { libc::tcsetpgrp(0, libc::getpid()) };
            Ok(all.thread_unblock()?)
        }
        ForkResult::Parent { child } => {
            // The descriptor that says that the command is executed must be closed by the command alone.
            crate::descriptors::close_from(3)?;
            serve(&all, child)
        }
    }
}

fn serve(all: &SigSet, command: Pid) -> ! {
    loop {
        let mut signal = 0;
        // SAFETY: the call reads a set and writes a number, both of which outlive it.
        match unsafe { libc::sigwait(all.as_ref(), &raw mut signal) } {
            0 if signal == libc::SIGCHLD => reap(command),
            0 => drop(super::container::send(command, signal)),
            _ => {}
        }
    }
}

/// Takes in processes that have ended; ends this one when the command has.
fn reap(command: Pid) {
    loop {
        let mut status = 0;
        // SAFETY: the call writes a number, which outlives it.
        let process = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if process <= 0 {
            return;
        }
        if process == command.as_raw() {
            let code = match libc::WIFSIGNALED(status) {
                true => SIGNALED + libc::WTERMSIG(status),
                false => libc::WEXITSTATUS(status),
            };
            // SAFETY: ends the process without running anything of the one it was forked from.
            unsafe { libc::_exit(code) }
        }
    }
}
