//! `slipway exec` and `slipway top`: commands among the processes of a container.

use super::attach::{Connection, check_terminal, follow};
use super::flags::{environment, merge};
use crate::hand::{Hand, Table, told};
use clap::Args;
use container::{Client, ExecRequest, Request, Status};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway exec`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the container
    container: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// Pass on what is typed
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a variable; without a value it is taken from the environment
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Read variables from a file
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<String>,
    /// User of the command
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
}

/// Runs `slipway exec`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let connection = Connection { terminal: arguments.tty, interactive: arguments.interactive, signals: false };
        check_terminal(connection)?;
        let container = Hand::open(data_dir)?.containers()?.find(&arguments.container)?;
        if container.state.status == Status::Paused {
            let text = format!("container {} is paused, unpause the container before exec", container.record.id);
            return Err(container::Error::Conflict(text).into());
        }
        let client = Client::connect(&container)?;
        let config = &container.record.config;
        let mut env = merge(&config.env, &environment(&arguments.env_files, &arguments.env)?);
        if arguments.tty && !env.iter().any(|variable| variable.starts_with("TERM=")) {
            env.push("TERM=xterm".to_owned());
        }
        let cwd = arguments.workdir.clone().unwrap_or_else(|| config.working_dir.clone());
        client.ask(&Request::Exec(ExecRequest {
            argv: arguments.command.clone(),
            env,
            cwd: if cwd.is_empty() { "/".to_owned() } else { cwd },
            user: arguments.user.clone().unwrap_or_else(|| config.user.clone()),
            terminal: arguments.tty,
            interactive: arguments.interactive,
        }))?;
        follow(&client, &container, connection)
    })
}

/// Arguments of `slipway top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Name or id of the container
    container: String,
}

/// Runs `slipway top`.
pub(crate) fn top(arguments: &Top, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let container = Hand::open(data_dir)?.containers()?.find(&arguments.container)?;
        let answer = Client::connect(&container)?.answer(&Request::Processes)?;
        let mut table = Table::new(["PID", "CMD"]);
        for process in answer.as_array().into_iter().flatten() {
            table.row(vec![process[0].to_string(), process[1].as_str().unwrap_or_default().to_owned()]);
        }
        print!("{}", table.text());
        Ok(ExitCode::SUCCESS)
    })
}
