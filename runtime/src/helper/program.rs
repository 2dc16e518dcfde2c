//! Looks at the first bytes of a file that is to be executed: a script's interpreter, a program's machine and loader.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes in which the kernel looks for the interpreter of a script.
const HEAD: usize = 256;
/// Program headers that are looked at.
const MAX_HEADERS: u64 = 128;
/// Longest path of a loader.
const MAX_LOADER: u64 = 4096;
const PT_INTERP: u64 = 3;
/// Machines by their numbers, as images call them.
const MACHINES: [(u64, &str); 12] = [
    (3, "386"),
    (8, "mips"),
    (20, "ppc"),
    (21, "ppc64le"),
    (22, "s390x"),
    (40, "arm"),
    (43, "sparc64"),
    (62, "amd64"),
    (183, "arm64"),
    (243, "riscv64"),
    (247, "bpf"),
    (258, "loong64"),
];
const UNKNOWN_MACHINE: &str = "another machine";

/// Kind of a file, as far as executing it goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A file without content.
    Empty,
    /// A file that begins with `#!`.
    Script {
        /// The program that is to interpret it.
        interpreter: Vec<u8>,
    },
    /// The same without an interpreter that the kernel takes; says why.
    BadScript(&'static str),
    /// A program in the usual format.
    Program {
        /// The architecture that it is for.
        machine: &'static str,
        /// The program that loads its libraries.
        loader: Option<Vec<u8>>,
    },
    /// Text.
    Text,
    /// Anything else.
    Other,
}

/// Returns the architecture of this machine, as images call it.
pub(crate) fn own_machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Looks at the file at `path`; `None` if it cannot be read.
pub(crate) fn head(path: &[u8]) -> Option<Head> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut buffer = [0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match file.read_at(&mut buffer[length..], length as u64).ok()? {
            0 => break,
            got => length += got,
        }
    }
    let bytes = &buffer[..length];
    Some(match bytes {
        [] => Head::Empty,
        [b'#', b'!', rest @ ..] => script(rest, length == HEAD),
        [0xef, 0xbb, 0xbf, b'#', b'!', ..] => Head::BadScript("a byte order mark stands before `#!`"),
        [0x7f, b'E', b'L', b'F', ..] => program(&file, bytes),
        _ if bytes.contains(&0) => Head::Other,
        _ => Head::Text,
    })
}

/// Finds the interpreter as the kernel does: up to white space, which must come if the line is cut.
fn script(rest: &[u8], is_cut: bool) -> Head {
    let blank = |byte: &u8| [b' ', b'\t'].contains(byte);
    let end = rest.iter().position(|byte| *byte == b'\n' || *byte == 0);
    let line = &rest[..end.unwrap_or(rest.len())];
    let begin = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let line = &line[begin..];
    let stop = line.iter().position(blank);
    if line.is_empty() {
        return Head::BadScript("nothing follows `#!` in its first line");
    }
    if is_cut && end.is_none() && stop.is_none() {
        return Head::BadScript("the interpreter's path in its first line is longer than the kernel takes (256 bytes)");
    }
    Head::Script { interpreter: line[..stop.unwrap_or(line.len())].to_vec() }
}

fn program(file: &File, head: &[u8]) -> Head {
    let (wide, big) = (head.get(4) == Some(&2), head.get(5) == Some(&2));
    let field = |bytes: &[u8], offset: usize, length: usize| -> Option<u64> {
        let digits = bytes.get(offset..offset + length)?.iter();
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if big { digits.fold(0, add) } else { digits.rev().fold(0, add) })
    };
    let number = field(head, 18, 2).unwrap_or(0);
    let named = MACHINES.iter().find(|(known, _)| *known == number);
    let machine = named.map_or(UNKNOWN_MACHINE, |(_, name)| name);
    let loader = || {
        let (headers, size, count) = if wide {
            (field(head, 32, 8)?, field(head, 54, 2)?, field(head, 56, 2)?)
        } else {
            (field(head, 28, 4)?, field(head, 42, 2)?, field(head, 44, 2)?)
        };
        for number in 0..count.min(MAX_HEADERS) {
            let mut header = [0; 56];
            let length = if wide { 56 } else { 32 };
            let offset = headers.checked_add(number * size)?;
            file.read_exact_at(&mut header[..length], offset).ok()?;
            if field(&header, 0, 4)? != PT_INTERP {
                continue;
            }
            let (place, length) = if wide {
                (field(&header, 8, 8)?, field(&header, 32, 8)?)
            } else {
                (field(&header, 4, 4)?, field(&header, 16, 4)?)
            };
            let mut path = vec![0; usize::try_from(length.min(MAX_LOADER)).ok()?];
            file.read_exact_at(&mut path, place).ok()?;
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            path.truncate(end);
            return Some(path);
        }
        None
    };
    Head::Program { machine, loader: loader() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8]) -> Head {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        head(file.path().as_os_str().as_encoded_bytes()).unwrap()
    }

    fn interpreter(content: &str) -> String {
        match of(content.as_bytes()) {
            Head::Script { interpreter } => String::from_utf8(interpreter).unwrap(),
            other => panic!("{content:?}: {other:?}"),
        }
    }

    #[test]
    fn interpreters_are_found_as_the_kernel_finds_them() {
        // EN-54
        assert_eq!(interpreter("#!/usr/bin/pyhton\nx"), "/usr/bin/pyhton");
        assert_eq!(interpreter("#! \t/bin/sh -e x"), "/bin/sh");
        assert_eq!(interpreter("#!/bin/sh\r\nx"), "/bin/sh\r");
        assert_eq!(interpreter(&format!("#!/bin/sh {}", "x".repeat(500))), "/bin/sh");
        assert_eq!(interpreter(&format!("#!/{}\n", "x".repeat(250))).len(), 251);
        for bad in ["#!\n", "#!   \nx", &format!("#!/{}\n", "x".repeat(300)), "\u{feff}#!/bin/sh\n"] {
            assert!(matches!(of(bad.as_bytes()), Head::BadScript(_)), "{bad:?}");
        }
        assert_eq!((of(b""), of(b"echo x\n"), of(b"\0\0")), (Head::Empty, Head::Text, Head::Other));
    }

    #[test]
    fn programs_name_their_machine_and_loader() {
        // EN-54
        let own = head(b"/proc/self/exe").unwrap();
        let Head::Program { machine, loader: Some(loader) } = own else { panic!("{own:?}") };
        assert_eq!(machine, own_machine());
        assert!(loader.starts_with(b"/lib") && !loader.contains(&0));
        let Head::Program { machine, loader: None } = of(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0") else {
            panic!("a program that is cut off is one")
        };
        assert_eq!(machine, "arm64");
    }
}
