//! Bad Dockerfiles: each is refused with what is wrong and where, or taken as docker takes it; by the ids of the
//! list of bad inputs.

use crate::support::{shown, slipway};
use std::path::Path;

/// Builds `dockerfile` with busybox in the context.
fn build(dockerfile: &[u8], arguments: &[&str]) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    let context = directory.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    run(directory.path(), &[&["build", "--progress", "plain"], arguments].concat())
}

fn run(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = slipway();
    command.args(arguments).arg("--data-dir").arg(directory.join("data")).arg(directory.join("context"));
    let output = command.output().unwrap();
    (output.status.success(), shown(&output))
}

fn check(dockerfile: &str, arguments: &[&str]) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    let context = directory.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(context.join(".dockerignore"), "hidden\n").unwrap();
    run(directory.path(), &[&["check"], arguments].concat())
}

/// Dockerfiles that are refused before anything runs, with a part of the message and the marked line.
#[test]
fn bad_dockerfiles_are_refused_with_their_lines() {
    let long = format!("FROM {}\n", "x".repeat(5000));
    let layers = format!("FROM scratch\n{}", "WORKDIR /x\n".repeat(200));
    for (id, dockerfile, said, marked) in [
        ("DF-01", "FROM scratch\nRNU x\n", "unknown instruction: RNU (did you mean RUN?)", ">>> RNU x"),
        ("DF-05", "FROM scratch\nONBUILD ONBUILD RUN x\n", "Chaining ONBUILD", ">>> ONBUILD ONBUILD"),
        ("DF-05", "FROM scratch\nONBUILD FROM x\n", "FROM isn't allowed as an ONBUILD trigger", ">>> ONBUILD FROM"),
        ("DF-08", "FROM Not/A/Reference\n", "failed to parse stage name", ">>> FROM Not"),
        ("DF-08", "FROM a@sha256:12\n", "failed to parse stage name", ">>> FROM a@"),
        ("DF-08", &long, "failed to parse stage name", ">>> FROM xxx"),
        ("DF-09", &layers, "127 are possible", ">>> WORKDIR /x"),
        ("DF-10", "FROM scratch\nCOPY --from=9 /a /b\n", "invalid stage index 9", ">>> COPY --from=9"),
        (
            "DF-10",
            "FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nFROM a\n",
            "it needs to be defined before current stage",
            ">>> COPY --from=b",
        ),
        ("DF-11", "FROM scratch\nEXPOSE 99999\n", "invalid containerPort: 99999", ">>> EXPOSE"),
        ("DF-11", "FROM scratch\nHEALTHCHECK --interval=1 CMD x\n", "missing unit in duration", ">>> HEALTHCHECK"),
        ("DF-11", "FROM scratch\nCMD [1]\n", "arrays must be comprised of strings only", ">>> CMD [1]"),
        ("DF-17", "FROM scratch\nRUN --security=insecure x\n", "security.insecure is not allowed", ">>> RUN"),
        ("DF-17", "FROM scratch\nRUN --network=host x\n", "network.host is not allowed", ">>> RUN"),
        ("DF-17", "FROM scratch\nRUN --privileged x\n", "unknown flag: --privileged", ">>> RUN"),
        ("DF-20", "FROM scratch\nWORKDIR /proc/self/fd/7\n", "is not allowed", ">>> WORKDIR"),
        ("DF-20", "FROM scratch\nWORKDIR /proc/1/cwd\n", "is not allowed", ">>> WORKDIR"),
        ("DF-20", "FROM scratch\nWORKDIR /dev\n", "is not allowed", ">>> WORKDIR"),
        ("DF-20", "FROM scratch\nWORKDIR /sys\n", "is not allowed", ">>> WORKDIR"),
        ("DF-23", "FROM scratch\nADD --checksum=x busybox /b\n", "checksum requires HTTP(S) or Git sources", ">>> ADD"),
        (
            "DF-24",
            "FROM scratch\nRUN --mount=type=bind,bind-propagation=rshared x\n",
            "unexpected key 'bind-propagation'",
            ">>> RUN",
        ),
        ("DF-25", "FROM scratch\nRUN --mount=type=cache,target=/ x\n", "invalid mount target \"/\"", ">>> RUN"),
        ("DF-28", "FROM scratch\nSTOPSIGNAL NOSUCH\n", "invalid signal: NOSUCH", ">>> STOPSIGNAL"),
    ] {
        let (built, output) = build(dockerfile.as_bytes(), &[]);
        assert!(!built, "{id}: {dockerfile} was built");
        assert!(output.contains(said), "{id}: `{said}` is missing:\n{output}");
        assert!(output.contains(marked), "{id}: `{marked}` is missing:\n{output}");
    }
}

