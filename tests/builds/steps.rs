//! The environment of `RUN`, and the errors of commands that cannot run: see `docs/dockerfile.md`.

use crate::support::build_directory::Place;
use crate::support::worker_pool::Yard;
use crate::support::{run, shown};
use std::process::Command;

const BASE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

fn place() -> Place {
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).expect("busybox-static is installed");
    place
}

/// Builds instructions on top of busybox; returns whether that went well and what was printed.
fn built(place: &Place, instructions: &str, arguments: &[&str]) -> (bool, String) {
    std::fs::write(place.path("context/Dockerfile"), format!("{BASE}{instructions}")).unwrap();
    let output = place.command().args(arguments).arg("context").output().unwrap();
    (output.status.success(), shown(&output))
}

#[track_caller]
fn succeeds(place: &Place, instructions: &str, arguments: &[&str]) -> String {
    let (well, text) = built(place, instructions, arguments);
    assert!(well, "{instructions}: {text}");
    text
}

#[track_caller]
fn fails(place: &Place, instructions: &str, arguments: &[&str]) -> String {
    let (well, text) = built(place, instructions, arguments);
    assert!(!well, "{instructions}: {text}");
    text
}

/// Compiles a static 32-bit program that says `alive`, into the context.
fn program_of_32_bits(place: &Place) -> Vec<u8> {
    let source = place.path("probe32.c");
    std::fs::write(&source, include_str!("../../runtime/tests/sandbox/probe32.c")).unwrap();
    let program = place.path("context/probe32");
    let flags = ["-m32", "-nostdlib", "-static", "-O1", "-fno-pic", "-no-pie", "-fno-stack-protector", "-fno-builtin"];
    run(Command::new("gcc").args(flags).arg("-o").arg(&program).arg(source));
    std::fs::read(program).unwrap()
}

#[test]
fn a_step_of_any_user_writes_to_its_output() {
    // EN-50
    let place = place();
    let text = succeeds(
        &place,
        "USER 1000\nRUN echo to-stdout > /dev/stdout; echo to-tee | tee /dev/stderr > /dev/null\n\
         USER 0\nRUN ln -s /dev/stdout /access.log\nUSER 33:33\nRUN echo to-the-log >> /access.log\n",
        &[],
    );
    for line in ["to-stdout", "to-tee", "to-the-log"] {
        assert!(text.lines().any(|shown| shown.ends_with(&format!(" {line}"))), "{line}: {text}");
    }
}

#[test]
fn the_host_name_is_what_the_build_argument_says() {
    // EN-12
    let place = place();
    let steps = "RUN hostname > /name; grep -c \"[[:space:]]$(hostname)\\$\" /etc/hosts; echo is $(hostname)\n";
    assert!(succeeds(&place, steps, &[]).contains("is buildkitsandbox\n"));
    let foo = ["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=foo"];
    let text = succeeds(&place, &format!("{steps}RUN grep -qw foo /etc/hosts\n"), &foo);
    assert!(text.contains("is foo\n") && !text.contains("has no effect"), "it is part of the key: {text}");
    assert!(!succeeds(&place, steps, &[]).contains("is foo\n"));
    let hosts = [&foo[..], &["--add-host", "db:10.0.0.5"]].concat();
    succeeds(&place, "RUN grep -qw foo /etc/hosts && grep -qw db /etc/hosts\n", &hosts);
    let text = fails(&place, steps, &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=a b"]);
    assert!(text.contains("BUILDKIT_SANDBOX_HOSTNAME=\"a b\" is not a host name"), "{text}");
    let text = succeeds(&place, steps, &["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"]);
    assert!(text.contains("the build argument BUILDKIT_MULTI_PLATFORM has no effect"), "{text}");
}

#[test]
fn a_32_bit_program_runs_where_it_may_and_is_named_where_not() {
    // EN-90
    let place = place();
    program_of_32_bits(&place);
    let copied = |last: &str| format!("COPY probe32 /probe32\n{last}\n");
    for last in ["RUN [\"/probe32\"]", "RUN /probe32", "RUN sh -c '/probe32; exit $?'; exit 3"] {
        let text = fails(&place, &copied(last), &[]);
        for part in ["32-bit", "linux/386", "sandbox.allow_32bit = true", "--allow-32bit", "SIGSYS"] {
            assert!(text.contains(part), "{last}: {part}: {text}");
        }
    }
    let text = succeeds(&place, &copied("RUN /probe32"), &["--allow-32bit"]);
    assert!(text.contains(" alive\n"), "{text}");
    let text = succeeds(&place, &copied("RUN [\"/probe32\"]"), &["--platform", "linux/386"]);
    assert!(text.contains(" alive\n"), "{text}");
    let refused = "RUN test \"$(/probe32 310 0x10000000) $(/probe32 socketcall 1 40 1 0)\" = 'EPERM EPERM'";
    succeeds(&place, &copied(refused), &["--platform", "linux/386"]);
}

#[test]
fn the_service_runs_32_bit_programs_by_its_configuration_or_the_platform() {
    // EN-90
    let encoded = {
        let place = place();
        program_of_32_bits(&place);
        run(Command::new("base64").arg(place.path("context/probe32")))
    };
    let dockerfile =
        "ARG BASE\nFROM ${BASE}\nCOPY probe /probe\nRUN base64 -d /probe > /probe32; chmod +x /probe32; /probe32\n";
    let files = [("Dockerfile", dockerfile), ("probe", encoded.as_str())];
    let (yard, worker) = Yard::with_worker("");
    let (state, code, message) = yard.failed(&yard.push(&files));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "step_failed"), "{message}");
    assert!(message.contains("sandbox.allow_32bit = true"), "{message}");
    drop(worker);
    let (open, _worker) = Yard::with_worker("[sandbox]\nallow_32bit = true\n");
    let id = open.push(&files);
    open.succeeded(&id);
    assert!(open.log(&id).contains("\nalive\n"), "{}", open.log(&id));
}

