//! Terminals of people: raw while a container has them, quiet while a password is typed, as they were afterwards.

use nix::libc;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TerminalSize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// A terminal whose settings were changed; they come back when this is dropped.
pub struct ChangedTerminal {
    terminal: OwnedFd,
    before: libc::termios,
}

/// Makes the terminal behind `stream` raw: every key goes through as it is.
pub fn raw_terminal(stream: impl AsFd) -> io::Result<ChangedTerminal> {
    change(stream, |settings| {
        // SAFETY: `settings` is a valid structure that this call only writes to.
        unsafe { libc::cfmakeraw(settings) };
    })
}

/// Shows nothing of what is typed on standard input; `None` if that is not a terminal.
pub fn hide_input() -> Option<ChangedTerminal> {
    change(io::stdin(), |settings| settings.c_lflag &= !libc::ECHO).ok()
}

/// Returns the size of the terminal behind `stream`; `None` if it is not one.
pub fn terminal_size(stream: impl AsFd) -> Option<TerminalSize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the kernel writes one `winsize`, which outlives the call.
    let result = unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: plain numbers, all of which were set to zero before.
    let size = unsafe { size.assume_init() };
    Some(TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size of the terminal behind `stream`; whoever runs on it is told by the kernel.
pub fn resize_terminal(stream: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one `winsize`, which outlives the call.
    match unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn change(stream: impl AsFd, change: impl FnOnce(&mut libc::termios)) -> io::Result<ChangedTerminal> {
    let terminal = stream.as_fd().try_clone_to_owned()?;
    let mut settings = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: the call writes one `termios`, which outlives it.
    if unsafe { libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the structure is set.
    let before = unsafe { settings.assume_init() };
    let mut after = before;
    change(&mut after);
    set(&terminal, &after)?;
    Ok(ChangedTerminal { terminal, before })
}

fn set(terminal: &OwnedFd, settings: &libc::termios) -> io::Result<()> {
    // SAFETY: the call reads one `termios`, which outlives it.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, settings) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Drop for ChangedTerminal {
    fn drop(&mut self) {
        let _ = set(&self.terminal, &self.before);
    }
}
