//! Commands that cannot be executed: the message names what is missing or wrong, the code is that of shells and docker.

use crate::Test;
use crate::place::{Place, directory, entry, link, place, snapshot, tar};
use files::tar::EntryKind;
use runtime::{Error, Step};

pub(crate) const TESTS: &[Test] = &[
    ("a_missing_interpreter_or_loader_is_named", missing),
    ("a_file_of_the_wrong_kind_is_told", formats),
    ("who_may_not_execute_a_file_is_told", denied),
    ("links_and_interpreters_in_a_circle_are_told", circles),
    ("an_image_without_a_shell_is_told", no_shell),
    ("commands_of_the_path_are_explained_too", found_in_path),
];

/// Files of an image that cannot be executed, by name, mode and content.
fn files() -> Vec<(&'static str, u32, Vec<u8>)> {
    let script = |line: &str| format!("#!{line}\necho ran\n").into_bytes();
    let long = format!("/{}", "x".repeat(300));
    vec![
        ("typo", 0o755, script("/usr/bin/pyhton")),
        ("spaced", 0o755, script(" /usr/bin/pyhton -u")),
        ("crlf", 0o755, b"#!/bin/sh\r\necho ran\r\n".to_vec()),
        ("chain", 0o755, script("/x/typo")),
        ("to-directory", 0o755, script("/bin")),
        ("to-plain", 0o755, script("/x/plain")),
        ("to-text", 0o755, script("/x/text")),
        ("to-arm", 0o755, script("/x/arm")),
        ("long", 0o755, script(&long)),
        ("nothing", 0o755, script("")),
        ("mark", 0o755, b"\xef\xbb\xbf#!/bin/sh\n".to_vec()),
        ("itself", 0o755, script("/x/itself")),
        ("empty", 0o755, Vec::new()),
        ("text", 0o755, b"echo ran\n".to_vec()),
        ("picture", 0o755, b"\x89PNG\0\0".to_vec()),
        ("arm", 0o755, program(183, None)),
        ("mine-dynamic", 0o755, program(62, Some("/lib64/ld-musl-x86_64.so.1"))),
        ("damaged", 0o755, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec()),
        ("plain", 0o644, script("/bin/sh")),
        ("roots", 0o700, script("/bin/sh")),
    ]
}

/// Returns a program of 64 bits that does nothing, perhaps with a loader.
fn program(machine: u16, loader: Option<&str>) -> Vec<u8> {
    let word = |number: u64| number.to_le_bytes().to_vec();
    let path = loader.map(|path| [path.as_bytes(), b"\0"].concat()).unwrap_or_default();
    let (count, at) = (if loader.is_some() { 2u16 } else { 1 }, 64 + 2 * 56);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    file.extend([&machine.to_le_bytes()[..], &1u32.to_le_bytes(), &word(0x40_0000), &word(64), &word(0)].concat());
    file.extend(
        [0u32.to_le_bytes().as_slice(), &64u16.to_le_bytes(), &56u16.to_le_bytes(), &count.to_le_bytes()].concat(),
    );
    file.extend([0u8; 6]);
    let header = |kind: u32, offset: u64, length: u64| {
        let address = 0x40_0000 + offset;
        let numbers = [offset, address, address, length, length, 0x1000].map(u64::to_le_bytes).concat();
        [kind.to_le_bytes().as_slice(), &5u32.to_le_bytes(), &numbers].concat()
    };
    if loader.is_some() {
        file.extend(header(3, at, path.len() as u64));
    }
    file.extend(header(1, 0, at + path.len() as u64));
    file.resize(at as usize, 0);
    file.extend(path);
    file
}

fn image(place: &Place, number: u32) -> Step {
    let id = snapshot(number);
    let files = files();
    let mut entries = vec![(directory("x"), &b""[..]), (directory("x/directory"), b"")];
    for (name, mode, content) in &files {
        entries.push((entry(&format!("x/{name}"), EntryKind::File { size: content.len() as u64 }, *mode), content));
    }
    entries.push((link("x/dangling", "/nowhere/else"), b""));
    entries.push((link("x/circle", "circle"), b""));
    entries.push((entry("x/pipe", EntryKind::Fifo, 0o755), b""));
    entries.push((entry("closed", EntryKind::Directory, 0o700), b""));
    entries.push((entry("closed/f", EntryKind::File { size: 0 }, 0o755), b""));
    place.sandbox().unpack(&id, &mut tar(&entries).as_slice()).unwrap();
    let step = place.step("");
    Step { layers: vec![place.base.clone(), id], ..step }
}

/// Asserts what is said of commands, and by which code they are known.
fn say(step: &Step, place: &Place, code: i32, expected: &[(&str, &str)]) {
    for (command, text) in expected {
        let step = Step { argv: vec![(*command).to_owned(), "word".into()], ..step.clone() };
        match place.try_run(&step).map(|(exit, output, _)| (exit, output)) {
            Err(error @ Error::NotExecuted { .. }) => {
                assert!(error.is_users_fault());
                assert_eq!(error.to_string(), *text, "{command}");
                assert!(
                    matches!(error, Error::NotExecuted { code: found, .. } if found == code),
                    "{command}: {error:?}"
                );
            }
            other => panic!("{command}: {other:?}"),
        }
    }
}