#[test]
fn what_keeps_a_command_from_being_executed_is_named() {
    // EN-54
    let place = place();
    let script = |name: &str, line: &str| format!("COPY --chmod=755 <<\"F\" /{name}\n#!{line}\necho ran\nF\n");
    let typo = script("typo", "/usr/bin/pyhton");
    for (instructions, expected) in [
        (format!("{typo}RUN [\"/typo\"]\n"), "exec /typo: interpreter /usr/bin/pyhton not found"),
        (format!("{typo}ENV PATH=/:/bin\nRUN [\"typo\"]\n"), "exec //typo: interpreter /usr/bin/pyhton not found"),
        (format!("{typo}SHELL [\"/typo\"]\nRUN x\n"), "exec /typo: interpreter /usr/bin/pyhton not found"),
        ("RUN [\"/bin/none\"]\n".to_owned(), "exec: \"/bin/none\": stat /bin/none: no such file or directory"),
        ("RUN [\"/etc\"]\n".to_owned(), "exec /etc: permission denied: it is a directory"),
        ("RUN : > /e && chmod +x /e\nRUN [\"/e\"]\n".to_owned(), "exec /e: exec format error: the file is empty"),
        ("FROM scratch\nRUN true\n".to_owned(), "the image has no shell"),
    ] {
        let text = fails(&place, &instructions, &[]);
        assert!(text.contains(expected), "{instructions}: `{expected}`: {text}");
    }
    let text = fails(&place, "RUN printf '#!/bin/sh\\r\\n' > /crlf && chmod +x /crlf\nRUN [\"/crlf\"]\n", &[]);
    assert!(text.contains("interpreter /bin/sh\\r not found") && text.contains("carriage return"), "{text}");
}

#[test]
fn the_image_has_what_its_steps_saw_whatever_the_times_say() {
    // The lines below the table of EN: same size and modification time.
    let place = place();
    let steps = "RUN echo old > /f; echo old > /g; touch -d '2001-02-03 04:05:06' /g\n\
                 RUN for f in /f /g; do touch -r $f /t; echo new > $f; touch -r /t $f; done; rm /t\n\
                 RUN test \"$(cat /f /g)\" = \"$(printf 'new\\nnew')\"\n";
    let out = place.path("out");
    for arguments in [&["--no-cache"][..], &[]] {
        let _ = std::fs::remove_dir_all(&out);
        let to = ["-o", out.to_str().unwrap()];
        succeeds(&place, steps, &[arguments, &to].concat());
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        assert_eq!((read("f"), read("g")), ("new\n".to_owned(), "new\n".to_owned()));
    }
}

#[test]
fn devices_cannot_be_made_and_pipes_can() {
    // See docs/dockerfile.md.
    let place = place();
    let text = fails(&place, "RUN mknod /null c 1 3\n", &[]);
    assert!(text.contains("Operation not permitted"), "{text}");
    let tar = place.path("out.tar");
    succeeds(&place, "RUN mkfifo /pipe\n", &["-o", &format!("type=tar,dest={}", tar.display())]);
    assert!(run(Command::new("tar").arg("-tvf").arg(tar)).lines().any(|line| line.starts_with('p')));
}
