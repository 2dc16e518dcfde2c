//! `ADD` of what is on the web and in repositories, with real servers.

use crate::support::build_directory::Place;
use crate::support::run;
use std::process::Command;
use std::sync::atomic::Ordering;

const CONTENT: &str = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

#[test]
fn files_are_added_from_the_web_once_and_as_buildkit_has_them() {
    // E22, DF-189, DF-190, DF-191
    let place = Place::new();
    let dockerfile = "FROM scratch\nADD @WEB@/d/file.txt @WEB@/ @WEB@/redirect @WEB@/plain /d/\nADD --chmod=755 --chown=1:2 @WEB@/d/file.txt /x\n";
    let files = place.files(dockerfile, &[]).unwrap();
    assert_eq!(
        files,
        "-rw------- 0/0 7 1970-01-01 00:00:00 d/__unnamed__\n\
         -rw------- 0/0 7 2015-10-21 07:28:00 d/file.txt\n\
         -rw------- 0/0 7 1970-01-01 00:00:00 d/plain\n\
         -rw------- 0/0 7 2015-10-21 07:28:00 d/redirect\n\
         -rwxr-xr-x 1/2 7 2015-10-21 07:28:00 x\n"
            .replace("1970-01-01 00:00:00 d/__unnamed__", "2015-10-21 07:28:00 d/__unnamed__")
    );
    let sent = place.served.sent.load(Ordering::Relaxed);
    assert_eq!(place.files(dockerfile, &[]).unwrap(), files);
    assert_eq!(place.served.sent.load(Ordering::Relaxed), sent, "what did not change was sent again");
    *place.served.content.lock().unwrap() = b"changed content".to_vec();
    assert!(place.files(dockerfile, &[]).unwrap().contains("15 2015-10-21 07:28:00 x"), "a change was not seen");
}

#[test]
fn what_cannot_be_added_says_why() {
    // DF-189, DF-191, DF-23
    let place = Place::new();
    let add = |line: &str| place.files(&format!("FROM scratch\nADD {line} /x\n"), &[]);
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (line, expected) in [
        ("@WEB@/missing".to_owned(), "404"),
        ("@WEB@/loop".to_owned(), "redirects too often"),
        (format!("--checksum={other} @WEB@/a"), CONTENT),
        ("--checksum=md5:00 @WEB@/a".to_owned(), "unsupported digest algorithm"),
        (format!("--checksum={CONTENT} @WEB@/a @WEB@/b"), "can't be specified for multiple sources"),
        ("@WEB@/git/none.git".to_owned(), "none.git"),
        ("https://127.0.0.1:1/x".to_owned(), "cannot be reached"),
    ] {
        let said = add(&line).unwrap_err();
        assert!(said.contains(expected) && said.contains("Dockerfile:2"), "{line}: `{expected}` is missing:\n{said}");
    }
    assert!(add(&format!("--checksum={CONTENT} @WEB@/a")).is_ok());
    // With its checksum known, nobody is asked for it again.
    let asked = place.served.asked.load(Ordering::Relaxed);
    assert!(add(&format!("--checksum={CONTENT} @WEB@/a")).is_ok());
    assert_eq!(place.served.asked.load(Ordering::Relaxed), asked);
}

#[test]
fn archives_from_the_web_are_unpacked_on_demand_only() {
    // DF-184, DF-189
    let place = Place::new();
    std::fs::write(place.path("f"), "1").unwrap();
    run(Command::new("tar").args(["-czf", "a.tgz", "f"]).current_dir(place.directory.path()));
    *place.served.content.lock().unwrap() = std::fs::read(place.path("a.tgz")).unwrap();
    let files =
        place.files("FROM scratch\nADD @WEB@/a.tgz /kept/\nADD --unpack=true @WEB@/a.tgz /out/\n", &[]).unwrap();
    assert!(files.contains(" kept/a.tgz\n") && files.contains(" out/f\n"), "{files}");
}

#[test]
fn repositories_are_added_with_their_submodules() {
    // DF-192, DF-193
    let place = Place::new();
    place.repository("inner", &[("deep/i", "inner")], "");
    let submodule =
        format!("git -c protocol.file.allow=always submodule add -q {}/git/inner.git libs/inner &&", place.web);
    let commit = place.repository(
        "outer",
        &[("top", "1"), ("sub/f", "22"), ("sub/run", "x")],
        &format!("chmod 755 sub/run && {submodule}"),
    );
    let whole = place.files("FROM scratch\nADD @WEB@/git/outer.git /o/\n", &[]).unwrap();
    for (part, there) in [
        ("22:", false),
        (" o/top\n", true),
        (" o/libs/inner/deep/i\n", true),
        (" o/.gitmodules\n", true),
        (".git/", false),
    ] {
        assert!(part == "22:" || whole.contains(part) == there, "{part}:\n{whole}");
    }
    assert!(whole.contains("-rwxr-xr-x 0/0 1"), "{whole}");
    let part = place.files("FROM scratch\nADD @WEB@/git/outer.git#v1:sub /o/\nADD @WEB@/git/outer.git?branch=main&subdir=sub&submodules=false /p/\n", &[]).unwrap();
    assert_eq!(part.lines().filter(|line| line.ends_with("/f") || line.ends_with("/run")).count(), 4, "{part}");
    assert_eq!(part.lines().count(), 4, "{part}");
    let kept = place
        .files("FROM scratch\nADD --keep-git-dir @WEB@/git/outer.git /o/\n", &["-o", "type=local,dest=kept"])
        .unwrap();
    assert!(kept.contains(" o/.git/HEAD\n"), "{kept}");
    let head = run(Command::new("git")
        .arg("-c")
        .arg("safe.directory=*")
        .arg("-C")
        .arg(place.path("kept/o"))
        .args(["rev-parse", "HEAD"]));
    assert_eq!(head.trim(), commit);
    let status = run(Command::new("git").arg("-c").arg("safe.directory=*").arg("-C").arg(place.path("kept/o")).args([
        "status",
        "--porcelain",
        "--ignore-submodules",
    ]));
    assert_eq!(status, "", "the kept repository is not the tree that was copied");
    let checked = |checksum: &str| {
        place.files(&format!("FROM scratch\nADD --checksum={checksum} @WEB@/git/outer.git /o/\n"), &[])
    };
    assert!(checked(&commit).is_ok());
    let other = checked("0123456789012345678901234567890123456789").unwrap_err();
    assert!(other.contains("commit 0123456789012345678901234567890123456789 is not in"), "{other}");
    let tagged = format!(
        "FROM scratch
ADD --checksum={} @WEB@/git/outer.git#v1 /o/
",
        "0".repeat(40)
    );
    assert!(place.files(&tagged, &[]).unwrap_err().contains("expected checksum to match"));
    assert!(
        place
            .files("FROM scratch\nADD @WEB@/git/outer.git?bogus=1 /o/\n", &[])
            .unwrap_err()
            .contains("unexpected query parameter")
    );
}
