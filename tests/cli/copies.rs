//! Files between containers and this machine.

use crate::support::bench::Bench;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

/// A container with some files, which runs or has ended.
fn container(bench: &Bench, runs: bool) {
    bench.build("bb", "RUN mkdir -p /d/sub && echo low > /d/low && ln -s /d/low /link && chmod 4750 /d/sub\n");
    let script = format!("echo own > /d/own; mkfifo /pipe; {}", if runs { "touch /up; sleep 1000" } else { "true" });
    match runs {
        true => {
            bench.run(&["run", "-d", "--name", "cc", "bb", "sh", "-c", &script]);
            crate::support::wait_for("the container", || {
                bench.output(&["exec", "cc", "test", "-e", "/up"]).status.success().then_some(())
            });
        }
        false => drop(bench.run(&["run", "--name", "cc", "bb", "sh", "-c", &script])),
    }
}

#[test]
fn files_are_copied_both_ways_whether_a_container_runs_or_not() {
    for runs in [true, false] {
        let bench = Bench::new();
        container(&bench, runs);
        let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
        let read = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
        // Out: a file, one of another name, into a directory, a tree, its content.
        assert_eq!(bench.run(&["cp", "cc:/d/own", &path("own")]), "");
        assert_eq!(read("own"), "own\n");
        fs::create_dir(bench.path("in")).unwrap();
        bench.run(&["cp", "cc:d/low", &path("in/")]);
        bench.run(&["cp", "cc:/d", &path("in")]);
        bench.run(&["cp", "cc:/d", &path("new")]);
        bench.run(&["cp", "cc:/d/.", &path("content")]);
        for place in ["in/low", "in/d/low", "new/low", "content/low"] {
            assert_eq!(read(place), "low\n", "{place}");
        }
        assert_eq!(fs::metadata(bench.path("new/sub")).unwrap().permissions().mode() & 0o7777, 0o750);
        bench.run(&["cp", "cc:/link", &path("copied-link")]);
        assert_eq!(fs::read_link(bench.path("copied-link")).unwrap().to_str(), Some("/d/low"));
        bench.run(&["cp", "-L", "cc:/link", &path("followed")]);
        assert_eq!(read("followed"), "low\n");
        // In.
        std::os::unix::fs::chown(bench.path("own"), Some(1234), Some(1234)).unwrap();
        bench.run(&["cp", &path("own"), "cc:/d/other"]);
        bench.run(&["cp", &path("own"), "cc:/d"]);
        bench.run(&["cp", "-a", &path("own"), "cc:/kept"]);
        bench.run(&["cp", &path("new"), "cc:/"]);
        bench.run(&["cp", &format!("{}/.", path("new")), "cc:/content"]);
        let tar = bench.run(&["cp", "cc:/content", "-"]);
        let mut command = bench.command(&["cp", "-", "cc:/d/sub"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), tar.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        if !runs {
            bench.run(&["start", "cc"]);
            bench.run(&["wait", "cc"]);
        }
        let listed = bench.run(&["export", "cc"]);
        for name in ["d/other", "d/own", "kept", "new/low", "content/low", "d/sub/content/low"] {
            assert!(listed.contains(&format!("{name}\0")), "{runs} {name}");
        }
        if runs {
            assert_eq!(bench.run(&["exec", "cc", "cat", "/d/sub/content/low"]), "low\n");
            assert_eq!(bench.run(&["exec", "cc", "stat", "-c", "%u:%g", "/d/other", "/kept"]), "0:0\n1234:1234\n");
        }
        bench.run(&["rm", "-f", "cc"]);
    }
}

#[test]
fn copies_that_cannot_be_are_told_as_docker_tells_them() {
    let bench = Bench::new();
    container(&bench, true);
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    fs::write(bench.path("file"), "x").unwrap();
    fs::create_dir(bench.path("directory")).unwrap();
    let missing = "Error response from daemon: Could not find the file /nosuch in container cc\n";
    let cases = [
        (vec!["cc:/nosuch".to_owned(), path("x")], missing.to_owned()),
        (
            vec![path("file"), "nosuch:/".to_owned()],
            "Error response from daemon: No such container: nosuch\n".to_owned(),
        ),
        (vec!["cc:/d".to_owned(), "cc:/e".to_owned()], "copying between containers is not supported\n".to_owned()),
        (vec![path("file"), path("x")], "must specify at least one container source\n".to_owned()),
        (vec![path("nosuch"), "cc:/".to_owned()], format!("lstat {}: no such file or directory\n", path("nosuch"))),
        (vec!["cc:/d".to_owned(), path("file")], "cannot copy directory\n".to_owned()),
        (vec![path("directory"), "cc:/d/low".to_owned()], "cannot copy directory\n".to_owned()),
        (vec!["cc:/d/low".to_owned(), path("new/")], "no such directory\n".to_owned()),
        (vec!["cc:/d/low/".to_owned(), path("new")], missing.replace("/nosuch", "/d/low/")),
        (vec![path("file"), "cc:/nosuch/deep/x".to_owned()], missing.replace("/nosuch", "/nosuch/deep")),
    ];
    for (arguments, expected) in cases {
        let arguments: Vec<&str> = std::iter::once("cp").chain(arguments.iter().map(String::as_str)).collect();
        let (code, said) = bench.fails(&arguments);
        assert!(code == 1 && (said == expected || said == "not a directory\n"), "{arguments:?}: {said}");
    }
    // Links of a container lead nowhere outside it.
    bench.run(&["exec", "cc", "ln", "-s", bench.path("").to_str().unwrap(), "/escape"]);
    assert_eq!(bench.fails(&["cp", &path("file"), "cc:/escape/stolen"]).0, 1);
    assert!(!bench.path("stolen").exists());
    assert_eq!(fs::metadata(bench.path("file")).unwrap().size(), 1);
    bench.run(&["rm", "-f", "cc"]);
}
