//! Executes a command, and explains why that is not possible: the kernel's answer alone often names the wrong file.

use super::program::{self, Head};
use crate::Step;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, execve};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// The search path of commands when the environment has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of a path that a complaint names: the reason stands behind it.
const MAX_NAMED: usize = 500;
/// Interpreters of interpreters that are looked at; the kernel follows as many.
const MAX_DEPTH: u32 = 5;
/// Exit codes of shells and docker for a command that is there and cannot be executed, and for one that is not there.
const CANNOT_EXECUTE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// Exit code of a process that had something to complain about before it looked at the command.
const FAILED: i32 = 1;

/// The reason why a command was not executed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The reason, for people.
    pub text: String,
    /// The exit code that stands for it.
    pub code: i32,
}

impl Refusal {
    /// Returns whether a process with this exit code wrote why its command was not executed.
    pub(crate) fn is_meant_by(code: i32) -> bool {
        [CANNOT_EXECUTE, NOT_FOUND].contains(&code)
    }
}

impl From<String> for Refusal {
    /// Takes a reason that has nothing to do with the command itself.
    fn from(text: String) -> Self {
        Refusal { text, code: FAILED }
    }
}

/// Executes the command; returns why that was not possible.
pub(crate) fn execute(command: &[CString], environment: &[CString], step: &Step) -> Refusal {
    let (name, shown) = (&step.argv[0], named(step.argv[0].as_bytes()));
    if name.contains('/') {
        return match execve(&command[0], command, environment) {
            Err(error) => refusal(name, error),
            Ok(never) => match never {},
        };
    }
    let path = step.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(PATH);
    let mut denied = None;
    for directory in path.split(':').filter(|_| !name.is_empty()) {
        let directory = if directory.is_empty() { "." } else { directory };
        let full = format!("{directory}/{name}");
        let Ok(candidate) = CString::new(full.as_str()) else { continue };
        match execve(&candidate, command, environment) {
            Err(Errno::ENOENT | Errno::ENOTDIR) if access(candidate.as_c_str(), AccessFlags::F_OK).is_err() => {}
            Err(Errno::EACCES) => denied = denied.or(Some(full)),
            Err(error) => return refusal(&full, error),
            Ok(never) => match never {},
        }
    }
    match denied {
        Some(full) => refusal(&full, Errno::EACCES),
        None => Refusal { text: format!("exec: \"{shown}\": executable file not found in $PATH"), code: NOT_FOUND },
    }
}

fn refusal(path: &str, error: Errno) -> Refusal {
    let shown = named(path.as_bytes());
    let code = if error == Errno::ENOENT { NOT_FOUND } else { CANNOT_EXECUTE };
    if error == Errno::ENOENT && nix::sys::stat::lstat(path).is_err() {
        let mut text = format!("exec: \"{shown}\": stat {shown}: no such file or directory");
        if path == "/bin/sh" {
            text.push_str(": the image has no shell, which RUN without [\"…\"] needs");
        }
        return Refusal { text, code };
    }
    Refusal { text: format!("exec {shown}: {}", reason(path.as_bytes(), error, 0)), code }
}

/// Says why the kernel did not execute what is at `path`.
fn reason(path: &[u8], error: Errno, depth: u32) -> String {
    let plain = error.desc().to_lowercase();
    let found = match error {
        Errno::ENOENT => missing(path, depth),
        Errno::EACCES => denied(path, depth),
        Errno::ENOEXEC | Errno::EINVAL | Errno::ELIBBAD => format_of(path, depth),
        Errno::ELOOP => Some(match stat(path_of(path)) {
            Err(Errno::ELOOP) => "its symbolic links lead in a circle".to_owned(),
            _ => "its interpreter is a script, whose interpreter is a script, and so on".to_owned(),
        }),
        _ => None,
    };
    match (error, found) {
        (Errno::ENOENT, Some(found)) => found,
        (_, Some(found)) => format!("{plain}: {found}"),
        (_, None) => plain,
    }
}

