//! The configuration of the image, and the texts of its history.

use super::*;

// E29, DF-217, DF-218
#[test]
fn an_entrypoint_drops_a_command_that_was_inherited() {
    assert_eq!(config("FROM base\nENTRYPOINT [\"x\"]").cmd, None);
    let kept = config("FROM base\nCMD y\nENTRYPOINT [\"x\"]");
    assert_eq!((kept.cmd.unwrap(), kept.args_escaped), (vec!["/bin/sh".into(), "-c".into(), "y".into()], true));
    assert_eq!(config("FROM base AS a\nCMD y\nFROM a\nENTRYPOINT [\"x\"]").cmd, None, "set in another stage");
    assert!(!config("FROM base\nENTRYPOINT [\"x\"]").args_escaped);
    assert_eq!(config("FROM base\nCMD []").cmd, Some(vec![]));
    assert_eq!(config("FROM base\nENTRYPOINT [\"x\"]\nENTRYPOINT []").entrypoint, Some(vec![]));
    assert_eq!(config("FROM base\nCMD").cmd.unwrap(), ["/bin/sh", "-c", ""]);
    assert_eq!(config("FROM base\nENTRYPOINT").entrypoint.unwrap(), ["/bin/sh", "-c", ""]);
}

// DF-219
#[test]
fn a_shell_counts_for_what_comes_after_it() {
    let config = config("FROM base\nCMD a\nSHELL [\"/bin/x\", \"-y\"]\nENTRYPOINT b\n");
    assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "a"]);
    assert_eq!(config.entrypoint.unwrap(), ["/bin/x", "-y", "b"]);
    assert_eq!(config.shell.unwrap(), ["/bin/x", "-y"]);
    let inherited = plan("FROM plain AS a\nSHELL [\"/bin/x\"]\nFROM a\nRUN b\n");
    assert_eq!(last_run(&inherited).argv, ["/bin/x", "b"]);
}

// DF-095, DF-097
#[test]
fn the_words_of_commands() {
    let argv = |text: &str| last_run(&plan(&format!("FROM plain\n{text}\n"))).argv.clone();
    assert_eq!(argv("RUN a \\\n  b"), ["/bin/sh", "-c", "a   b"]);
    assert_eq!(argv("RUN [\"a\", \"b c\"]"), ["a", "b c"]);
    assert_eq!(argv("RUN"), ["/bin/sh", "-c", ""]);
    assert_eq!(argv("RUN [\"a\",]"), ["/bin/sh", "-c", "[\"a\",]"]);
}

// E40, DF-233 to DF-237
#[test]
fn history_texts() {
    let text = "FROM scratch\nEXPOSE 2375 1234/UDP\nLABEL a=b\nVOLUME /v /w\nUSER u\nWORKDIR a/\nSHELL [\"/bin/x\", \"-y\"]\n\
                CMD z\nHEALTHCHECK --interval=30s CMD x\nSTOPSIGNAL TERM\nMAINTAINER me\nCOPY --chown=1 a b c/\nADD <<E d\nx\nE\n\
                ONBUILD RUN x\nCOPY --link --parents --exclude=x --chmod=u+x --chown=1:2 a /b\nWORKDIR /c/\nWORKDIR /\nHEALTHCHECK NONE\n\
                ENTRYPOINT [\"a\\\"b\", \"\\u00e9\\n\"]\n";
    assert_eq!(
        history(text),
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
            "COPY --parents --chown=1:2 --chmod=u+x a /b # buildkit",
            "WORKDIR /c/",
            "WORKDIR /",
            "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "ENTRYPOINT [\"a\\\"b\" \"é\\n\"]",
        ]
    );
    let layers: Vec<_> = plan(text).stages[0].steps.iter().map(|step| step.action.makes_layer()).collect();
    assert_eq!(layers.iter().filter(|makes| **makes).count(), 5, "COPY, ADD and WORKDIR other than / make layers");
}

// DF-211, DF-052
#[test]
fn ports_are_sorted_as_words_and_ranges_are_not() {
    assert_eq!(history("FROM scratch\nEXPOSE 80 443 9-11\n"), ["EXPOSE [443/tcp 80/tcp 9/tcp 10/tcp 11/tcp]"]);
    let ports = config("FROM scratch\nENV PORTS=\"80 81/udp\"\nEXPOSE $PORTS\nEXPOSE 80\n").exposed_ports;
    assert_eq!(ports.keys().collect::<Vec<_>>(), ["80/tcp", "81/udp"]);
    // DF-11
    assert_eq!(refused("FROM scratch\nEXPOSE 99999"), "invalid containerPort: 99999");
    assert_eq!(refused("FROM scratch\nEXPOSE 80/x"), "invalid port: \"80/x\": invalid proto: x");
}

// DF-212, DF-213, DF-214, DF-222, DF-223, DF-19, DF-28
#[test]
fn metadata() {
    let text = "FROM scratch\nVOLUME /proc rel\nVOLUME [\"/a b\"]\nUSER 66\nWORKDIR /a\nWORKDIR b/../c\nWORKDIR ./d/\nSTOPSIGNAL 999\nMAINTAINER someone <a@b>\n";
    let plan = plan(text);
    let config = &plan.stages[0].config;
    assert_eq!(config.config.volumes.keys().collect::<Vec<_>>(), ["/a b", "/proc", "rel"]);
    assert_eq!((config.config.user.as_str(), config.config.working_dir.as_str()), ("66", "/a/c/d"));
    assert_eq!((config.config.stop_signal.as_str(), config.author.as_str()), ("999", "someone <a@b>"));
    let Action::Workdir { path, user } = &plan.stages[0].steps[5].action else { panic!() };
    assert_eq!((path.as_str(), user.as_str()), ("/a/c/d", "66"));
}

