//! Prints the findings of checks of a Dockerfile.

use builder::Checked;
use clap::ValueEnum;
use dockerfile::DockerfileText;
use std::process::ExitCode;

/// How findings are shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, with the lines of the file.
    #[default]
    Text,
    /// As BuildKit answers `frontend.lint`.
    Json,
}

/// Prints what was found; the exit code tells whether that is anything.
pub(crate) fn show(checked: &Checked, file: &DockerfileText, format: Format) -> Result<ExitCode, String> {
    for reason in &checked.unknown {
        eprintln!("what depends on it is left out: {reason}");
    }
    match format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&checked.json(file));
            println!("{}", json.map_err(|error| format!("writing the findings: {error}"))?);
        }
        Format::Text => println!("{}\n{}", summary(checked), checked.report(file).trim_end()),
    }
    Ok(if checked.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(checked: &Checked) -> String {
    match (&checked.error, checked.warnings.len()) {
        (Some(_), _) => "Check failed: the Dockerfile cannot be built.".to_owned(),
        (None, 0) => "Check complete, no warnings found.".to_owned(),
        (None, 1) => "Check complete, 1 warning has been found!".to_owned(),
        (None, count) => format!("Check complete, {count} warnings have been found!"),
    }
}
