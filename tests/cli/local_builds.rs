//! `slipway build`: what people type, and what they are told when it is wrong.

use crate::support::bench::Bench;
use crate::support::{run, shown, slipway, wait_for};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn build(data: &Path, arguments: &[&str], context: &Path) -> Output {
    slipway()
        .args(["build", "--progress", "plain", "--data-dir"])
        .arg(data)
        .args(arguments)
        .arg(context)
        .output()
        .unwrap()
}

/// A context with busybox and a Dockerfile, and a data directory.
fn context(dockerfile: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("context");
    std::fs::create_dir(&place).unwrap();
    std::fs::copy("/bin/busybox", place.join("busybox")).unwrap();
    std::fs::write(place.join("Dockerfile"), dockerfile).unwrap();
    directory
}

const BASE: &str = "FROM scratch\nCOPY busybox /bin/sh\n";

fn output(dockerfile: &str, arguments: &[&str]) -> (bool, String) {
    let directory = context(dockerfile);
    let output = build(&directory.path().join("data"), arguments, &directory.path().join("context"));
    (output.status.success(), shown(&output))
}

#[test]
fn a_second_build_runs_nothing_and_gives_the_same_image() {
    let directory = context(&format!("{BASE}RUN echo one > /one\nRUN [\"/bin/sh\", \"-c\", \"echo two\"]\n"));
    let digest = |text: &str| {
        text.lines().find(|line| line.starts_with("image ")).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let again = |arguments: &[&str]| {
        // The same times on every build make the same bytes of the configuration.
        let arguments = [&["--build-arg", "SOURCE_DATE_EPOCH=1700000000"], arguments].concat();
        let output = build(&directory.path().join("data"), &arguments, &directory.path().join("context"));
        assert!(output.status.success(), "{}", shown(&output));
        shown(&output)
    };
    let (first, second, third) = (again(&[]), again(&[]), again(&["--no-cache"]));
    assert_eq!(first.matches("CACHED").count(), 0, "{first}");
    assert_eq!(second.matches("CACHED").count(), 3, "{second}");
    assert_eq!(third.matches("CACHED").count(), 0, "{third}");
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn a_failing_command_shows_itself_its_code_and_its_last_lines() {
    // DF-13, DF-309: twenty lines are repeated below all of the output
    let long = "n=0; while [ $n -lt 30 ]; do n=$((n+1)); echo line $n; done; exit 1";
    let (built, said) = output(&format!("{BASE}RUN {long}\n"), &[]);
    let repeated = said.rsplit_once("------\nline").map(|(_, rest)| rest.split("Dockerfile:3").next().unwrap_or(rest));
    let repeated = repeated.unwrap_or_default();
    assert!(!built && said.contains("[stage-0 2/2] RUN") && said.contains("exit code: 1"), "{said}");
    assert!(repeated.starts_with(" 11\n") && repeated.trim_end().ends_with("line 30"), "{repeated}\n---\n{said}");
    let (built, said) = output(&format!("{BASE}RUN echo about to fail; exit 7\n"), &[]);
    assert!(!built);
    for part in [
        "did not complete successfully: exit code: 7",
        "about to fail",
        ">>> RUN echo about to fail; exit 7",
        "Dockerfile:3",
    ] {
        assert!(said.contains(part), "`{part}` is missing:\n{said}");
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    // DF-01, DF-05, DF-20, CTX-01
    let cases = [
        ("FROM scratch\nCOPPY a b\n", "unknown instruction: COPPY (did you mean COPY?)"),
        ("FROM scratch\nCOPY nosuch /x\n", "\"/nosuch\": not found"),
        ("FROM scratch\nCOPY --from=nosuch.invalid/x /a /b\n", "nosuch.invalid/x"),
        ("FROM scratch\nWORKDIR /proc/self/fd/7\n", "is not allowed"),
        ("FROM scratch\nUSER nosuch\nRUN true\n", "unable to find user nosuch"),
        ("FROM scratch\nRUN true\n", "/bin/sh"),
        ("", "the Dockerfile cannot be empty"),
    ];
    for (dockerfile, expected) in cases {
        let (built, said) = output(dockerfile, &[]);
        assert!(!built, "{dockerfile} must fail");
        assert!(said.contains(expected), "{dockerfile}: `{expected}` is missing:\n{said}");
    }
    let (built, said) = output("FROM scratch AS base\nCOPY busybox /\n", &["--target", "bse"]);
    assert!(!built && said.contains("target stage \"bse\" could not be found"), "{said}");
    let (built, said) = output("FROM scratch\n", &["--push"]);
    assert!(!built && said.contains("--push needs a name"), "{said}");
}

#[test]
fn ignored_files_arguments_labels_and_targets_count() {
    let directory = context(
        "FROM scratch AS one\nCOPY busybox /bin/sh\nARG WHO=nobody\nRUN [\"/bin/sh\", \"-c\", \"echo hello $WHO\"]\nCOPY . /all/\nRUN ls /all\nFROM one\nRUN exit 1\n",
    );
    let place = directory.path().join("context");
    std::fs::write(place.join("hidden"), "x").unwrap();
    std::fs::write(place.join(".dockerignore"), "hid*\n").unwrap();
    let output = build(&directory.path().join("data"), &["--target", "one", "--build-arg", "WHO=you"], &place);
    let said = shown(&output);
    assert!(output.status.success() && said.contains("hello you") && !said.contains("hidden"), "{said}");
}

#[test]
fn progress_can_be_read_by_programs() {
    let directory = context(BASE);
    let mut command = slipway();
    command
        .args(["build", "--progress", "json", "--data-dir"])
        .arg(directory.path().join("data"))
        .arg(directory.path().join("context"));
    let output = command.output().unwrap();
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> =
        shown(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 3, "{lines:?}");
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let directory = context(&format!("{BASE}RUN sleep 1000\n"));
    let data = directory.path().join("data");
    let mut child =
        slipway().args(["build", "--data-dir"]).arg(&data).arg(directory.path().join("context")).spawn().unwrap();
    let work = data.join("sandbox/state/w");
    let attempts =
        || std::fs::read_dir(&work).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()).count();
    wait_for("the step", || (attempts() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    run(Command::new("kill").arg("-INT").arg(child.id().to_string()));
    assert!(!child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(attempts(), 0);
}

#[test]
fn others_than_root_can_build_where_the_machine_lets_them() {
    if !crate::support::is_root() {
        println!("the tests do not run as root: every other test is this one");
        return;
    }
    let directory = context(&format!(
        "{BASE}RUN echo uid $(cat /proc/self/uid_map); exit 0\nUSER 1000\nRUN echo x > /tmp/x || echo denied\n"
    ));
    let user = "slipway-test";
    let known = Command::new("id").arg(user).output().unwrap().status.success();
    if !known {
        run(Command::new("useradd").args(["--create-home", "--shell", "/bin/sh", user]));
    }
    let home = format!("/home/{user}");
    let place = Path::new(&home).join("context");
    run(Command::new("cp").arg("-rT").arg(directory.path().join("context")).arg(&place));
    let program = Path::new(&home).join("slipway");
    let original = slipway().get_program().to_owned();
    run(Command::new("install").args(["-m", "755"]).arg(original).arg(&program));
    let script = format!("exec ./slipway build --progress plain --data-dir {home}/data-$$ {}", place.display());
    let output = Command::new("su").args([user, "-c", &format!("cd; {script}")]).output().unwrap();
    let said = shown(&output);
    let _ = Command::new("userdel").args(["--remove", "--force", user]).output();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("denied"), "{said}");
}

#[test]
fn processes_are_limited_as_asked_and_the_limit_is_part_of_the_step() {
    // DF-115, DF-259
    let directory = context(&format!("{BASE}RUN echo files $(ulimit -Sn) of $(ulimit -Hn)\n"));
    let place = directory.path().join("context");
    let said = |arguments: &[&str]| {
        let output = build(&directory.path().join("data"), arguments, &place);
        (output.status.success(), shown(&output))
    };
    let limit = ["--ulimit", "nofile=100:200"];
    assert!(said(&limit).1.contains("files 100 of 200"));
    let (built, text) = said(&limit);
    assert!(built && text.matches("CACHED").count() == 2, "{text}");
    assert!(said(&["--ulimit", "nofile=100:201"]).1.contains("files 100 of 201"), "another limit is another step");
    assert!(said(&[]).1.contains("files 1024 of"), "and none is another");
    for (ulimit, expected) in [
        ("files=1", "invalid ulimit type `files`"),
        ("nofile=2:1", "must be less than or equal to hard limit: 2 > 1"),
        ("core=-1", "limiting a command with `core=-1:-1`: 0 is the most that is possible here"),
    ] {
        let (built, text) = said(&["--ulimit", ulimit]);
        assert!(!built && text.contains(expected), "{ulimit}: {text}");
    }
}

#[test]
fn hosts_that_are_added_are_part_of_the_step_by_their_names() {
    // DF-259
    let directory = context(&format!("{BASE}RUN grep -c db /etc/hosts; echo ran $((1+1))\n"));
    let place = directory.path().join("context");
    let ran = |arguments: &[&str]| {
        let output = build(&directory.path().join("data"), arguments, &place);
        assert!(output.status.success(), "{}", shown(&output));
        shown(&output).contains("ran 2")
    };
    assert!(ran(&["--add-host", "db:10.0.0.1"]));
    assert!(!ran(&["--add-host", "db:10.0.0.2"]), "an address alone must not run it again");
    assert!(ran(&["--add-host", "db2:10.0.0.1"]), "a name is");
    assert!(ran(&[]) && !ran(&[]));
}

#[test]
fn a_linked_copy_is_the_same_layer_whatever_it_is_put_on() {
    // DF-173
    let directory = context("");
    let place = directory.path().join("context");
    std::fs::write(place.join("f"), "copied").unwrap();
    let cached = |below: &str| {
        let dockerfile = format!("{BASE}RUN echo {below} > /below\nCOPY --link f /f\nRUN cat /below /f\n");
        std::fs::write(place.join("Dockerfile"), dockerfile).unwrap();
        let output = build(&directory.path().join("data"), &[], &place);
        assert!(output.status.success(), "{}", shown(&output));
        let said = shown(&output);
        let of = |step: usize, what: &str| said.contains(&format!("#{step} {what}"));
        ((1..=4).map(|step| of(step, "CACHED")).collect::<Vec<_>>(), said)
    };
    assert_eq!(cached("one").0, [false; 4]);
    let (steps, said) = cached("two");
    assert_eq!(steps, [true, false, true, false], "what is above it sees another tree: {said}");
    assert!(said.contains(" two\n") && said.contains("copied"), "{said}");
    assert_eq!(cached("two").0, [true; 4]);
}

#[test]
fn flags_of_docker_that_change_nothing_are_taken_with_a_note() {
    let flags = [
        "--rm",
        "--force-rm=false",
        "--compress",
        "--provenance=false",
        "--sbom",
        "true",
        "--cache-from",
        "type=gha",
        "--cache-to",
        "type=inline",
        "--builder",
        "default",
        "--isolation=default",
    ];
    let (built, said) = output(BASE, &flags);
    assert!(built, "{said}");
    let noted: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("NOTE: ")?.split(' ').next()).collect();
    let expected = [
        "--rm",
        "--force-rm",
        "--compress",
        "--provenance",
        "--sbom",
        "--cache-from",
        "--cache-to",
        "--builder",
        "--isolation",
    ];
    assert_eq!(noted, expected, "{said}");
    let (built, said) = output(BASE, &[]);
    assert!(built && !said.contains("NOTE"), "{said}");
    let (built, said) = output(BASE, &["--isolation=hyperv"]);
    assert!(!built && said.contains("'hyperv'") && said.contains("possible values: default"), "{said}");
}

#[test]
fn a_terminal_shows_what_runs_and_a_summary() {
    let bench = Bench::new();
    let context = bench.path("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
    let dockerfile = format!("FROM scratch\nCOPY busybox /bin/sh\nRUN echo {}; exit $CODE\n", "long ".repeat(30));
    std::fs::write(context.join("Dockerfile"), dockerfile.replace("$CODE", "0")).unwrap();
    let shown = |columns: u32, no_color: &str| {
        let command = bench.command(&["build", "--progress", "tty", context.to_str().unwrap()]);
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let line = words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("stty cols {columns}; {line}"), "/dev/null"]).env("NO_COLOR", no_color);
        String::from_utf8_lossy(&script.env("TERM", "xterm").output().unwrap().stdout).into_owned()
    };
    let first = shown(60, "");
    assert!(first.contains("[+] Building ") && first.contains("(2/2) FINISHED"), "{first}");
    assert!(first.contains("RUN echo long") && first.contains('…') && first.contains("0 of 2 steps cached"), "{first}");
    let again = shown(200, "1");
    assert!(again.contains("CACHED") && again.contains("2 of 2 steps cached"), "{again}");
    assert!(!again.contains("\u{1b}[36m"), "no colours with NO_COLOR: {again}");
    std::fs::write(context.join("Dockerfile"), dockerfile.replace("$CODE", "3")).unwrap();
    let failed = shown(80, "");
    assert!(failed.contains("(1/2) ERROR") && failed.contains("\u{1b}[31mERROR: failed to solve"), "{failed}");
}
