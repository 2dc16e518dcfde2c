//! Plans of small files: what is expanded, in which order stages come, what the image says.

use super::*;
use crate::dockerfile::Dockerfile;

fn settings() -> Settings {
    Settings {
        build_args: BTreeMap::new(),
        target: None,
        labels: BTreeMap::new(),
        platform: "linux/amd64".parse().unwrap(),
        named_contexts: Vec::new(),
        named_images: Vec::new(),
    }
}

fn images() -> BaseImages {
    let mut config = ImageConfig::default();
    config.config.env = vec!["PATH=/bin".into(), "BASE=b".into()];
    config.config.cmd = Some(vec!["base".into()]);
    config.config.on_build = vec!["ENV TRIGGERED=1".into()];
    let mut images = BaseImages::new();
    images.insert("base".into(), config, false);
    images
}

fn plan_with(text: &str, settings: &Settings) -> Result<Plan, Error> {
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    match Plan::for_file(&file, settings, &images())? {
        Planned::Ready(plan) => Ok(*plan),
        Planned::Needs(needed) => panic!("{needed:?}"),
    }
}

fn plan(text: &str) -> Plan {
    plan_with(text, &settings()).unwrap_or_else(|error| panic!("{text}: {}", error.report()))
}

fn refused(text: &str) -> String {
    plan_with(text, &settings()).unwrap_err().to_string()
}

fn last_run(plan: &Plan) -> &Run {
    let step = plan.stages[plan.target].steps.iter().rev().find(|step| matches!(step.action, Action::Run(_)));
    match &step.unwrap().action {
        Action::Run(run) => run,
        _ => unreachable!(),
    }
}

#[test]
fn only_the_stages_that_are_needed_are_planned() {
    let text = "FROM nowhere AS unused\nRUN x\nFROM scratch AS a\nWORKDIR /a\nFROM scratch AS b\nCOPY --from=A /x /y\nCOPY --from=1 /x /y\n";
    let plan = plan(text);
    let names: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!((names, plan.target), (vec!["a", "b"], 1));
    let numbers: Vec<_> =
        plan.stages.iter().flat_map(|stage| stage.steps.iter().map(|step| (step.number, step.position))).collect();
    assert_eq!(numbers, [(1, (1, 1)), (2, (1, 2)), (3, (2, 2))]);
}

#[test]
fn images_are_asked_for_before_they_are_used() {
    let file = Dockerfile::parse(b"FROM debian:12\nCOPY --from=busybox /x /y\n").unwrap();
    let Planned::Needs(needed) = Plan::for_file(&file, &settings(), &BaseImages::new()).unwrap() else { panic!() };
    assert_eq!(needed[0].name, "debian:12");
}

// E24, E25, E23
#[test]
fn arguments_and_variables_in_their_scopes() {
    let text =
        "ARG G=g\nFROM base\nENV V=env\nARG V=arg\nARG G\nARG UNSET\nARG X=1 Y=$X\nENV A=1\nENV A=2 B=$A\nRUN true\n";
    let plan = plan(text);
    let run = last_run(&plan);
    assert_eq!(run.env, ["PATH=/bin", "BASE=b", "TRIGGERED=1", "V=arg", "G=g", "X=1", "Y=1", "A=2", "B=1"]);
    assert_eq!(plan.stages[0].config.config.env, ["PATH=/bin", "BASE=b", "TRIGGERED=1", "V=env", "A=2", "B=1"]);
    let created_by = &plan.stages[0].steps.last().unwrap().created_by;
    assert_eq!(created_by, "RUN |5 V=arg G=g UNSET= X=1 Y=1 /bin/sh -c true # buildkit");
}

// E26
#[test]
fn a_given_argument_beats_the_default_which_is_not_even_looked_at() {
    let mut settings = settings();
    settings.build_args.insert("FOO".into(), "given".into());
    let plan = plan_with("FROM base\nARG FOO=${FOO:?err}\nRUN true\n", &settings).unwrap();
    assert!(last_run(&plan).env.contains(&"FOO=given".to_owned()));
    assert_eq!(refused("FROM base\nARG FOO=${FOO:?err}\n"), "failed to process \"${FOO:?err}\": FOO: err");
}

