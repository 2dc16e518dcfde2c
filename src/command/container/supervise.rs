//! The hidden command that a container's supervisor is started as.

use crate::hand::{Failure, Hand, told};
use clap::Args;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of the supervisor.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the container
    id: String,
}

/// Runs the supervisor; standard input is the socket of whoever started it.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let socket = std::io::stdin().as_fd().try_clone_to_owned();
        let socket = socket.map_err(|error| Failure::from(format!("taking the socket: {error}")))?;
        let hand = Hand::open(data_dir)?;
        let (containers, sandbox) = (hand.containers()?, hand.sandbox()?);
        container::supervise(&containers, &hand.store, sandbox, &arguments.id, UnixStream::from(socket))?;
        Ok(ExitCode::SUCCESS)
    })
}
