//! `slipway check`: what a Dockerfile does that it had better not, by BuildKit's rules, without building it.

use super::build;
use builder::{Checked, DockerfileText};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The Dockerfile; `-` reads it from standard input [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Set a build argument; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// Check only what this stage needs [default: all stages]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Give files or an image a name for FROM and --from
    #[arg(long = "build-context", value_name = "NAME=PLACE")]
    contexts: Vec<String>,
    /// How the findings are shown
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A directory, or whatever else `slipway build` takes
    #[arg(default_value = ".")]
    context: String,
}

/// How findings are shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, with the lines of the file.
    #[default]
    Text,
    /// As BuildKit answers `frontend.lint`.
    Json,
}

/// Runs the command.
pub fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    let mut like_a_build = build::Arguments::default();
    like_a_build.max_paths = builder::walk::MAX_PATHS;
    like_a_build.file.clone_from(&arguments.file);
    like_a_build.build_args.clone_from(&arguments.build_args);
    like_a_build.target.clone_from(&arguments.target);
    like_a_build.contexts.clone_from(&arguments.contexts);
    like_a_build.context.clone_from(&arguments.context);
    "default".clone_into(&mut like_a_build.network);
    let (checked, file) = build::check(&like_a_build, data_dir)?;
    show(&checked, &file, arguments.format)
}

/// Prints what was found; the exit code tells whether that is anything.
pub fn show(checked: &Checked, file: &DockerfileText, format: Format) -> Result<ExitCode, String> {
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