// E29
#[test]
fn an_entrypoint_drops_a_command_that_was_inherited() {
    let config = |text: &str| {
        let plan = plan(text);
        plan.stages[plan.target].config.config.clone()
    };
    assert_eq!(config("FROM base\nENTRYPOINT [\"x\"]").cmd, None);
    let kept = config("FROM base\nCMD y\nENTRYPOINT [\"x\"]");
    assert_eq!((kept.cmd.unwrap(), kept.args_escaped), (vec!["/bin/sh".into(), "-c".into(), "y".into()], true));
}

// E40
#[test]
fn history_texts() {
    let text = "FROM scratch\nEXPOSE 2375 1234/UDP\nLABEL a=b\nVOLUME /v /w\nUSER u\nWORKDIR a/\nSHELL [\"/bin/x\", \"-y\"]\n\
                CMD z\nHEALTHCHECK --interval=30s CMD x\nSTOPSIGNAL TERM\nMAINTAINER me\nCOPY --chown=1 a b c/\nADD <<E d\nx\nE\n";
    let texts: Vec<_> = plan(text).stages[0].steps.iter().map(|step| step.created_by.clone()).collect();
    assert_eq!(
        texts,
        [
            "EXPOSE [1234/udp 2375/tcp]",
            "LABEL a=b",
            "VOLUME [/v /w]",
            "USER u",
            "WORKDIR /a",
            "SHELL [/bin/x -y]",
            "CMD [\"/bin/x\" \"-y\" \"z\"]",
            "HEALTHCHECK {Test:[CMD-SHELL x] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "STOPSIGNAL TERM",
            "MAINTAINER me",
            "COPY --chown=1 a b c/ # buildkit",
            "ADD <<E d # buildkit",
        ]
    );
}

#[test]
fn heredocs_of_run() {
    let shell = |text: &str| last_run(&plan(text)).argv.last().unwrap().clone();
    assert_eq!(shell("FROM base\nRUN <<-E\n\tx\nE\n"), "x\n");
    assert_eq!(shell("FROM base\nRUN cat <<A <<B > f\nx\nA\ny\nB\n"), "cat <<A <<B > f\nx\nA\ny\nB");
    let script = plan("FROM base\nRUN <<E\n#!/bin/x\ny\nE\n");
    let run = last_run(&script);
    assert_eq!(run.argv.last().unwrap(), "/dev/pipes/E");
    assert!(matches!(&run.mounts[0].kind, MountKind::Script { content } if content == b"#!/bin/x\ny\n"));
}

#[test]
fn mounts_have_their_defaults() {
    let text = "FROM base\nWORKDIR /w\nRUN --mount=target=t,src=a --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=ssh true";
    let plan = plan(text);
    let targets: Vec<_> = last_run(&plan).mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/w/t", "/c", "/run/secrets/s", "/run/buildkit/ssh_agent.0"]);
}

// DF-10, DF-17, DF-20 and others
#[test]
fn what_cannot_be_planned_is_refused() {
    for (text, message) in [
        ("FROM $X", "base name ($X) should not be blank"),
        ("FROM scratch AS a\nCOPY --from=a /x /y", "circular dependency detected on stage: a"),
        (
            "FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\nFROM a",
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
        ),
        ("FROM scratch\nCOPY --from=7 /x /y", "invalid stage index 7"),
        ("FROM scratch\nRUN --network=host x", "network.host is not allowed"),
        ("FROM scratch\nRUN --security=insecure x", "security.insecure is not allowed"),
        (
            "FROM scratch\nWORKDIR /proc/self/fd/7",
            "WORKDIR /proc/self/fd/7 is not allowed: it lies in a file system of the kernel",
        ),
        ("FROM scratch\nRUN --mount=type=tmpfs,target=/ x", "invalid mount target \"/\""),
        ("FROM scratch\nSTOPSIGNAL 999", "invalid signal: 999"),
        ("FROM scratch\nCOPY http://x/y /z", "source can't be a URL for COPY"),
        (
            "FROM --platform=x/y scratch",
            "failed to parse platform x/y: \"x/y\": unknown operating system or architecture: `os/architecture[/variant]` is expected, as in `linux/amd64`",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    let mut settings = settings();
    settings.target = Some("buid".into());
    let error = plan_with("FROM scratch AS build", &settings).unwrap_err();
    assert_eq!(error.to_string(), "target stage \"buid\" could not be found (did you mean build?)");
}
