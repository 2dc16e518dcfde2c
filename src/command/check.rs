//! `slipway check`: what a Dockerfile does that it had better not, by BuildKit's rules, without building it.

use super::build;
use super::findings::{Format, show};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway check`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
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

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
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