// DF-02
#[test]
fn a_foreign_frontend_is_told_and_not_run() {
    let (built, output) = build(b"# syntax=evil.invalid/frontend:1\nFROM scratch\nCOPY busybox /b\n", &[]);
    assert!(built && output.contains("the frontend `evil.invalid/frontend:1` is not run"), "{output}");
    let (built, output) = build(b"# syntax=docker/dockerfile:1\nFROM scratch\nCOPY busybox /b\n", &[]);
    assert!(built && !output.contains("frontend"), "{output}");
}

// DF-03
#[test]
fn odd_bytes_and_sizes() {
    let (built, output) = build(b"\xef\xbb\xbfFROM scratch\r\nCOPY busybox \\\r\n  /b\r\n", &[]);
    assert!(built, "a mark of byte order and CRLF are fine: {output}");
    for (dockerfile, said) in [
        (vec![b'#'; 5_000_000], "1048576"),
        (
            [b"FROM scratch\nLABEL a=".as_slice(), &vec![b'x'; 1_000_000]].concat(),
            "greater than max allowed size of 65535",
        ),
        (b"FROM scratch\nLABEL a=\0\n".to_vec(), "NUL"),
        (b"\xff\xfeF\0R\0O\0M\0".to_vec(), "UTF-16"),
        (Vec::new(), "the Dockerfile cannot be empty"),
        (b"# nothing\n".to_vec(), "file with no instructions"),
    ] {
        let (built, output) = build(&dockerfile, &[]);
        assert!(
            !built && output.contains(said),
            "`{said}` is missing:\n{}",
            output.chars().take(500).collect::<String>()
        );
    }
}

// DF-05, DF-11, DF-19, DF-22, DF-28: what docker takes, with a warning where it warns.
#[test]
fn odd_dockerfiles_that_are_taken() {
    let dockerfile = "from scratch\ncopy busybox /b\nvolume /proc /etc\nstopsignal 999\nmaintainer me\nlabel a=\"<script>\u{1b}[31m\"\ncmd ['x']\n";
    let (built, output) = build(dockerfile.as_bytes(), &[]);
    assert!(built, "{output}");
    for rule in ["MaintainerDeprecated", "JSONArgsRecommended"] {
        assert!(output.contains(rule), "`{rule}` is missing:\n{output}");
    }
    assert!(!output.contains('\u{1b}'), "{output:?}");
}

// DF-23, DF-24, DF-27
#[test]
fn what_was_not_given_is_named() {
    for (dockerfile, said) in [
        ("FROM scratch\nCOPY busybox /bin/sh\nRUN --mount=type=secret,id=key,required true\n", "key"),
        ("FROM scratch\nCOPY busybox /bin/sh\nRUN --mount=type=ssh,required true\n", "ssh"),
    ] {
        let (built, output) = build(dockerfile.as_bytes(), &[]);
        assert!(!built && output.contains(said), "`{said}` is missing:\n{output}");
    }
}

// DF-279, DF-302
#[test]
fn a_check_shows_rules_and_lines_and_builds_nothing() {
    let dockerfile = "FROM scratch AS Base\nCOPY hidden /x\nFROM scratch\nCMD x\n";
    let (clean, output) = check(dockerfile, &[]);
    assert!(!clean, "{output}");
    for part in [
        "Check complete, 3 warnings have been found!",
        "WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
        "Stage name 'Base' should be lowercase",
        "   1 | >>> FROM scratch AS Base",
        "Attempting to Copy file \"hidden\" that is excluded by .dockerignore",
        "   4 | >>> CMD x",
    ] {
        assert!(output.contains(part), "`{part}` is missing:\n{output}");
    }
    let (clean, output) = check(dockerfile, &["--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert!(!clean);
    assert_eq!(found["warnings"][1]["ruleName"], "CopyIgnoredFile");
    assert_eq!(found["warnings"][1]["location"]["ranges"][0]["start"]["line"], 2);
    let (clean, output) = check("FROM scratch\nCOPY a /a\n", &[]);
    assert!(clean && output.contains("no warnings found"), "{output}");
    let (clean, output) = check("FROM scratch\nRNU a\n", &["--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert!(!clean && found["buildError"]["location"]["ranges"][0]["start"]["line"] == 2, "{output}");
    let (clean, _) = check(
        "FROM scratch AS base\nFROM scratch AS Other\n",
        &["--target", "base", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all"],
    );
    assert!(clean);
}

// DF-017, DF-279
#[test]
fn warnings_end_a_build_where_the_file_says_so() {
    let dockerfile = b"# check=error=true\nFROM scratch\nCOPY busybox /b\nCMD x\n";
    let (built, output) = build(dockerfile, &[]);
    assert!(!built && output.contains("lint violation found for rules: JSONArgsRecommended"), "{output}");
    assert!(output.contains("JSONArgsRecommended: JSON arguments recommended for CMD"), "{output}");
    let (built, output) = build(dockerfile, &["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all"]);
    assert!(built, "{output}");
    let (clean, output) = build(dockerfile, &["--check"]);
    assert!(!clean && output.contains("Check complete, 1 warning has been found!"), "{output}");
}
