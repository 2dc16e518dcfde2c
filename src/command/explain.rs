//! `slipway explain`: why the steps of a build were executed or taken from the cache.

use crate::client::{Connection, build_id, encoded, print_json, read};
use clap::Args;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::comparison::ExplanationView;

/// Columns that the output keeps to.
const WIDTH: usize = 80;
/// Columns before a reason.
const INDENT: usize = 6;

/// Arguments of `slipway explain`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The build: its id, namespace/name#number, or namespace/name for the newest
    build: String,
    /// The build to compare with [default: the newest earlier one of the same rule that succeeded]
    #[arg(long, value_name = "BUILD")]
    against: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, &arguments.build)?;
    let mut path = format!("/v1/builds/{id}/explain");
    if let Some(against) = &arguments.against {
        path.push_str(&format!("?against={}", encoded(&build_id(&api, against)?)));
    }
    let answer = api.get(&path)?;
    if arguments.connection.json {
        print_json(&answer);
    } else {
        print(&read(&answer)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(explanation: &ExplanationView) {
    let build = sanitize(&explanation.build);
    match &explanation.against {
        Some(against) => println!("{build}\n  compared with {}", sanitize(against)),
        None => println!("{build}"),
    }
    for note in &explanation.notes {
        println!("{}", wrapped(&format!("note: {}", sanitize(note)), 2).join("\n"));
    }
    println!();
    for step in &explanation.steps {
        let was = sanitize(&step.was).replace('_', " ");
        let head = format!("{:>4}  {was:<11} ", step.n);
        let room = WIDTH - head.chars().count();
        println!("{head}{}", shortened(&sanitize(&step.instruction), room));
        for why in step.why.iter().filter(|why| why.code() != "same") {
            println!("{}", wrapped(&sanitize(&why.message), INDENT).join("\n"));
        }
    }
    println!("\n{}", wrapped(&sanitize(&explanation.summary), 0).join("\n"));
}

fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// Returns a text as lines that keep to the width, all indented; a word that is longer has a line of its own.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{:indent$}{word}", "")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_to_the_width() {
        let lines = wrapped(&"word ".repeat(60), INDENT);
        assert!(lines.len() > 3 && lines.iter().all(|line| line.len() <= WIDTH && line.starts_with("      word")));
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
