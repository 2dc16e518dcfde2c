//! Two other parsers of Dockerfiles: where they agree with each other, slipway agrees with them.

use dockerfile::Dockerfile;
use proptest::prelude::*;

/// The reading of a file by a parser: the keywords in order, or `None` if it is refused.
type Opinion = Option<Vec<String>>;

/// Files that both others see in another way than BuildKit, whose way is slipway's; with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("FROM a\nCMD\n", "BuildKit gives an empty line to the shell"),
    ("FROM a\nRUN\n", "BuildKit gives an empty line to the shell"),
    ("FROM a\nENTRYPOINT\n", "BuildKit gives an empty line to the shell"),
    ("FROM a\nCMD --help\n", "BuildKit takes it for a flag, and there is none of that name"),
    ("FROM a\nCOPY --bogus=1 a b\n", "BuildKit knows which flags there are"),
    ("FROM a\nHEALTHCHECK FOO\n", "BuildKit knows which kinds there are"),
    ("FROM a AS 1x\n", "BuildKit looks at the names of stages"),
    ("FROM a\nSHELL sh\n", "BuildKit takes words in JSON alone"),
    ("FROM a\nEXPOSE\n", "BuildKit wants a port"),
    ("FROM a\nONBUILD FROM b\n", "BuildKit looks at what is triggered"),
];

fn ours(text: &str) -> Opinion {
    let file = Dockerfile::parse(text.as_bytes()).ok()?;
    Some(super::corpus::instructions(&file).into_iter().map(|(keyword, _)| keyword).collect())
}

fn first(text: &str) -> Opinion {
    use dockerfile_parser::Instruction::{Arg, Cmd, Copy, Entrypoint, Env, From, Label, Misc, Run};
    let file = dockerfile_parser::Dockerfile::parse(text).ok()?;
    let keyword = |instruction: &dockerfile_parser::Instruction| match instruction {
        From(_) => "FROM".to_owned(),
        Arg(_) => "ARG".to_owned(),
        Label(_) => "LABEL".to_owned(),
        Run(_) => "RUN".to_owned(),
        Entrypoint(_) => "ENTRYPOINT".to_owned(),
        Cmd(_) => "CMD".to_owned(),
        Copy(_) => "COPY".to_owned(),
        Env(_) => "ENV".to_owned(),
        Misc(misc) => misc.instruction.content.to_uppercase(),
    };
    Some(file.instructions.iter().map(keyword).collect())
}

fn second(text: &str) -> Opinion {
    let file = parse_dockerfile::parse(text).ok()?;
    let keyword = |instruction: &parse_dockerfile::Instruction<'_>| {
        // The names of its variants are the keywords.
        let shown = format!("{instruction:?}");
        shown.split(['(', ' ', '{']).next().unwrap_or_default().to_uppercase()
    };
    Some(file.instructions.iter().map(keyword).collect())
}

/// Returns what is wrong if both others agree and slipway does not.
fn difference(text: &str) -> Option<String> {
    let (one, other, own) = (first(text), second(text), ours(text));
    (one == other && one != own).then(|| format!("{text:?}: the others say {one:?}, slipway {own:?}"))
}

#[test]
fn where_two_others_agree_slipway_agrees_with_them() {
    let mut agreed = 0;
    for text in [
        "FROM a\n",
        "FROM a AS b\nFROM b\n",
        "FROM --platform=linux/amd64 a:1@sha256:0123456789012345678901234567890123456789012345678901234567890123 AS b\n",
        "ARG A=1\nFROM a:$A\nARG A\n",
        "FROM a\nRUN x && \\\n    y\n",
        "FROM a\nRUN x && \\\n    # a comment\n    y\n",
        "FROM a\n\n# comment\n\nRUN [\"a\", \"b\"]\nCMD [\"c\"]\n",
        "FROM a\nENV a=1 b=\"2 3\" c='4'\nENV d e f\n",
        "FROM a\nLABEL a=b \"c d\"=\"e f\"\n",
        "FROM a\nCOPY --from=b --chown=1:1 a b /c/\nADD x /y\n",
        "FROM a\nWORKDIR /a b\nUSER u:g\nEXPOSE 80 81/udp\nVOLUME /a /b\nVOLUME [\"/c\"]\n",
        "FROM a\nHEALTHCHECK --interval=5s CMD x\nSTOPSIGNAL TERM\nSHELL [\"/bin/x\"]\n",
        "FROM a\nONBUILD RUN x\nMAINTAINER me\nENTRYPOINT x y\n",
        "from a\nrun x\n",
        "FROM a\nRNU x\n",
        "RUN x\n",
        "",
        "# only a comment\n",
        "FROM\n",
        "FROM a\nENV a\n",
        "FROM a\nCOPY a\n",
    ] {
        assert_eq!(difference(text), None);
        agreed += usize::from(first(text) == second(text));
    }
    assert!(agreed > 12, "the others agree on {agreed} files only: nothing is compared");
}

#[test]
fn exceptions_are_exceptions() {
    for (text, reason) in EXCEPTIONS {
        println!("{text:?}: {reason}; the others: {:?} {:?}", first(text).is_some(), second(text).is_some());
        let opinion = ours(text).is_some();
        assert_eq!(opinion, reason.contains("to the shell"), "{text:?}: {reason}");
    }
}

/// Lines as people write them.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "FROM [a-z]{1,4}(:[a-z0-9]{1,3})?( AS [a-z]{1,4})?",
        "RUN [a-z ]{1,10}[a-z]( && \\\\\n  [a-z]{1,5}){0,2}",
        "RUN \\[\"[a-z]{1,3}\", \"[a-z $]{0,5}\"\\]",
        "(COPY|ADD) (--chown=[0-9]{1,2} )?[a-z/]{1,5} [a-z*]{1,4} /[a-z]{0,4}/",
        "ENV [A-Z]{1,3}=[a-z$]{0,3}( [A-Z]{1,3}=\"[a-z ]{0,5}\"){0,2}",
        "ARG [A-Z]{1,3}(=[a-z]{0,3})?",
        "LABEL [a-z.]{1,5}=[a-z]{1,3}",
        "WORKDIR /[a-z]{0,5}",
        "USER [a-z0-9]{1,4}",
        "EXPOSE [0-9]{2,4}",
        "(CMD|ENTRYPOINT) (\\[\"[a-z]{1,3}\"\\]|[a-z]{1,5} [a-z]{1,5})",
        "# [a-z ]{0,10}",
        "",
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| format!("FROM a\n{}\n", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn they_agree_on_what_people_write(text in lines()) {
        prop_assert_eq!(difference(&text), None);
    }
}
