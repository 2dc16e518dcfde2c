//! `docs/` says what the program does: every route and every stable code is there, and none that does not exist.

use crate::support::Site;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use webhook::view::code::{Code, Retry};

/// Directories with the sources of the program that write codes as text. Those of builds are a type, `builder::Code`.
const SOURCES: [&str; 7] =
    ["database/src", "dockerfile/src", "files/src", "registry-client/src", "runtime/src", "src", "webhook/src"];
/// Text before a code where a problem or the end of a build is made.
const MAKERS: [&str; 2] = ["refused(", "Reason { code: "];
/// Words that stand where codes do and are none: log fields, and what the commands say of themselves.
const OTHERS: [&str; 1] = ["x"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(path.as_ref())).unwrap()
}

/// Returns the text of all sources, without their tests.
fn sources() -> Vec<String> {
    let mut directories: Vec<PathBuf> = SOURCES.iter().map(|name| root().join(name)).collect();
    let mut texts = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(path).unwrap();
                texts.push(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned());
            }
        }
    }
    texts
}

/// Returns the literal that `text` begins with, if it is a code.
fn code(text: &str) -> Option<&str> {
    let word = text.trim_start().strip_prefix('"')?.split('"').next()?;
    let is_code = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_code.then_some(word)
}

/// Returns the words in backquotes that may be codes.
fn quoted(text: &str) -> BTreeSet<&str> {
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.split('`').skip(1).step_by(2).filter(is_word).collect()
}

#[test]
fn every_route_is_documented() {
    let (router, documented) = (read("webhook/src/router.rs"), read("docs/api.md"));
    let paths =
        router.split(".route(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let paths: Vec<&str> = paths.filter(|path| !path.ends_with("{token}/")).collect();
    assert!(paths.len() > 30, "{paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !documented.contains(**path)).collect();
    assert!(missing.is_empty(), "docs/api.md does not have {missing:?}");
}

#[test]
fn every_code_is_documented() {
    let (sources, documented) = (sources(), read("docs/api.md"));
    let known = quoted(&documented);
    let mut missing = BTreeSet::new();
    for text in &sources {
        for maker in MAKERS {
            for rest in text.split(maker).skip(1) {
                missing.extend(code(rest).filter(|code| !known.contains(code) && !OTHERS.contains(code)));
            }
        }
        for body in text.split("fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap_or_default();
            let literals = body.split("=> ").skip(1).filter_map(code);
            missing.extend(literals.filter(|code| !known.contains(code) && !OTHERS.contains(code)));
        }
    }
    assert!(missing.is_empty(), "docs/api.md does not have {missing:?}");
}

#[test]
fn codes_of_builds_are_documented_as_their_table_has_them() {
    let documented = read("docs/api.md");
    let section = documented.split_once("## Codes of builds\n").expect("the section is there").1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected = builder::Code::ALL.iter().map(|code| {
        let retried = if code.is_retried() { "yes" } else { "no" };
        format!("| `{code}` | {} | {retried} | {} |", code.fault(), code.meaning())
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
    let texts: BTreeSet<&str> = builder::Code::ALL.iter().map(|code| code.text()).collect();
    assert_eq!(texts.len(), rows.len(), "two codes have one text");
}

#[test]
fn codes_of_problems_are_documented_as_their_table_has_them() {
    let documented = read("docs/api.md");
    let section = documented.split_once("## Codes of errors").expect("the section is there").1;
    let section = section.split_once("\n## ").expect("another section follows").0;
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    let expected = Code::ALL.iter().map(|code| {
        let retry = if code.retry() == Retry::Later { "later" } else { "" };
        format!("| {} | `{}` | {} | {retry} |", code.status().as_u16(), code.as_str(), code.meaning())
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
    let sources = sources();
    let is_made = |code: &&Code| sources.iter().any(|text| text.contains(&format!("Code::{code:?}")));
    let unused: Vec<_> = Code::ALL.iter().filter(|code| !is_made(code)).collect();
    assert!(unused.is_empty(), "no request is answered with {unused:?}");
}

/// Returns the keys of an object, and those of the objects in it as `outer.inner`.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, inner) in value.as_object().into_iter().flatten() {
        found.insert(key.clone());
        let inner = inner.get(0).unwrap_or(inner);
        found.extend(keys(inner).into_iter().map(|below| format!("{key}.{below}")));
    }
    found
}

#[test]
fn a_build_looks_as_it_is_documented() {
    let site = Site::start("");
    site.push_base();
    let files = [("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY a /a\nRUN cat /a > /b\n"), ("a", "1")];
    let id = site.push(&site.commit(&files));
    site.succeeded(&id);
    let documented = read("docs/api.md");
    let example = documented.split("### One build").nth(1).unwrap().split("```json").nth(1).unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    let mut expected = keys(&example);
    // Only while it waits.
    expected.retain(|key| !key.starts_with("queue") && key != "eta_seconds");
    assert_eq!(keys(&site.get(&format!("/v1/builds/{id}"))), expected);
}