/// Says what is missing of a file that is there itself.
fn missing(path: &[u8], depth: u32) -> Option<String> {
    if stat(path_of(path)).is_err() {
        let target = nix::fcntl::readlink(path_of(path)).ok()?;
        return Some(format!("it is a symbolic link to {}, which does not exist", named(target.as_bytes())));
    }
    match program::head(path)? {
        Head::Script { interpreter } => {
            let shown = named(&interpreter);
            if depth < MAX_DEPTH && nix::sys::stat::lstat(path_of(&interpreter)).is_ok() {
                return Some(format!("interpreter {shown}: {}", reason(&interpreter, Errno::ENOENT, depth + 1)));
            }
            let carriage_return = interpreter.ends_with(b"\r");
            let hint = "its first line ends with a carriage return: save the file with line ends of Unix (LF)";
            Some(format!("interpreter {shown} not found{}", said(hint, carriage_return)))
        }
        Head::Program { loader: Some(loader), .. } => Some(format!(
            "loader {} not found: the program is linked dynamically against a C library that the image does not have",
            named(&loader)
        )),
        _ => None,
    }
}

/// Says who or what forbids to execute a file.
fn denied(path: &[u8], depth: u32) -> Option<String> {
    let known = match stat(path_of(path)) {
        Err(Errno::EACCES) => return Some("a directory on the way to it may not be entered".to_owned()),
        other => other.ok()?,
    };
    let kind = SFlag::from_bits_truncate(known.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFDIR {
        return Some("it is a directory".to_owned());
    }
    if kind != SFlag::S_IFREG {
        return Some("it is not a regular file".to_owned());
    }
    if statvfs(path_of(path)).is_ok_and(|known| known.flags().contains(FsFlags::ST_NOEXEC)) {
        return Some("the file system that it lies on is mounted noexec".to_owned());
    }
    if known.st_mode & 0o111 == 0 {
        return Some(format!("it is not executable (mode {:04o}): chmod +x makes it so", known.st_mode & 0o7777));
    }
    if access(path_of(path), AccessFlags::X_OK).is_err() {
        let (mode, uid, gid) = (known.st_mode & 0o7777, known.st_uid, known.st_gid);
        return Some(format!("its owner is {uid}:{gid}, its mode {mode:04o}: user {} may not", nix::unistd::geteuid()));
    }
    // It may be executed: then what it needs may not.
    let needed = match program::head(path)? {
        Head::Script { interpreter } => ("interpreter", interpreter),
        Head::Program { loader: Some(loader), .. } => ("loader", loader),
        _ => return None,
    };
    let inner = (depth < MAX_DEPTH).then(|| denied(&needed.1, depth + 1)).flatten()?;
    Some(format!("{} {}: {inner}", needed.0, named(&needed.1)))
}

/// Says what kind of file it is that the kernel does not know how to execute.
fn format_of(path: &[u8], depth: u32) -> Option<String> {
    Some(match program::head(path)? {
        Head::Empty => "the file is empty".to_owned(),
        Head::Script { interpreter } => {
            let inner = (depth < MAX_DEPTH).then(|| format_of(&interpreter, depth + 1)).flatten()?;
            format!("interpreter {}: {inner}", named(&interpreter))
        }
        Head::BadScript(problem) => problem.to_owned(),
        Head::Program { machine, .. } if machine != program::own_machine() => {
            format!("it is a program for {machine}, this machine is {}", program::own_machine())
        }
        Head::Program { loader: Some(loader), .. } => {
            let inner = (depth < MAX_DEPTH).then(|| format_of(&loader, depth + 1)).flatten()?;
            format!("loader {}: {inner}", named(&loader))
        }
        Head::Program { .. } => "the program is damaged, or of a kind that is not executed".to_owned(),
        Head::Text => "it is a text that does not begin with `#!` and an interpreter".to_owned(),
        Head::Other => "it is not a program".to_owned(),
    })
}

/// Returns `: hint` if it applies.
fn said(hint: &str, applies: bool) -> String {
    if applies { format!(": {hint}") } else { String::new() }
}

fn path_of(path: &[u8]) -> &std::path::Path {
    std::path::Path::new(std::ffi::OsStr::from_bytes(path))
}

/// Returns as much of a path as a complaint has room for; what cannot be seen is escaped.
fn named(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let mut shown = String::new();
    for character in text[..text.floor_char_boundary(MAX_NAMED)].chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
