//! How statements read: the names of states come from their types, and rows are read by the names of their columns.

use std::path::{Path, PathBuf};

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("tests") => {}
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

/// Returns the lines of code of the database crate, each with its file; comments and tests are left out.
fn lines() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("database/src"), &mut files);
    assert!(files.len() > 60, "only {} files were found", files.len());
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (file.clone(), line.to_owned())));
    }
    lines
}

/// Tells whether the line has a word in single quotes, as a state in a statement is.
fn has_quoted_word(line: &str) -> bool {
    let parts: Vec<&str> = line.split('\'').collect();
    let is_word = |part: &&str| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    parts.len() > 2 && parts[1..parts.len() - 1].iter().any(is_word)
}

/// Tells whether the line asks something for the value at a number.
fn reads_by_position(line: &str) -> bool {
    let asks = ["row.get(", "row.try_get(", "row.get::<", ".await?.get(", "?.get("];
    asks.iter().flat_map(|asks| line.match_indices(asks)).any(|(at, asks)| {
        let rest = &line[at + asks.len()..];
        let argument = if asks.ends_with('<') { rest.split_once(">(").map_or("", |(_, after)| after) } else { rest };
        argument.starts_with(|first: char| first.is_ascii_digit())
    })
}

fn assert_none(rule: &str, is_fault: impl Fn(&str) -> bool) {
    let faults: Vec<_> = lines().into_iter().filter(|(_, line)| is_fault(line)).collect();
    let shown: Vec<_> = faults.iter().map(|(file, line)| format!("{}: {}", file.display(), line.trim())).collect();
    assert!(faults.is_empty(), "{rule}: {} faults\n{}", faults.len(), shown.join("\n"));
}

#[test]
fn statements_name_states_by_their_types() {
    assert!(has_quoted_word("WHERE state = 'queued' AND") && has_quoted_word("IN ('a', 'timed_out')"));
    assert!(!has_quoted_word("fn f(text: &'static str, other: &'static str)") && !has_quoted_word("state = {QUEUED}"));
    assert_none(
        "a state in a statement is a constant of `database::sql::states`, any other word is bound",
        has_quoted_word,
    );
}

#[test]
fn rows_are_read_by_the_names_of_columns() {
    assert!(reads_by_position("row.get(0)?") && reads_by_position("row.get::<Option<String>>(12)?"));
    assert!(
        reads_by_position("sql(doing, text).one(self.read()).await?.get(0)") && !reads_by_position("row.get(\"id\")")
    );
    assert_none("a column is read by its name, which the statement gives it", reads_by_position);
}
