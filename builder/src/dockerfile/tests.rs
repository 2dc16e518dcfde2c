//! Whole files: what they come to, and what is said of those that come to nothing.

use super::*;
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
    assert_eq!(parse("FROM a\nRUN a \\\n\n b").warnings[0].rule, "NoEmptyContinuation");
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
    assert_eq!((copy.from.as_deref(), copy.chown.as_deref(), copy.link), (Some("X"), Some("1:1"), true));
    assert_eq!((copy.excludes.len(), copy.sources.as_slice()), (2, ["--x".to_owned()].as_slice()));
}

// DF-01, DF-05, DF-10, DF-24 and the texts of BuildKit.
#[test]
fn errors_say_what_is_wrong_and_where() {
    for (text, message) in [
        ("", "the Dockerfile cannot be empty"),
        ("# x\n\n", "file with no instructions"),
        ("ARG a", "dockerfile contains no stages to build"),
        ("RUN a\nFROM b", "dockerfile parse error on line 1: no build stage in current context"),
        ("FROM a\nRNU b", "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)"),
        ("FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
        ("FROM a\nCOPY --form=x a b", "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)"),
        (
            "FROM a\nCOPY --link=x a b",
            "dockerfile parse error on line 2: expecting boolean value for flag --link, not: x",
        ),
        ("FROM a\nCOPY --from a b", "dockerfile parse error on line 2: missing a value on flag: --from"),
        ("FROM a\nCOPY --from=a --from=b c d", "dockerfile parse error on line 2: duplicate flag specified: --from"),
        ("FROM a\nSHELL sh", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form"),
        ("FROM a\nCMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("FROM a\nENV a", "ENV must have two arguments"),
        ("FROM a\nENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value"),
        ("FROM a\nONBUILD FROM b", "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"),
        ("# escape=x\nFROM a", "invalid escape token 'x' does not match \\ or `"),
        ("# check=a\n# check=b\nFROM a", "only one check parser directive can be used"),
        (
            "FROM a\nRUN --mount=type=bnd x",
            "dockerfile parse error on line 2: unsupported mount type \"bnd\" (did you mean bind?)",
        ),
        (
            "FROM a\nRUN --mount=bind-propagation=rshared x",
            "dockerfile parse error on line 2: unexpected key 'bind-propagation' in 'bind-propagation=rshared'",
        ),
        ("FROM a\nHEALTHCHECK FOO", "dockerfile parse error on line 2: Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
    ] {
        assert_eq!(refused(text), message);
    }
}

#[test]
fn triggers_are_parsed_when_they_run() {
    let InstructionKind::OnBuild(text) = first("ONBUILD COPY <<E /x\nbody\nE") else { panic!() };
    let instruction = parse_trigger(&text, '\\', Span::default()).unwrap();
    let InstructionKind::Copy(copy) = instruction.kind else { panic!() };
    assert_eq!(copy.heredocs[0].content, "body\n");
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