// DF-22
#[test]
fn odd_values_are_stored_exactly() {
    let config = config("FROM scratch\nENV a=\"\u{1b}[31m<script>\" \nLABEL b='<script>\u{7}' c=\"x\u{1b}]0;y\"\n");
    assert_eq!(config.env[1], "a=\u{1b}[31m<script>");
    let given = with_args(&[("A", "one\ntwo\u{1b}]0;x")]);
    let plan = plan_with("FROM scratch\nARG A\nENV A=$A\nLABEL l=\"$A\"\n", &given).unwrap();
    let multiline = &plan.stages[0].config.config;
    assert_eq!(
        (multiline.env[1].as_str(), multiline.labels["l"].as_str()),
        ("A=one\ntwo\u{1b}]0;x", "one\ntwo\u{1b}]0;x")
    );
    assert_eq!((config.labels["b"].as_str(), config.labels["c"].as_str()), ("<script>\u{7}", "x\u{1b}]0;y"));
}

// DF-072, DF-093, DF-229, DF-230
#[test]
fn what_a_stage_starts_with() {
    let empty = config("FROM scratch\n");
    assert_eq!(empty.working_dir, "/");
    assert_eq!(empty.env, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
    let mut images = BaseImages::new();
    let mut base = image(&["A=1"], &[]);
    base.created = Some("2020-01-01T00:00:00Z".into());
    base.config.working_dir = "app".into();
    images.insert("nopath".into(), base);
    let plan = plan_from("FROM nopath\n", &settings(), &images).unwrap();
    let config = &plan.stages[0].config;
    assert_eq!(config.config.env[0], "A=1");
    assert!(config.config.env[1].starts_with("PATH=/usr/local/sbin:"), "{:?}", config.config.env);
    assert_eq!((config.created.as_ref(), config.config.working_dir.as_str()), (None, "/app"), "DF-094");
}

// DF-077, DF-220
#[test]
fn a_child_inherits_the_configuration_and_changes_its_own() {
    let text = "FROM scratch AS a\nLABEL a=1\nUSER u\nVOLUME /v\nEXPOSE 1\nHEALTHCHECK --retries=3 --start-period=1m30s --start-interval=1s --timeout=2s CMD [\"a\"]\nSTOPSIGNAL TERM\nFROM a\nLABEL a=2 b=3\nUSER w\n";
    let plan = plan(text);
    let (parent, child) = (&plan.stages[0].config.config, &plan.stages[1].config.config);
    assert_eq!((parent.labels.len(), parent.user.as_str()), (1, "u"));
    assert_eq!((child.labels["a"].as_str(), child.labels.len(), child.user.as_str()), ("2", 2, "w"));
    assert_eq!(child.healthcheck, parent.healthcheck);
    let check = child.healthcheck.clone().unwrap();
    assert_eq!(
        (check.test.clone(), check.retries, check.start_period),
        (vec!["CMD".into(), "a".into()], 3, 90_000_000_000)
    );
    let replaced = config(&format!("{text}HEALTHCHECK CMD b\n")).healthcheck.unwrap();
    assert_eq!((replaced.test, replaced.retries), (vec!["CMD-SHELL".into(), "b".into()], 0));
    assert_eq!(child.exposed_ports.len() + child.volumes.len(), 2);
}

// DF-210
#[test]
fn labels_of_the_requester_come_last_and_only_on_the_target() {
    let labels = BTreeMap::from([("a".to_owned(), "given".to_owned())]);
    let settings = Settings { labels, ..settings() };
    let plan = plan_with("FROM scratch AS a\nLABEL a=1 \"b c\"=2\nFROM a\n", &settings).unwrap();
    assert_eq!(plan.stages[0].config.config.labels["a"], "1");
    assert_eq!(plan.stages[1].config.config.labels["a"], "given");
    assert_eq!(plan.stages[1].config.config.labels["b c"], "2");
}

// DF-098 to DF-100, DF-036, E33
#[test]
fn heredocs_of_run() {
    let shell = |text: &str| last_run(&plan(text)).argv.last().unwrap().clone();
    assert_eq!(shell("FROM base\nRUN <<-E\n\tx\nE\n"), "x\n");
    assert_eq!(shell("FROM base\nRUN <<'E'\n$x\nE\n"), "$x\n");
    assert_eq!(shell("FROM base\nRUN cat <<A <<B > f\nx\nA\ny\nB\n"), "cat <<A <<B > f\nx\nA\ny\nB");
    assert_eq!(shell("FROM base\nRUN cat <<-A\n\tx\n\tA\n"), "cat <<-A\n\tx\nA");
    assert_eq!(shell("FROM base\nRUN <<E sh\nx\nE\n"), "<<E sh\nx\nE");
    let script = plan("FROM base\nRUN <<E\n#!/bin/x\ny\nE\n");
    let run = last_run(&script);
    assert_eq!(run.argv.last().unwrap(), "/dev/pipes/E");
    assert!(matches!(&run.mounts[0].kind, MountKind::Script { content } if content == b"#!/bin/x\ny\n"));
}
