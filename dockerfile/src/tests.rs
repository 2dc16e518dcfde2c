//! Whole files: what they come to, and what is said of those that come to nothing.

use super::*;
use crate::ast::{Arg, Command, InstructionKind};
use crate::parse::parse_trigger;
use proptest::prelude::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn first(text: &str) -> InstructionKind {
    parse(&format!("FROM a\n{text}")).stages.remove(0).instructions.remove(0).kind
}

fn refused(text: &str) -> String {
    Dockerfile::parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{text:?} was taken")).to_string()
}

#[test]
fn stages_and_their_instructions() {
    let file = parse(
        "# syntax=docker/dockerfile:1\n# escape=`\nARG V=1\nFROM --platform=$P a:$V AS Base\nRUN x `\n  y\n\nfrom base\nCMD [\"z\"]\n",
    );
    assert_eq!(file.escape, '`');
    assert_eq!(file.directives.syntax.as_deref(), Some("docker/dockerfile:1"));
    assert_eq!(file.global_args.len(), 1);
    let [base, last] = file.stages.as_slice() else { panic!() };
    assert_eq!(
        (base.name.as_deref(), base.base.as_str(), base.platform.as_deref()),
        (Some("base"), "a:$V", Some("$P"))
    );
    assert_eq!((base.instructions[0].span.first_line, base.instructions[0].span.last_line), (5, 6));
    assert_eq!(last.base, "base");
    assert_eq!(last.instructions[0].kind, InstructionKind::Cmd(Command::Exec(vec!["z".into()])));
}

#[test]
fn continuations_comments_and_blank_lines() {
    let InstructionKind::Run(run) = first("RUN a \\\n# comment\n  && b \\\n\n  && c") else { panic!() };
    assert_eq!(run.command, Command::Shell("a   && b   && c".into()));
    let InstructionKind::Run(run) = first("RUN wh\\\nat \\\\\nRUN x") else { panic!() };
    assert_eq!(run.command, Command::Shell("what \\\\".into()));
    let file = parse("\u{feff}FROM a\r\nRUN x \\\r\n y\r\n");
    assert_eq!(file.stages[0].instructions[0].original, "RUN x  y");
    assert_eq!(parse("FROM a\nRUN a \\\n\n b").blank_lines, [4]);
}

// E33
#[test]
fn heredocs() {
    let InstructionKind::Copy(copy) = first("COPY <<A <<-\"B\" x /d/\n$a # no\n\\\nA\n\t\tb\n\tB\n") else { panic!() };
    assert_eq!((copy.sources.as_slice(), copy.destination.as_str()), (["x".to_owned()].as_slice(), "/d/"));
    let bodies: Vec<_> = copy.heredocs.iter().map(|heredoc| (heredoc.chomped(), heredoc.expand)).collect();
    assert_eq!(bodies, [("$a # no\n\\\n".to_owned(), true), ("b\n".to_owned(), false)]);
    let InstructionKind::Run(run) = first("RUN <<EOF\nFROM x\nEOF\nRUN y") else { panic!() };
    assert_eq!(run.heredocs[0].content, "FROM x\n");
    let InstructionKind::Run(run) = first("RUN echo <<<EOF") else { panic!() };
    assert!(run.heredocs.is_empty());
    assert_eq!(refused("FROM a\nRUN <<EOF\nx\n"), "unterminated heredoc");
}

