//! Whatever bytes come, nothing panics, nothing takes long, nothing grows without a bound.

use dockerfile::plan::{BaseImages, Lint, Plan, Scope, Settings};
use dockerfile::{Dockerfile, expand::Expander};
use proptest::prelude::*;
use registry_client::{Platform, Reference};
use std::time::{Duration, Instant};

/// Longest time that one input may take; without optimisation and beside other work everything takes longer.
const LIMIT: Duration = if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_secs(1) };

fn in_time<T>(what: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = what();
    let took = began.elapsed();
    assert!(took < LIMIT, "it took {took:?}");
    result
}

/// Words and signs that mean something in a Dockerfile, in any order.
fn dockerfile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(FROM|RUN|COPY|ADD|ENV|ARG|LABEL|CMD|ENTRYPOINT|WORKDIR|USER|VOLUME|EXPOSE|HEALTHCHECK|SHELL|ONBUILD|STOPSIGNAL|from|rUN)",
        "(scratch|a|b|AS|as|/x|\\.|\\*|80|80-90/udp|NONE|--from=a|--from=0|--link|--chown=1:2|--chmod=u\\+x|--interval=1s|--platform=\\$TARGETPLATFORM)",
        "(--mount=type=(bind|cache|secret|ssh|tmpfs)(,(target|source|id|from|size|mode)=[a-z0-9/$]{0,5}){0,3})",
        "(<<E|<<-'E'|<<\"E\"|\nE\n|\nE|<<A <<B)",
        "(\\$A|\\$\\{A\\}|\\$\\{A:-b\\}|\\$\\{A#\\*b\\}|\\$\\{A//a/b\\}|\\$\\{|A=b|A=\"b c\"|'|\"|\\\\|`)",
        "(\\[\"a\", \"b\"\\]|\\[|\\]|\\{\\}|#|# check=skip=all|# escape=`|# syntax=x|;)",
        "( |\t|\n|\r\n|\\\\\n|\u{feff}|\u{e9}|\u{0})",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| format!("FROM scratch AS a\n{}", pieces.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_dockerfile_is_parsed_and_planned_or_refused(text in dockerfile()) {
        in_time(|| {
            if let Ok(file) = Dockerfile::parse(text.as_bytes()) {
                let settings = Settings::new(Platform::host());
                if let Ok(lint) = Lint::new(&file, &settings) {
                    let _ = Plan::for_file(&file, &settings, &BaseImages::new(), Scope::All, &lint);
                }
            }
        });
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        in_time(|| drop(Dockerfile::parse(&text)));
    }

    #[test]
    fn any_word_is_expanded_or_refused(word in "([$a{}:#%/*?'\"\\\\+ -]|\\$\\{a|[a-z]|\u{e9}){0,200}") {
        let lookup = |name: &str| (name != "b").then(|| "value\n".repeat(50));
        for escape in ['\\', '`'] {
            if let Ok(expanded) = in_time(|| Expander::new(escape).word(&word, &lookup)) {
                prop_assert!(expanded.text.len() <= 2 * 1024 * 1024);
            }
        }
    }

    #[test]
    fn any_reference_is_parsed_or_refused(text in "([a-zA-Z0-9./:@_-]|sha256:|\u{e9}){0,300}") {
        if let Ok(reference) = in_time(|| Reference::parse(&text)) {
            // A reference that was accepted is accepted again, and means the same.
            prop_assert_eq!(Reference::parse(&reference.to_string()).ok(), Some(reference));
        }
    }
}

/// Patterns for which a matcher that goes back may go back for ever.
#[test]
fn patterns_that_are_slow_elsewhere_are_not_slow_here() {
    let stars = "*a".repeat(2000);
    let value = "a".repeat(100_000);
    let lookup = |_: &str| Some(value.clone());
    for word in [format!("${{v##{stars}b}}"), format!("${{v//{stars}b/x}}"), format!("${{v%%b{stars}}}")] {
        let error = in_time(|| Expander::new('\\').word(&word, &lookup)).unwrap_err();
        assert_eq!(error.to_string(), "its patterns have too much to look at");
    }
    assert!(in_time(|| Expander::new('\\').word("${v//a*a/x}", &lookup)).is_ok());
}
