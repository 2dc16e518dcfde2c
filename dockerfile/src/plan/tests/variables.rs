//! Arguments and variables in their scopes, and what is expanded with them.

use super::*;

fn env(text: &str, settings: &Settings) -> Vec<String> {
    last_run(&plan_with(text, settings).unwrap()).env.clone()
}

// E24, E25, E23, DF-054, DF-055, DF-057, DF-058, DF-060, DF-061
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

// DF-058
#[test]
fn three_ways_to_give_an_argument_a_value() {
    for (stage, args, expected) in [
        ("", vec![], None),
        ("ARG V", vec![], Some("V=g")),
        ("ARG V=s", vec![], Some("V=s")),
        ("ARG V", vec![("V", "b")], Some("V=b")),
        ("ARG V=s", vec![("V", "b")], Some("V=b")),
        ("ARG V=", vec![], Some("V=")),
        ("", vec![("V", "b")], None),
    ] {
        let env = env(&format!("ARG V=g\nFROM plain\n{stage}\nRUN x\n"), &with_args(&args));
        let found = env.iter().find(|pair| pair.starts_with("V="));
        assert_eq!(found.map(String::as_str), expected, "{stage} {args:?}");
    }
}

// DF-059
#[test]
fn arguments_go_on_to_stages_built_on_a_stage_and_to_no_others() {
    let text = "FROM plain AS a\nARG X=1\nENV V=env\nARG V=arg\nFROM a\nRUN x\nFROM plain\nRUN y\n";
    let on_it = plan_with(&text[..text.len() - "FROM plain\nRUN y\n".len()], &settings()).unwrap();
    let run = last_run(&on_it);
    // A variable of the image wins again in the child.
    assert_eq!(run.env, ["X=1", "PATH=/bin", "V=env"]);
    assert_eq!(on_it.stages[1].steps[0].created_by, "RUN |2 X=1 V=env /bin/sh -c x # buildkit");
    assert_eq!(env(text, &settings()), ["PATH=/bin"]);
}

// E26, DF-062
#[test]
fn a_given_argument_beats_the_default_which_is_not_even_looked_at() {
    let given = with_args(&[("FOO", "given $X")]);
    assert!(env("FROM base\nARG FOO=${FOO:?err}\nRUN true\n", &given).contains(&"FOO=given $X".to_owned()));
    assert_eq!(refused("FROM base\nARG FOO=${FOO:?err}\n"), "failed to process \"${FOO:?err}\": FOO: err");
    assert_eq!(refused("ARG FOO=${FOO:?err}\nFROM base\n"), "failed to process \"${FOO:?err}\": FOO: err");
    assert!(plan_with("ARG FOO=${FOO:?err}\nFROM base\n", &given).is_ok());
}

// DF-063, DF-070, DF-056
#[test]
fn names_are_not_expanded_and_values_only_once() {
    assert_eq!(history("FROM plain\nARG A=x\nARG $A=1\n"), ["ARG A=x", "ARG $A=1"]);
    assert!(plan_with("FROM plain\nRUN x\n", &with_args(&[("UNKNOWN", "1")])).is_ok());
    assert_eq!(config("FROM scratch\nENV A='$B' B=b\nENV C=$A\n").env[1..], ["A=$B", "B=b", "C=$B"]);
}

// DF-064, DF-065
#[test]
fn platforms_are_arguments_that_stages_declare() {
    let text = "FROM plain AS last\nARG TARGETPLATFORM\nARG TARGETARCH\nARG TARGETVARIANT\nARG BUILDOS\nARG TARGETSTAGE\nRUN x\n";
    let of = |platform: &str| {
        let mut images = BaseImages::new();
        images.insert("plain".into(), image(&["PATH=/bin"], &[]));
        let settings = Settings { platform: platform.parse().unwrap(), ..settings() };
        last_run(&plan_from(text, &settings, &images).unwrap()).env[1..].join(" ")
    };
    assert_eq!(
        of("linux/amd64"),
        "TARGETPLATFORM=linux/amd64 TARGETARCH=amd64 TARGETVARIANT= BUILDOS=linux TARGETSTAGE=last"
    );
    assert_eq!(
        of("linux/arm64/v8"),
        "TARGETPLATFORM=linux/arm64 TARGETARCH=arm64 TARGETVARIANT= BUILDOS=linux TARGETSTAGE=last"
    );
    assert_eq!(
        of("linux/arm/v7"),
        "TARGETPLATFORM=linux/arm/v7 TARGETARCH=arm TARGETVARIANT=v7 BUILDOS=linux TARGETSTAGE=last"
    );
    assert_eq!(env("FROM plain\nRUN x\n", &settings()), ["PATH=/bin"], "nothing is declared");
    let given = with_args(&[("TARGETARCH", "mine")]);
    assert_eq!(env("FROM plain\nARG TARGETARCH\nRUN x\n", &given)[1], "TARGETARCH=mine");
    let host = Platform::host().architecture;
    let base = plan_from("FROM img-$TARGETARCH\n", &settings(), &{
        let mut images = BaseImages::new();
        images.insert(format!("img-{host}"), image(&[], &[]));
        images
    });
    assert!(base.is_ok(), "FROM sees them without a declaration");
    assert_eq!(env("FROM plain\nARG TARGETSTAGE\nRUN x\n", &settings())[1], "TARGETSTAGE=default");
}

