//! Bake files and what they resolve to: a table of small ones, checked against the rules that docker documents.
//!
//! A case begins with `=== NAME`. `--- FILE` begins a file, `--- env` variables, `--- run` the targets and flags, and
//! `--- gives` the targets as JSON, of which the usual context and Dockerfile are left out; `--- fails` a part of the error.

#![allow(clippy::unwrap_used)]

use bake::{Facts, File, Request, Settings, resolve};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A case of the table.
#[derive(Default)]
struct Case {
    place: String,
    request: Request,
    gives: Option<Value>,
    fails: Option<String>,
}

fn settings() -> Settings {
    let built_in = [("BAKE_CMD_CONTEXT", "cwd://"), ("BAKE_LOCAL_PLATFORM", "linux/amd64")];
    Settings {
        built_in: built_in.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        facts: Facts { now: 1_767_323_045, home: "/home/ada".to_owned(), ..Facts::default() },
        ..Settings::default()
    }
}

fn read(file: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for part in text.split("\n=== ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        let mut case = Case { place: format!("{file}: {name}"), ..Case::default() };
        case.request.settings = settings();
        for section in format!("\n{rest}\n").split("\n--- ").skip(1) {
            let (title, text) = section.split_once('\n').unwrap();
            case.take(title, text);
        }
        cases.push(case);
    }
    cases
}

impl Case {
    fn take(&mut self, title: &str, text: &str) {
        let text = text.trim_end_matches('\n');
        match title {
            "env" => {
                let pairs = text.lines().map(|line| line.split_once('=').unwrap());
                self.request.settings.environment =
                    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            }
            "run" => {
                for word in text.split_whitespace() {
                    match word.strip_prefix("--set:") {
                        Some(value) => self.request.overrides.push(value.to_owned()),
                        None => self.request.targets.push(word.to_owned()),
                    }
                }
            }
            ".env" => self.request.dot_env = Some(text.to_owned()),
            "gives" => {
                let json = serde_json::from_str(text);
                self.gives = Some(json.unwrap_or_else(|error| panic!("{}: {error}", self.place)));
            }
            "fails" => self.fails = Some(text.to_owned()),
            name => self.request.files.push(File { name: name.to_owned(), text: format!("{text}\n") }),
        }
    }

    /// Returns what is wrong with the result.
    fn fault(&self) -> Option<String> {
        let found = match resolve(&self.request) {
            Ok(resolved) => Ok(serde_json::from_str::<Value>(&resolved.print()).unwrap()),
            Err(error) => Err(error.to_string()),
        };
        match (found, &self.gives, &self.fails) {
            (Ok(found), Some(wanted), None) => {
                let found = without_defaults(found, wanted.get("group").is_some());
                let wanted = match wanted.get("target") {
                    Some(_) => wanted.clone(),
                    None => json!({ "target": wanted }),
                };
                (found != wanted).then(|| format!("{}\n  gives {found}\n  not   {wanted}", self.place))
            }
            (Err(found), None, Some(wanted)) => (!found.contains(wanted.as_str()))
                .then(|| format!("{}\n  fails with {found}\n  not {wanted}", self.place)),
            (found, ..) => Some(format!("{}: {found:?}", self.place)),
        }
    }
}

/// Leaves out what every target has, and the groups where the case does not name them.
fn without_defaults(mut found: Value, with_groups: bool) -> Value {
    for target in found["target"].as_object_mut().unwrap().values_mut() {
        let target = target.as_object_mut().unwrap();
        target.retain(|key, value| !(key == "context" && value == "." || key == "dockerfile" && value == "Dockerfile"));
    }
    if !with_groups {
        found.as_object_mut().unwrap().remove("group");
    }
    found
}

#[test]
fn files_resolve_as_documented() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut count, mut faults) = (0, Vec::new());
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let cases = read(&path.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(&path).unwrap());
        count += cases.len();
        faults.extend(cases.iter().filter_map(Case::fault));
    }
    assert!(count >= 120, "only {count} cases");
    assert!(faults.is_empty(), "{} of {count} cases\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_text_is_that_of_docker() {
    let text = r#"
group "default" { targets = ["app"] }
target "app" {
  description = "a & b"
  args = { B = "2", A = "$${x}" }
  tags = ["b/app:1", "a/app:1"]
  cache-to = ["type=inline"]
  output = ["type=local,dest=out"]
  no-cache = false
}
"#;
    let files = vec![File { name: "docker-bake.hcl".to_owned(), text: text.to_owned() }];
    let printed = resolve(&Request { files, ..Request::default() }).unwrap().print();
    let expected = r#"{
  "group": {
    "default": {
      "targets": [
        "app"
      ]
    }
  },
  "target": {
    "app": {
      "description": "a \u0026 b",
      "context": ".",
      "dockerfile": "Dockerfile",
      "args": {
        "A": "$${x}",
        "B": "2"
      },
      "tags": [
        "b/app:1",
        "a/app:1"
      ],
      "cache-to": [
        {
          "type": "inline"
        }
      ],
      "output": [
        {
          "dest": "out",
          "type": "local"
        }
      ],
      "no-cache": false
    }
  }
}"#;
    assert_eq!(printed, expected);
}

/// Returns the value of an expression.
fn value_of(expression: &str) -> Result<Value, String> {
    let text = format!("target \"default\" {{\n  args = {{ V = jsonencode({expression}) }}\n}}\n");
    let files = vec![File { name: "docker-bake.hcl".to_owned(), text }];
    let resolved = resolve(&Request { files, settings: settings(), ..Request::default() });
    let resolved = resolved.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&resolved.targets["default"].args["V"]).unwrap())
}

#[test]
fn functions_give_what_is_documented() {
    let table = include_str!("functions.txt");
    let mut faults = Vec::new();
    let mut seen = BTreeMap::<String, usize>::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expression, wanted) = line.rsplit_once(" => ").unwrap();
        *seen.entry(expression.split('(').next().unwrap().to_owned()).or_default() += 1;
        match (value_of(expression), wanted.strip_prefix("error ")) {
            (Ok(found), None) => {
                let wanted: Value = serde_json::from_str(wanted).unwrap_or_else(|error| panic!("{line}: {error}"));
                if found != wanted {
                    faults.push(format!("{expression} is {found}, not {wanted}"));
                }
            }
            (Err(found), Some(wanted)) if found.contains(wanted) => {}
            (found, _) => faults.push(format!("{expression} is {found:?}, not {wanted}")),
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
    assert!(seen.len() >= 100, "only {} functions are tried", seen.len());
}

/// Returns the next of a row of numbers that look like chance.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn damaged_files_are_refused_and_end_nothing() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut state = 1;
    for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        for case in read("case", &std::fs::read_to_string(&path).unwrap()) {
            for _ in 0..8 {
                let mut request = Request { settings: settings(), ..Request::default() };
                for File { name, text } in &case.request.files {
                    let mut chars: Vec<char> = text.chars().collect();
                    for _ in 0..=next(&mut state) % 3 {
                        let (from, to) = (next(&mut state) % chars.len(), next(&mut state) % chars.len());
                        match next(&mut state) % 3 {
                            0 => drop(chars.remove(from)),
                            1 => chars.swap(from, to),
                            _ => chars.insert(to, chars[from]),
                        }
                    }
                    request.files.push(File { name: name.clone(), text: chars.into_iter().collect() });
                }
                request.targets.clone_from(&case.request.targets);
                // Either answer is fine; a panic is not.
                let _ = resolve(&request).map(|resolved| resolved.print());
            }
        }
    }
}
