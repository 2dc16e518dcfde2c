//! Compares what slipway makes of many Dockerfiles with what BuildKit made of them, where the recorded files are.
//!
//! The folder is `../shared/parser-corpus` beside the project, or what `SLIPWAY_PARSER_CORPUS` says; a folder that is
//! named and missing is an error. The project's own cases are in the crate.

use dockerfile::Dockerfile;
use dockerfile::expand::Expander;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Files where slipway says something else on purpose.
const SUGGESTS_BETTER: &str = "probes/unknown_typo";

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parser-corpus");
    match std::env::var_os("SLIPWAY_PARSER_CORPUS") {
        Some(named) => {
            let named = PathBuf::from(named);
            assert!(named.join("oracle.jsonl").is_file(), "{} holds no oracle.jsonl", named.display());
            Some(named)
        }
        None if beside.join("oracle.jsonl").is_file() => Some(beside),
        None => {
            println!("no recorded files beside the project: nothing is compared");
            None
        }
    }
}

/// The keywords of the instructions and their first lines, in the order of the file.
pub(crate) fn instructions(file: &Dockerfile) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let stages = file.stages.iter().flat_map(|stage| &stage.instructions);
    found.extend(file.global_args.iter().chain(stages).map(|line| (line.keyword.to_uppercase(), line.span.first_line)));
    found.extend(file.stages.iter().map(|stage| ("FROM".to_owned(), stage.span.first_line)));
    found.sort_by_key(|(_, line)| *line);
    found
}

fn heredocs(file: &Dockerfile) -> usize {
    use dockerfile::ast::InstructionKind::{Add, Copy, OnBuild, Run};
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    instructions
        .map(|instruction| match &instruction.kind {
            Add(copy) | Copy(copy) => copy.heredocs.len(),
            Run(run) => run.heredocs.len(),
            OnBuild(text) => usize::from(text.contains("<<") && text.contains('\n')),
            _ => 0,
        })
        .sum()
}

fn compare(place: &Path, oracle: &serde_json::Value) -> Result<(), String> {
    let path = oracle["path"].as_str().unwrap();
    let text = std::fs::read(place.join("files").join(path)).map_err(|error| error.to_string())?;
    let parsed = Dockerfile::parse(&text);
    let wanted = oracle["err"].as_str().unwrap();
    match parsed {
        Err(error) if oracle["instr_ok"] == true => Err(format!("refused: {error}")),
        // BuildKit's tool looks at the text alone: it does not know that a file without bytes is refused before.
        Err(_) if text.is_empty() => Ok(()),
        Err(error) if path == SUGGESTS_BETTER => {
            let unknown = |text: &str| text.split(" (did").next().unwrap().to_owned();
            (unknown(&error.to_string()) == unknown(wanted)).then_some(()).ok_or(error.to_string())
        }
        Err(error) if error.to_string() == wanted => Ok(()),
        Err(error) => Err(format!("says `{error}`, not `{wanted}`")),
        Ok(_) if oracle["instr_ok"] != true => Err(format!("taken; BuildKit says `{wanted}`")),
        Ok(file) => {
            let lines = oracle["lines"].as_array().unwrap().iter().map(|line| line.as_u64().unwrap() as usize);
            let names = oracle["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_uppercase());
            let wanted: Vec<_> = names.zip(lines).collect();
            if instructions(&file) != wanted {
                return Err(format!("{:?} instead of {wanted:?}", instructions(&file)));
            }
            let wanted = oracle["heredocs"].as_u64().unwrap() as usize;
            (heredocs(&file) == wanted).then_some(()).ok_or(format!("{} heredocs, not {wanted}", heredocs(&file)))
        }
    }
}

#[test]
fn every_recorded_file_is_read_as_buildkit_reads_it() {
    let Some(place) = corpus() else { return };
    let oracle = std::fs::read_to_string(place.join("oracle.jsonl")).unwrap();
    let mut different = Vec::new();
    let mut files = 0;
    for line in oracle.lines().filter(|line| !line.is_empty()) {
        let oracle: serde_json::Value = serde_json::from_str(line).unwrap();
        files += 1;
        if let Err(problem) = compare(&place, &oracle) {
            different.push(format!("{}: {problem}", oracle["path"].as_str().unwrap()));
        }
    }
    println!("{files} files, {} different", different.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(files > 200, "only {files} files are recorded");
}

#[test]
fn every_recorded_word_is_expanded_as_buildkit_expands_it() {
    let Some(place) = corpus() else { return };
    let vectors = std::fs::read_to_string(place.join("expand/envVarTest")).unwrap();
    let variables = HashMap::from([("PWD", "/home"), ("SHELL", "bash"), ("KOREAN", "한국어"), ("NULL", "")]);
    let lookup = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let mut words = 0;
    for line in vectors.lines().filter(|line| line.starts_with("A|") || line.starts_with("U|")) {
        let (word, wanted) = line[2..].rsplit_once('|').unwrap();
        let (word, wanted) = (word.trim(), wanted.trim());
        words += 1;
        match Expander::new('\\').word(word, &lookup) {
            Ok(expanded) => assert_eq!(expanded.text, wanted, "{line}"),
            Err(error) => assert_eq!(wanted, "error", "{line}: {error}"),
        }
    }
    assert!(words > 150, "only {words} words are recorded");
}

#[test]
fn every_recorded_line_is_split_as_buildkit_splits_it() {
    let Some(place) = corpus() else { return };
    let vectors = std::fs::read_to_string(place.join("expand/wordsTest")).unwrap();
    let mut variables: HashMap<String, String> = HashMap::new();
    let mut lines = 0;
    for line in vectors.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if let Some((name, value)) = line.strip_prefix("ENV ").and_then(|pair| pair.split_once('=')) {
            variables.insert(name.trim().to_owned(), value.to_owned());
            continue;
        }
        let (text, wanted) = line.split_once(" | ").unwrap();
        lines += 1;
        let lookup = |name: &str| variables.get(name).cloned();
        match Expander::new('\\').word(text, &lookup) {
            Ok(expanded) => {
                let words = expanded.words.join(",");
                assert_eq!(words.trim_end(), wanted.trim_end(), "{line}");
            }
            Err(error) => assert_eq!(wanted.trim(), "error", "{line}: {error}"),
        }
    }
    assert!(lines > 20, "only {lines} lines are recorded");
}