// DF-066, DF-067, DF-259
#[test]
fn proxies_are_passed_and_not_told() {
    let given = with_args(&[("HTTP_PROXY", "h"), ("no_proxy", "n"), ("Ftp_Proxy", "f"), ("ftp_proxy", "g")]);
    let plan = plan_with("FROM plain\nRUN x\n", &given).unwrap();
    let run = last_run(&plan);
    assert_eq!(run.env, ["PATH=/bin"]);
    let proxies = ["FTP_PROXY=g", "HTTP_PROXY=h", "NO_PROXY=n", "ftp_proxy=g", "http_proxy=h", "no_proxy=n"];
    assert_eq!(run.proxies, proxies);
    assert_eq!(plan.stages[0].steps[0].created_by, "RUN /bin/sh -c x # buildkit");
    let declared = plan_with("FROM plain\nARG HTTP_PROXY\nRUN x\n", &given).unwrap();
    assert_eq!(last_run(&declared).env, ["PATH=/bin", "HTTP_PROXY=h"]);
    assert_eq!(last_run(&declared).proxies, proxies);
    assert_eq!(declared.stages[0].steps[1].created_by, "RUN |1 HTTP_PROXY=h /bin/sh -c x # buildkit");
}

// DF-068
#[test]
fn arguments_for_the_builder_stay_with_it() {
    let plan = plan("FROM plain\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x\n");
    assert_eq!(last_run(&plan).env, ["PATH=/bin"]);
    assert_eq!(plan.stages[0].steps[1].created_by, "RUN |1 BUILDKIT_SBOM_SCAN_STAGE=true /bin/sh -c x # buildkit");
}

// DF-040, DF-041, DF-053
#[test]
fn what_is_expanded_and_what_is_not() {
    let text = "FROM base\nENV A='a b' N=1\nLABEL $A=$A\nUSER u$N\nVOLUME /v$N\nWORKDIR /w$N\nSTOPSIGNAL $N\nEXPOSE 8$N\nCOPY --chown=$N:$N --chmod=75$N --exclude=$N $A /d$N\nADD <<E <<'F' /h$N\n$A \"q\" \\$A\nE\n$A\nF\nRUN echo $A\nCMD echo $A\nENTRYPOINT [\"$A\"]\nSHELL [\"$A\"]\nHEALTHCHECK CMD $A\nONBUILD RUN $A\nMAINTAINER $A\n";
    let plan = plan(text);
    let stage = &plan.stages[0];
    let texts: Vec<_> = stage.steps.iter().skip(2).map(|step| step.created_by.as_str()).collect();
    assert_eq!(
        texts,
        [
            "LABEL a b=a b",
            "USER u1",
            "VOLUME [/v1]",
            "WORKDIR /w1",
            "STOPSIGNAL 1",
            "EXPOSE [81/tcp]",
            "COPY --chown=1:1 --chmod=751 a b /d1 # buildkit",
            "ADD <<E <<F /h1 # buildkit",
            "RUN /bin/sh -c echo $A # buildkit",
            "CMD [\"/bin/sh\" \"-c\" \"echo $A\"]",
            "ENTRYPOINT [\"$A\"]",
            "SHELL [$A]",
            "HEALTHCHECK {Test:[CMD-SHELL $A] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "MAINTAINER $A",
        ]
    );
    let Action::Copy(copy) = &stage.steps[8].action else { panic!() };
    assert_eq!(copy.sources, [Source::Path("a b".into())], "DF-053");
    assert_eq!(copy.flags.excludes, ["$N"]);
    let Action::Copy(inline) = &stage.steps[9].action else { panic!() };
    // DF-050, DF-051
    let contents: Vec<_> = inline.files.iter().map(|file| String::from_utf8_lossy(&file.content)).collect();
    assert_eq!(contents, ["a b \"q\" $A\n", "$A\n"]);
    assert_eq!(stage.config.config.on_build, ["RUN $A"]);
}

// DF-048
#[test]
fn what_is_not_set_is_empty() {
    assert_eq!(history("FROM plain\nLABEL a=x$1$@${NONE}y\n"), ["LABEL a=xy"]);
}

// E27, DF-028, DF-208, DF-209
#[test]
fn variables_of_the_image() {
    for (text, expected) in [
        ("ENV A \"x y\"", vec!["A=x y"]),
        ("ENV A x  y", vec!["A=x  y"]),
        ("ENV A \"x\" 'y'", vec!["A=x y"]),
        ("ENV A=", vec!["A="]),
        ("ENV A \"\"", vec!["A="]),
        ("ENV n=v \\", vec!["n=v"]),
        ("ENV a=1 a=2", vec!["a=2"]),
        ("ENV a=1\nENV b=2\nENV a=3", vec!["a=3", "b=2"]),
        ("ENV a=x\\ y b='%\t'", vec!["a=x y", "b=%\t"]),
        ("ENV a='x\\\ny'", vec!["a=xy"]),
    ] {
        assert_eq!(config(&format!("FROM scratch\n{text}\n")).env[1..], expected, "{text}");
    }
    assert!(refused("FROM scratch\nENV a='a\\'b'").contains("looking for matching single-quote"));
    assert_eq!(history("FROM scratch\nENV a 1  2\nENV b=\"x y\" c=\n"), ["ENV a=1  2", "ENV b=x y c="]);
}

// DF-235
#[test]
fn the_history_shows_arguments_with_the_values_in_force() {
    let text = "FROM plain\nARG A=1\nARG B\nARG A=2\nENV B=env\nENV A=env\nRUN x\n";
    assert_eq!(history(text).pop().unwrap(), "RUN |2 A=env B=env /bin/sh -c x # buildkit");
}

// DF-260
#[test]
fn an_argument_reaches_the_commands_after_it_and_not_those_before() {
    let plan = plan("FROM plain\nRUN a\nARG X=1\nARG UNSET\nRUN b\n");
    let env = |at: usize| match &plan.stages[0].steps[at].action {
        Action::Run(run) => run.env.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((env(0), env(3)), (vec!["PATH=/bin".to_owned()], vec!["PATH=/bin".to_owned(), "X=1".to_owned()]));
}
