//! `slipway build --call`: what a Dockerfile offers, without building it.

use crate::support::{shown, slipway};
use serde_json::{Value, json};

const DOCKERFILE: &str = "\
ARG inherited=box
ARG inherited2=box2
ARG unused=abc${inherited2}
# sfx is a suffix
ARG sfx=u$inherited
FROM b${sfx} AS first
# this is not assigned to anything
ARG FOO=123
# BAR is a number
ARG BAR=456 BAZ=$BAR-7
RUN --mount=type=secret,id=token --mount=type=secret,id=key,required --mount=type=cache,target=/root/.cache true
FROM alpine${unused} AS second
ARG NEVER
RUN --mount=type=ssh,required true
FROM scratch AS third
ARG ABC=a
ARG inherited
# target is what is built
FROM third AS target
RUN --mount=type=ssh --mount=type=secret,id=token,required true
COPY --from=first /etc/passwd /
FROM --platform=linux/amd64 second
";

fn asked(arguments: &[&str]) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Dockerfile"), DOCKERFILE).unwrap();
    let mut command = slipway();
    // No registry is asked: these stand for the images.
    let images =
        ["--build-context=bubox=docker-image://scratch", "--build-context=alpineabcbox2=docker-image://scratch"];
    command
        .args(["build", "--data-dir"])
        .arg(directory.path().join("data"))
        .args(images)
        .args(arguments)
        .arg(directory.path());
    let output = command.output().unwrap();
    (output.status.success(), shown(&output))
}

fn answer(arguments: &[&str]) -> Value {
    let (well, text) = asked(arguments);
    assert!(well, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_outline_of_a_target_is_what_it_takes() {
    // DF-278
    let outline = answer(&["--call=outline,format=json", "--target", "target", "--build-arg", "FOO=321"]);
    assert_eq!((&outline["name"], &outline["description"]), (&json!("target"), &json!("is what is built")));
    let args: Vec<_> = outline["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| {
            (
                arg["name"].clone(),
                arg["value"].clone(),
                arg["description"].clone(),
                arg["location"]["ranges"][0]["start"]["line"].clone(),
            )
        })
        .collect();
    let arg = |name: &str, value: &str, text: Value, line: u32| (json!(name), json!(value), text, json!(line));
    assert_eq!(
        args,
        [
            arg("inherited", "box", Value::Null, 1),
            arg("sfx", "ubox", json!("is a suffix"), 5),
            arg("FOO", "321", Value::Null, 8),
            arg("BAR", "456", json!("is a number"), 10),
            arg("BAZ", "456-7", Value::Null, 10),
            arg("ABC", "a", Value::Null, 16),
        ]
    );
    let named = |key: &str| {
        outline[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].clone(), one["required"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(named("secrets"), [(json!("token"), json!(true)), (json!("key"), json!(true))]);
    assert_eq!(named("ssh"), [(json!("default"), Value::Null)]);
    assert_eq!(outline["cache"][0]["ID"], "/root/.cache");
    let (well, text) = asked(&["--call", "outline", "--target", "target"]);
    assert!(well && text.contains("TARGET:        target\nDESCRIPTION:   is what is built\n"), "{text}");
    assert!(
        text.contains("BUILD ARG   VALUE   DESCRIPTION\n") && text.contains("sfx         ubox    is a suffix\n"),
        "{text}"
    );
    assert!(text.contains("SECRET   REQUIRED\ntoken    true\n"), "{text}");
}

#[test]
fn the_targets_are_the_stages_of_the_file() {
    // DF-278
    let list = answer(&["--call=targets", "--format", "json"]);
    let targets = list["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 5);
    assert_eq!(
        targets[3],
        json!({"name": "target", "description": "is what is built", "base": "third",
        "location": {"ranges": [{"start": {"line": 19}, "end": {"line": 19}}]}})
    );
    assert_eq!((&targets[4]["default"], &targets[4]["platform"]), (&json!(true), &json!("linux/amd64")));
    assert_eq!(targets[0]["base"], "b${sfx}", "as it stands in the file");
    let (well, text) = asked(&["--call=targets"]);
    assert!(well && text.starts_with("TARGET      DESCRIPTION\nfirst\n") && text.ends_with("(default)\n"), "{text}");
}

#[test]
fn a_check_is_a_call_too_and_others_are_named() {
    // DF-279
    let (clean, text) = asked(&["--call=check"]);
    assert!(!clean && text.contains("FromPlatformFlagConstDisallowed"), "{text}");
    let (clean, text) = asked(&["--check", "--format", "json"]);
    let found = text.find('{').map(|at| &text[at..]).unwrap_or_default();
    assert!(!clean && found.contains("\"ruleName\": \"FromPlatformFlagConstDisallowed\""), "{text}");
    for (call, expected) in
        [("bogus", "build, check, outline or targets is expected"), ("check,format=xml", "format=json")]
    {
        let (well, text) = asked(&["--call", call]);
        assert!(!well && text.contains(expected), "{text}");
    }
    let (well, text) = asked(&["--call=outline", "--target", "nosuch"]);
    assert!(!well && text.contains("could not be found"), "{text}");
}