#[test]
fn keys_and_values() {
    let pairs = |text: &str| match first(text) {
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => {
            pairs.into_iter().map(|pair| (pair.key, pair.value)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(pairs("ENV a=1 b=\"x y\" c=z\\ w"), [pair("a", "1"), pair("b", "\"x y\""), pair("c", "z\\ w")]);
    assert_eq!(pairs("ENV a  x  y=z"), [pair("a", "x  y=z")]);
    assert_eq!(pairs("LABEL \"a b\"=c"), [pair("\"a b\"", "c")]);
}

#[test]
fn flags_end_at_the_first_other_word() {
    let InstructionKind::Copy(copy) = first("COPY --from=X --chown=\"1:1\" --link --exclude=a --exclude=b -- --x /d")
    else {
        panic!()
    };
    assert_eq!((copy.from.as_deref(), copy.flags.chown.as_deref(), copy.flags.link), (Some("X"), Some("1:1"), true));
    assert_eq!((copy.flags.excludes.len(), copy.sources.as_slice()), (2, ["--x".to_owned()].as_slice()));
}

// DF-003 to DF-011
#[test]
fn lines_are_joined_and_taken_apart() {
    let texts = |text: &str| {
        let file = parse(text);
        file.stages[0].instructions.iter().map(|line| line.original.clone()).collect::<Vec<_>>()
    };
    for (text, expected) in [
        ("FROM a\n\tRUN x\n", vec!["RUN x"]),
        ("FROM a\nRUN x \\\n\ty\n", vec!["RUN x \ty"]),
        ("FROM a\nRUN x # not a comment\n", vec!["RUN x # not a comment"]),
        ("FROM a\nRUN x \\\n  # a comment\n  y\n", vec!["RUN x   y"]),
        ("FROM a\nRUN x \\ \t\n y\n", vec!["RUN x  y"]),
        ("FROM a\nRUN x \\\\\nRUN y\n", vec!["RUN x \\\\", "RUN y"]),
        ("FROM a\nRUN x \\\n\\\n y\n", vec!["RUN x  y"]),
        ("FROM a\nRUN x \\", vec!["RUN x"]),
        ("FROM a\nRUN \\\n\\\n", vec!["RUN"]),
        ("FROM a\nRUN wh\\\nat\n", vec!["RUN what"]),
        ("FROM a\nrUn\t\x0b x\n", vec!["RUN x"]),
        ("\u{feff}FROM a\r\nRUN x \\\r\n y\r\n", vec!["RUN x  y"]),
    ] {
        assert_eq!(texts(text), expected, "{text:?}");
    }
}

// DF-005
#[test]
fn a_line_has_at_most_65535_bytes_and_an_instruction_as_many_as_it_wants() {
    let line = |length: usize| format!("FROM a\nRUN {}\n", "x".repeat(length - 4));
    assert!(Dockerfile::parse(line(65535).as_bytes()).is_ok());
    let error = Dockerfile::parse(line(65536).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "dockerfile line greater than max allowed size of 65535");
    assert_eq!(error.span().first_line, 2);
    let long = format!("FROM a\nRUN x{}\n", "\\\nxxxxxxxxxx".repeat(20_000));
    assert!(Dockerfile::parse(long.as_bytes()).is_ok());
}

// DF-03
#[test]
fn what_is_no_text_is_refused_with_its_reason() {
    assert_eq!(refused(&"#\n".repeat(MAX_SIZE)), "the Dockerfile has 2097152 bytes: at most 1048576 are read");
    let utf16: Vec<u8> = "\u{feff}FROM a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Dockerfile::parse(&utf16).unwrap_err().to_string(), "the Dockerfile is UTF-16: it must be UTF-8");
    assert_eq!(
        refused("FROM a\nRUN x\0y"),
        "dockerfile parse error on line 2: the instruction holds a NUL character: a Dockerfile is text"
    );
    assert!(Dockerfile::parse(b"FROM a\n# \xff\xfe comment\nRUN \xff\n").is_ok());
}

// DF-013 to DF-015
#[test]
fn directives_stand_at_the_very_top() {
    let directives = |text: &str| parse(text).directives;
    let all = directives("# Syntax = a \n#ESCAPE=`\n# check=skip=all\nFROM x\n");
    assert_eq!(
        (all.syntax.as_deref(), all.escape.as_deref(), all.check.as_deref()),
        (Some("a"), Some("`"), Some("skip=all"))
    );
    for late in ["\n# syntax=a\n", "# a comment\n# syntax=a\n", "# unknown=x\n# syntax=a\n", "FROM a\n# syntax=a\n"] {
        assert_eq!(directives(&format!("{late}FROM x\n")).syntax, None, "{late:?}");
    }
    assert_eq!(parse("# escape=`\nFROM a\nRUN x `\n y\\\nRUN z").stages[0].instructions.len(), 2);
}

// DF-017, DF-018
#[test]
fn comments_belong_to_the_instruction_below() {
    let file = parse("FROM a\n# one\n# two\n\nRUN x\n# gone\n#\n# three\nRUN y\nRUN z\n");
    let comments = |index: usize| file.stages[0].instructions[index].comments.clone();
    assert_eq!((comments(0).lines, comments(0).description), (vec!["one".to_owned(), "two".to_owned()], None));
    assert_eq!(comments(1).description.as_deref(), Some("three"));
    assert_eq!(comments(1).lines, ["three"]);
    assert_eq!(comments(2).lines, [""; 0]);
    assert_eq!(parse("# NAME what it is\nARG NAME\nFROM a").global_args[0].comments.about("NAME"), Some("what it is"));
}

// DF-022, DF-023, E28
#[test]
fn forms_of_commands() {
    let shell = |text: &str| Command::Shell(text.to_owned());
    let exec = |words: &[&str]| Command::Exec(words.iter().map(|word| (*word).to_owned()).collect());
    for (text, expected) in [
        ("CMD [\"a\", \"b\"]", exec(&["a", "b"])),
        ("CMD   [ \"a\" , \"b\" ]  ", exec(&["a", "b"])),
        ("CMD []", exec(&[])),
        ("CMD", shell("")),
        ("CMD ['a']", shell("['a']")),
        ("CMD [\"a\"] b", shell("[\"a\"] b")),
        ("CMD [\"a\",]", shell("[\"a\",]")),
        ("CMD [\"a\"", shell("[\"a\"")),
        ("CMD [] x", shell("[] x")),
    ] {
        assert_eq!(first(text), InstructionKind::Cmd(expected), "{text}");
    }
    let InstructionKind::Copy(copy) = first("COPY ['a', 'b'] c") else { panic!() };
    assert_eq!((copy.sources.len(), copy.destination.as_str()), (2, "c"));
    assert_eq!(first("VOLUME [\"/a b\"]"), InstructionKind::Volume(vec!["/a b".into()]));
    assert_eq!(first("VOLUME ['/a'] /b"), InstructionKind::Volume(vec!["['/a']".into(), "/b".into()]));
}

// DF-026, DF-027, DF-031
#[test]
fn words_of_instructions() {
    let InstructionKind::Copy(copy) = first("COPY \"a b\"   c /d") else { panic!() };
    assert_eq!(copy.sources, ["\"a", "b\"", "c"]);
    assert_eq!(first("EXPOSE  80\t 81"), InstructionKind::Expose(vec!["80".into(), "81".into()]));
    assert_eq!(first("WORKDIR a  b "), InstructionKind::Workdir("a  b".into()));
    assert_eq!(first("USER a b"), InstructionKind::User("a b".into()));
    assert_eq!(first("MAINTAINER a <b@c>"), InstructionKind::Maintainer("a <b@c>".into()));
    let arg = |name: &str, value: Option<&str>| Arg { name: name.into(), value: value.map(str::to_owned) };
    assert_eq!(
        first("ARG a b=1 c= d=\"x y\""),
        InstructionKind::Arg(vec![arg("a", None), arg("b", Some("1")), arg("c", Some("")), arg("d", Some("\"x y\""))])
    );
}

// DF-021
#[test]
fn two_instructions_drop_what_looks_like_a_flag() {
    assert_eq!(first("ARG --x a"), InstructionKind::Arg(vec![Arg { name: "a".into(), value: None }]));
    assert_eq!(first("STOPSIGNAL --x TERM"), InstructionKind::StopSignal("TERM".into()));
    for keyword in ["CMD", "ENTRYPOINT", "ENV", "USER", "WORKDIR", "EXPOSE", "VOLUME", "LABEL", "MAINTAINER", "ONBUILD"]
    {
        let said = refused(&format!("FROM a\n{keyword} --help a b\n"));
        assert_eq!(said, "dockerfile parse error on line 2: unknown flag: --help", "{keyword}");
    }
}

// DF-033 to DF-038
#[test]
fn heredocs_where_they_are_allowed() {
    let count = |text: &str| match first(text) {
        InstructionKind::Run(run) => run.heredocs.len(),
        InstructionKind::Copy(copy) | InstructionKind::Add(copy) => copy.heredocs.len(),
        other => panic!("{other:?}"),
    };
    for (text, expected) in [
        ("RUN cat <<A\nx\nA", 1),
        ("RUN cat << A 3<<-B >f\nx\nA\n\ty\n\tB", 2),
        ("ADD <<A /\nx\nA", 1),
        ("RUN [\"cat\", \"<<A\"]", 0),
        ("RUN echo \"<<A\"", 0),
        ("RUN echo x<<A", 0),
        ("RUN echo <<<A", 0),
        ("RUN echo $((1<<2))", 0),
        ("RUN echo '<<A", 0),
    ] {
        assert_eq!(count(text), expected, "{text}");
    }
    let InstructionKind::Run(run) = first("RUN <<E\r\na\r\nE\r\nRUN y") else { panic!() };
    assert_eq!(run.heredocs[0].content, "a\r\n");
    let InstructionKind::Copy(copy) = first("COPY <<E /\n# no comment\n\nRUN x \\\n E\nE") else { panic!() };
    assert_eq!(copy.heredocs[0].content, "# no comment\n\nRUN x \\\n E\n");
    assert_eq!(
        refused("FROM a\nCOPY x <<E\nE\n"),
        "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination"
    );
    assert_eq!(refused("FROM a\nRUN <<E\nx\n E\n"), "unterminated heredoc");
    assert_eq!(first("CMD cat <<E"), InstructionKind::Cmd(Command::Shell("cat <<E".into())));
}

// DF-039
#[test]
fn positions_span_all_lines_of_an_instruction() {
    let file = parse("FROM a\n\n  RUN x \\\n# c\n y\nCOPY <<E /\nbody\nE\nUSER u\n");
    let spans =
        file.stages[0].instructions.iter().map(|line| (line.span.first_line, line.span.last_line, line.span.column));
    assert_eq!(spans.collect::<Vec<_>>(), [(3, 5, 3), (6, 8, 1), (9, 9, 1)]);
}

// DF-224
#[test]
fn triggers_keep_the_text_they_are_written_with() {
    let trigger = |text: &str| match first(text) {
        InstructionKind::OnBuild(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(trigger("ONBUILD RUN a \\\n  b"), "RUN a   b");
    assert_eq!(trigger("ONBUILD  copy  $X /  "), "copy  $X /  ");
    assert_eq!(trigger("ONBUILD COPY <<E /x\nbody\nE\n"), "COPY <<E /x\nbody\nE");
    let parsed = parse_trigger("COPY <<E /x\nbody\nE", Span::default()).unwrap();
    let InstructionKind::Copy(copy) = parsed.kind else { panic!() };
    assert_eq!((copy.heredocs[0].content.as_str(), parsed.is_trigger), ("body\n", true));
    // DF-05
    for (text, said) in [
        ("FROM x", "dockerfile parse error on line 7: FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD RUN x", "dockerfile parse error on line 7: ONBUILD isn't allowed as an ONBUILD trigger"),
        ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
        ("RNU x", "dockerfile parse error on line 7: unknown instruction: RNU (did you mean RUN?)"),
    ] {
        let span = Span { first_line: 7, last_line: 7, column: 1 };
        let error = parse_trigger(text, span).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.span()), (said, span));
    }
}

/// Texts and what is said of them.
const ERRORS: &[(&str, &str)] = &[
    ("", "the Dockerfile cannot be empty"),
    ("# x\n\n", "file with no instructions"),
    ("ARG a", "dockerfile contains no stages to build"),
    ("RUN a\nFROM b", "no build stage in current context"),
    ("FROM a\nRNU b", "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)"),
    ("FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
    ("FROM a\nCOPY --form=x a b", "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)"),
    ("FROM a\nCOPY --link=x a b", "dockerfile parse error on line 2: expecting boolean value for flag --link, not: x"),
    ("FROM a\nCOPY --from a b", "dockerfile parse error on line 2: missing a value on flag: --from"),
    ("FROM a\nCOPY --from=a --from=b c d", "dockerfile parse error on line 2: duplicate flag specified: --from"),
    ("FROM a\nSHELL sh", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form"),
    ("FROM a\nCMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
    ("FROM a\nENV a", "ENV must have two arguments"),
    ("FROM a\nENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value"),
    ("FROM a\nONBUILD FROM b", "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"),
    ("# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\"),
    ("# check=a\n# check=b\nFROM a", "only one check parser directive can be used"),
    ("FROM a\nFROM", "dockerfile parse error on line 2: FROM requires either one or three arguments"),
    ("FROM a of b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
    (
        "FROM a AS 1x",
        "dockerfile parse error on line 1: invalid name for build stage: \"1x\", name can't start with a number or contain symbols",
    ),
    ("FROM --platfrom=x a", "dockerfile parse error on line 1: unknown flag: --platfrom (did you mean platform?)"),
    ("FROM a\nfoo b", "dockerfile parse error on line 2: unknown instruction: foo (did you mean from?)"),
    ("FROM a\nCOPY --link= a b", "dockerfile parse error on line 2: missing a value on flag: --link"),
    ("FROM a\nCOPY --checksum=x a b", "dockerfile parse error on line 2: unknown flag: --checksum"),
    (
        "FROM a\nCOPY --from=$X a b",
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
    ),
    (
        "FROM a\nCOPY a",
        "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    ("FROM a\nENV =x", "dockerfile parse error on line 2: ENV names can not be blank"),
    ("FROM a\nLABEL =x", "dockerfile parse error on line 2: LABEL names can not be blank"),
    ("FROM a\nARG =x", "dockerfile parse error on line 2: ARG names can not be blank"),
    ("FROM a\nENV", "dockerfile parse error on line 2: ENV requires at least one argument"),
    ("FROM a\nARG", "dockerfile parse error on line 2: ARG requires at least one argument"),
    ("FROM a\nONBUILD", "dockerfile parse error on line 2: ONBUILD requires at least one argument"),
    ("FROM a\nVOLUME", "dockerfile parse error on line 2: VOLUME requires at least one argument"),
    ("FROM a\nVOLUME [\" \"]", "dockerfile parse error on line 2: VOLUME specified can not be an empty string"),
    ("FROM a\nWORKDIR", "dockerfile parse error on line 2: WORKDIR requires exactly one argument"),
    ("FROM a\nSHELL []", "dockerfile parse error on line 2: SHELL requires at least one argument"),
    ("FROM a\nSHELL", "dockerfile parse error on line 2: SHELL requires at least one argument"),
    ("FROM a\nONBUILD ENV a", "ENV must have two arguments"),
    (
        "FROM a\nONBUILD ONBUILD RUN x",
        "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ),
    (
        "FROM a\nONBUILD maintainer x",
        "dockerfile parse error on line 2: MAINTAINER isn't allowed as an ONBUILD trigger",
    ),
    ("FROM a\nRUN --network=x y", "dockerfile parse error on line 2: invalid network mode \"x\""),
    ("FROM a\nRUN --security=x y", "dockerfile parse error on line 2: security \"x\" is not valid"),
    (
        "FROM a\nRUN --mount=from=$X x",
        "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead",
    ),
    ("FROM a\nHEALTHCHECK", "dockerfile parse error on line 2: HEALTHCHECK requires at least one argument"),
    ("FROM a\nHEALTHCHECK NONE x", "dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments"),
    ("FROM a\nHEALTHCHECK CMD", "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD"),
    ("FROM a\nHEALTHCHECK CMD []", "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD"),
    ("FROM a\nHEALTHCHECK CMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
    (
        "FROM a\nHEALTHCHECK --interval=1us CMD x",
        "dockerfile parse error on line 2: Interval \"interval\" cannot be less than 1ms",
    ),
    ("FROM a\nHEALTHCHECK --retries=-1 CMD x", "dockerfile parse error on line 2: --retries cannot be negative (-1)"),
    ("FROM a\nHEALTHCHECK --foo=1 CMD x", "dockerfile parse error on line 2: unknown flag: --foo"),
    ("FROM a\nHEALTHCHECK FOO", "dockerfile parse error on line 2: Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
];

// DF-002, DF-012, DF-014, DF-015, DF-020, DF-025, DF-028, DF-030, DF-032, DF-042, DF-071, DF-073, DF-221, DF-303;
// DF-01, DF-05, DF-10, DF-11: the texts are BuildKit's.
#[test]
fn errors_say_what_is_wrong_and_where() {
    for (text, message) in ERRORS {
        assert_eq!(refused(text), *message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Dockerfile::parse(&[b"FROM a\n", text.as_slice()].concat());
    }

    #[test]
    fn no_line_makes_the_parser_panic(line in "(RUN|COPY|ENV|ARG|HEALTHCHECK|EXPOSE|ONBUILD RUN) [-a-z=<>\"'\\\\$\\[\\]{}, \n#]{0,60}") {
        let _ = Dockerfile::parse(format!("FROM a\n{line}\n").as_bytes());
    }

    #[test]
    fn no_word_makes_the_expansion_panic(word in "[$a{}:#%/*?'\"\\\\+-]{0,40}") {
        let _ = expand::Expander::new('\\').word(&word, &|_| Some("value".to_owned()));
    }
}
