//! The warnings of each rule, and their places.

use super::*;

/// The warnings of a file as `rule line`, and their texts.
fn warnings(text: &str, settings: &Settings) -> Vec<(String, String)> {
    let plan = plan_with(text, settings).unwrap_or_else(|error| panic!("{text}: {}", error));
    plan.warnings
        .iter()
        .map(|warning| (format!("{} {}", warning.rule.name, warning.span.first_line), warning.message.clone()))
        .collect()
}

fn names(text: &str) -> Vec<String> {
    warnings(text, &settings()).into_iter().map(|(name, _)| name).collect()
}

/// Each rule: a file that breaks it once, where, and what is said.
const WARNINGS: &[(&str, &str, &str)] = &[
    // DF-280
    ("FROM plain AS Base\n", "StageNameCasing 1", "Stage name 'Base' should be lowercase"),
    // DF-281
    ("FROM plain as base\n", "FromAsCasing 1", "'as' and 'FROM' keywords' casing do not match"),
    ("from plain AS base\n", "FromAsCasing 1", "'AS' and 'from' keywords' casing do not match"),
    // DF-282
    ("FROM plain\nRUN a \\\n\n  b\n", "NoEmptyContinuation 4", "Empty continuation line"),
    // DF-283
    (
        "FROM plain\nRUN a\nrun b\n",
        "ConsistentInstructionCasing 3",
        "Command 'run' should match the case of the command majority (uppercase)",
    ),
    (
        "from plain\nrun a\nRUN b\n",
        "ConsistentInstructionCasing 3",
        "Command 'RUN' should match the case of the command majority (lowercase)",
    ),
    (
        "FROM plain\nRun a\n",
        "ConsistentInstructionCasing 2",
        "Command 'Run' should match the case of the command majority (uppercase)",
    ),
    // DF-284
    (
        "FROM plain AS b\nFROM scratch AS b\n",
        "DuplicateStageName 2",
        "Duplicate stage name \"b\", stage names should be unique",
    ),
    // DF-285
    (
        "FROM plain AS context\n",
        "ReservedStageName 1",
        "Stage name should not use the same name as reserved stage \"context\"",
    ),
    // DF-286
    (
        "FROM plain\nCMD a\n",
        "JSONArgsRecommended 2",
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
    ),
    (
        "FROM plain\nENTRYPOINT a\n",
        "JSONArgsRecommended 2",
        "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ),
    // DF-287
    (
        "FROM plain\nMAINTAINER me\n",
        "MaintainerDeprecated 2",
        "Maintainer instruction is deprecated in favor of using label",
    ),
    // DF-289
    (
        "FROM plain\nWORKDIR app\nWORKDIR src\n",
        "WorkdirRelativePath 2",
        "Relative workdir \"app\" can have unexpected results if the base image changes",
    ),
    // DF-290
    ("FROM plain\nLABEL a=$NONE\n", "UndefinedVar 2", "Usage of undefined variable '$NONE'"),
    ("FROM plain\nLABEL a=${NONE:-x}\n", "UndefinedVar 2", "Usage of undefined variable '$NONE'"),
    ("FROM plain\nENV NON=$NONE\n", "UndefinedVar 2", "Usage of undefined variable '$NONE'"),
    ("FROM base\nLABEL a=$BASEE\n", "UndefinedVar 2", "Usage of undefined variable '$BASEE' (did you mean $BASE?)"),
    ("FROM plain\nCOPY <<E /\n$NONE\nE\n", "UndefinedVar 2", "Usage of undefined variable '$NONE'"),
    ("FROM plain\nARG A=$NONE\n", "UndefinedVar 2", "Usage of undefined variable '$NONE'"),
    // DF-291
    (
        "FROM plain\nCMD [\"a\"]\nRUN x\nCMD [\"b\"]\n",
        "MultipleInstructionsDisallowed 2",
        "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
    ),
    (
        "FROM plain\nHEALTHCHECK NONE\nHEALTHCHECK CMD b\n",
        "MultipleInstructionsDisallowed 2",
        "Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used",
    ),
    // DF-292
    (
        "FROM plain\nENV a b\n",
        "LegacyKeyValueFormat 2",
        "\"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
    ),
    (
        "FROM plain\nLABEL a b\n",
        "LegacyKeyValueFormat 2",
        "\"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
    ),
    // DF-294
    (
        "FROM --platform=$TARGETPLATFORM plain\n",
        "RedundantTargetPlatform 1",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
    // DF-295, SEC-04
    (
        "FROM plain\nARG API_TOKEN\n",
        "SecretsUsedInArgOrEnv 2",
        "Do not use ARG or ENV instructions for sensitive data (ARG \"API_TOKEN\")",
    ),
    (
        "FROM plain\nENV password=x\n",
        "SecretsUsedInArgOrEnv 2",
        "Do not use ARG or ENV instructions for sensitive data (ENV \"password\")",
    ),
    // DF-300
    (
        "FROM plain\nEXPOSE 80/TCP\n",
        "ExposeProtoCasing 2",
        "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
    ),
    // DF-301
    (
        "FROM plain\nEXPOSE 127.0.0.1:80:80\n",
        "ExposeInvalidFormat 2",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
    ),
    // DF-016, DF-02
    (
        "# syntax=evil/frontend:1\nFROM plain\n",
        "SyntaxNotFollowed 1",
        "the frontend `evil/frontend:1` is not run: slipway reads the Dockerfile itself",
    ),
];

/// Each rule by its name: a file that breaks it once, where, and what is said.
#[test]
fn every_rule_is_applied() {
    for (text, place, said) in WARNINGS {
        assert_eq!(warnings(text, &settings()), [((*place).to_owned(), (*said).to_owned())], "{text}");
    }
}

#[test]
fn what_is_right_is_left_alone() {
    for text in [
        "FROM plain AS base\nRUN a\n",
        "from plain as base\nrun a\n",
        "From plain as base\n# check=skip=ConsistentInstructionCasing\nRUN a",
        "FROM plain\nSHELL [\"/bin/sh\", \"-c\"]\nCMD a\n",
        "FROM plain\nWORKDIR /app\nWORKDIR src\n",
        "FROM plain AS a\nWORKDIR /app\nFROM a\nWORKDIR src\n",
        "FROM plain\nARG A\nLABEL a=$A b=${A:-x} c=${A+y}\nEXPOSE $P\nRUN echo $NONE\n",
        "FROM plain\nENV PUBLIC_KEY=x KEY_FILE=y TOKEN_VERSION=z MONKEY=a\n",
        "FROM plain\nCMD [\"a\"]\nFROM plain\nCMD [\"b\"]\n",
        "# syntax=docker/dockerfile:1\nFROM plain\nEXPOSE 80/udp\n",
        "FROM --platform=$BUILDPLATFORM plain\n",
    ] {
        let found = names(text);
        let odd: Vec<_> = found.iter().filter(|name| !name.starts_with("ConsistentInstructionCasing 1")).collect();
        assert!(odd.is_empty(), "{text}: {odd:?}");
    }
}

// DF-288, DF-296
#[test]
fn arguments_of_from_lines() {
    let args = with_args(&[("VERSIN", "plain"), ("BASE", "plain")]);
    let found = warnings("ARG VERSION=1\nFROM plain$VERSIN\n", &args);
    assert_eq!(
        found,
        [(
            "UndefinedArgInFrom 2".to_owned(),
            "FROM argument 'VERSIN' is not declared (did you mean VERSION?)".to_owned()
        )]
    );
    let found = warnings("ARG BASE\nFROM $BASE\n", &args);
    assert_eq!(
        found,
        [(
            "InvalidDefaultArgInFrom 2".to_owned(),
            "Default value for ARG $BASE results in empty or invalid base image name".to_owned()
        )]
    );
}

// DF-293, DF-297
#[test]
fn platforms() {
    let host = Platform::host();
    let text = format!("FROM --platform={host} plain AS build\n");
    let said = format!("FROM --platform flag should not use constant value \"{host}\"");
    assert_eq!(warnings(&text, &settings()), [("FromPlatformFlagConstDisallowed 1".to_owned(), said)]);
    assert_eq!(names(&format!("FROM --platform={host} plain AS build-{}\n", host.architecture)), [""; 0]);
    let mut images = BaseImages::new();
    let mut other = image(&[], &[]);
    other.architecture = "s390x".into();
    images.insert("other".into(), other);
    let plan = plan_from("FROM other\n", &settings(), &images).unwrap();
    assert_eq!(
        plan.warnings[0].to_string(),
        format!(
            "InvalidBaseImagePlatform: Base image other was pulled with platform \"linux/s390x\", expected \"{host}\" for current build (line 1)"
        )
    );
}

// DF-298
#[test]
fn files_that_the_ignore_file_hides() {
    let with = |ignore: &str| Settings { ignore: Ignore::parse(ignore.as_bytes()).unwrap(), ..settings() };
    let text = "FROM plain\nCOPY a/hidden b /d/\nADD /hidden.txt /e\nCOPY . /all/\nCOPY --from=plain a/hidden /f\n";
    let found = warnings(text, &with("**/hidden\n*.txt\n"));
    assert_eq!(
        found,
        [
            (
                "CopyIgnoredFile 2".to_owned(),
                "Attempting to Copy file \"a/hidden\" that is excluded by .dockerignore".to_owned()
            ),
            (
                "CopyIgnoredFile 3".to_owned(),
                "Attempting to Add file \"hidden.txt\" that is excluded by .dockerignore".to_owned()
            ),
        ]
    );
    assert_eq!(warnings(text, &with("**/hidden\n!b\n")), []);
}

// DF-299
#[test]
fn descriptions_are_looked_at_when_asked_for() {
    let text = "# base what\nARG A\n# A what it is\nARG A\n\n# something\n\nARG B\n# wrong\nFROM plain AS base\n# x\nARG C D\n# check=skip=all\nARG E\n";
    assert_eq!(names(text), [""; 0]);
    let found = warnings(text, &with_args(&[("BUILDKIT_DOCKERFILE_CHECK", "experimental=all")]));
    let said = |place: &str, what: &str| {
        (format!("InvalidDefinitionDescription {place}"), format!("Comment for {what} <description>`"))
    };
    assert_eq!(
        found,
        [
            said("2", "ARG should follow the format: `# A"),
            said("10", "FROM should follow the format: `# base"),
            said("12", "ARG should follow the format: `# <arg_key>"),
        ]
    );
}

// DF-017, DF-018, DF-279
#[test]
fn rules_are_skipped_and_made_errors() {
    let odd = "FROM plain AS Base\nMAINTAINER me\nCMD a\n";
    assert_eq!(names(odd).len(), 3);
    assert_eq!(names(&format!("# check=skip=all\n{odd}")), [""; 0]);
    assert_eq!(names(&format!("# check=skip=StageNameCasing, MaintainerDeprecated\n{odd}")), ["JSONArgsRecommended 4"]);
    let args = with_args(&[("BUILDKIT_DOCKERFILE_CHECK", "skip=JSONArgsRecommended")]);
    let replaced = warnings(&format!("# check=skip=all\n{odd}"), &args);
    assert_eq!(replaced.len(), 2, "the argument replaces the line");
    assert_eq!(names("FROM plain\n# check=skip=JSONArgsRecommended\nCMD a\nENTRYPOINT b\n"), ["JSONArgsRecommended 4"]);
    let violation = |text: &str| plan(text).violation.map(|error| error.to_string());
    assert_eq!(
        violation(&format!("# check=error=true\n{odd}")).as_deref(),
        Some("lint violation found for rules: JSONArgsRecommended, MaintainerDeprecated, StageNameCasing")
    );
    assert_eq!(violation("# check=error=true\nFROM plain\n"), None);
    assert_eq!(violation("# syntax=a/b\n# check=error=true\nFROM plain\n"), None, "the file is not to blame");
    let said = refused("# check=foo=bar\nFROM plain\n");
    assert_eq!(said, "failed to parse check options: invalid check option \"foo\"");
}

// DF-279
#[test]
fn all_stages_are_checked_where_no_target_is_named() {
    let file = Dockerfile::parse(b"FROM plain AS a\nCMD a\nFROM plain\nCMD b\n").unwrap();
    let lint = Lint::default();
    for (scope, expected) in [(Scope::Target, 1), (Scope::All, 2)] {
        Plan::for_file(&file, &settings(), &images(), scope, &lint).unwrap();
        assert_eq!(lint.warnings().len(), expected, "{scope:?}");
    }
}

#[test]
fn nothing_is_said_of_variables_that_an_unknown_base_may_set() {
    let mut images = BaseImages::new();
    images.insert_unknown("far".into());
    let plan = plan_from("FROM far\nLABEL a=$JAVA_HOME\n", &settings(), &images).unwrap();
    assert_eq!(plan.warnings, []);
}