fn missing() {
    // EN-54
    let place = place();
    let step = image(&place, 0x31);
    let expected = [
        ("/x/typo", "exec /x/typo: interpreter /usr/bin/pyhton not found"),
        ("/x/spaced", "exec /x/spaced: interpreter /usr/bin/pyhton not found"),
        ("x/typo", "exec x/typo: interpreter /usr/bin/pyhton not found"),
        ("/x/chain", "exec /x/chain: interpreter /x/typo: interpreter /usr/bin/pyhton not found"),
        (
            "/x/crlf",
            "exec /x/crlf: interpreter /bin/sh\\r not found: its first line ends with a carriage return: save the file with line ends of Unix (LF)",
        ),
        (
            "/x/mine-dynamic",
            "exec /x/mine-dynamic: loader /lib64/ld-musl-x86_64.so.1 not found: the program is linked dynamically against a C library that the image does not have",
        ),
        ("/x/dangling", "exec /x/dangling: it is a symbolic link to /nowhere/else, which does not exist"),
        ("/x/none", "exec: \"/x/none\": stat /x/none: no such file or directory"),
    ];
    say(&step, &place, 127, &expected);
    say(&Step { user: "app".into(), ..step }, &place, 127, &expected);
}

fn formats() {
    // EN-54
    let place = place();
    let step = image(&place, 0x32);
    let expected = [
        ("/x/empty", "exec /x/empty: exec format error: the file is empty"),
        ("/x/text", "exec /x/text: exec format error: it is a text that does not begin with `#!` and an interpreter"),
        ("/x/picture", "exec /x/picture: exec format error: it is not a program"),
        ("/x/arm", "exec /x/arm: exec format error: it is a program for arm64, this machine is amd64"),
        (
            "/x/to-arm",
            "exec /x/to-arm: exec format error: interpreter /x/arm: it is a program for arm64, this machine is amd64",
        ),
        (
            "/x/to-text",
            "exec /x/to-text: exec format error: interpreter /x/text: it is a text that does not begin with `#!` and an interpreter",
        ),
        (
            "/x/long",
            "exec /x/long: exec format error: the interpreter's path in its first line is longer than the kernel takes (256 bytes)",
        ),
        ("/x/nothing", "exec /x/nothing: exec format error: nothing follows `#!` in its first line"),
        ("/x/mark", "exec /x/mark: exec format error: a byte order mark stands before `#!`"),
    ];
    say(&step, &place, 126, &expected);
}

fn denied() {
    // EN-54
    let place = place();
    let step = image(&place, 0x33);
    let directory = "permission denied: it is a directory";
    let plain = "it is not executable (mode 0644): chmod +x makes it so";
    let expected = [
        ("/x/directory", format!("exec /x/directory: {directory}")),
        ("/x/pipe", "exec /x/pipe: permission denied: it is not a regular file".to_owned()),
        ("/x/plain", format!("exec /x/plain: permission denied: {plain}")),
        ("/x/to-plain", format!("exec /x/to-plain: permission denied: interpreter /x/plain: {plain}")),
        ("/x/to-directory", "exec /x/to-directory: permission denied: interpreter /bin: it is a directory".to_owned()),
        ("/x/plain/deeper", "exec /x/plain/deeper: not a directory".to_owned()),
    ];
    let expected: Vec<_> = expected.iter().map(|(command, text)| (*command, text.as_str())).collect();
    say(&step, &place, 126, &expected);
    let user = Step { user: "app".into(), ..step.clone() };
    say(
        &user,
        &place,
        126,
        &[
            ("/x/roots", "exec /x/roots: permission denied: its owner is 0:0, its mode 0700: user 100 may not"),
            ("/closed/f", "exec /closed/f: permission denied: a directory on the way to it may not be entered"),
        ],
    );
    // /dev/shm lies on a file system that nothing is executed from.
    let on_noexec = Step {
        argv: vec!["/bin/sh".into(), "-c".into(), "cp /bin/busybox /dev/shm/b; /dev/shm/b true".into()],
        ..step
    };
    let (exit, output, _) = place.run(&on_noexec);
    assert_eq!((exit, output.contains("Permission denied")), (runtime::Exit::Code(126), true), "{output}");
}

fn circles() {
    // EN-54
    let place = place();
    let step = image(&place, 0x34);
    let expected = [
        ("/x/circle", "exec /x/circle: too many symbolic links encountered: its symbolic links lead in a circle"),
        (
            "/x/itself",
            "exec /x/itself: too many symbolic links encountered: its interpreter is a script, whose interpreter is a script, and so on",
        ),
    ];
    say(&step, &place, 126, &expected);
}

fn no_shell() {
    // EN-54: in an image from scratch
    let place = place();
    let step = Step { layers: Vec::new(), ..place.step("true") };
    let text = "exec: \"/bin/sh\": stat /bin/sh: no such file or directory: the image has no shell, which RUN without [\"…\"] needs";
    say(&step, &place, 127, &[("/bin/sh", text), ("sh", "exec: \"sh\": executable file not found in $PATH")]);
}

fn found_in_path() {
    // EN-54: what is found and cannot be executed is not "not found".
    let place = place();
    let step = Step { env: vec!["PATH=/none:/x:/bin".into()], ..image(&place, 0x35) };
    let typo = ("typo", "exec /x/typo: interpreter /usr/bin/pyhton not found");
    say(&step, &place, 127, &[typo, ("", "exec: \"\": executable file not found in $PATH")]);
    let plain = "exec /x/plain: permission denied: it is not executable (mode 0644): chmod +x makes it so";
    say(
        &step,
        &place,
        126,
        &[
            ("plain", plain),
            ("text", "exec /x/text: exec format error: it is a text that does not begin with `#!` and an interpreter"),
        ],
    );
    assert_eq!(
        place.succeeds(&Step { argv: vec!["true".into()], ..step }),
        "",
        "the search goes on behind what is not there"
    );
}
