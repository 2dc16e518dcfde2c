//! `slipway stop`, `restart`, `kill`, `wait`, `pause` and `unpause`.

use super::run::started;
use super::start::begin;
use crate::hand::{Failure, Hand, each, told};
use clap::Args;
use container::{Client, Container, Error, Message, Request, Status};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Names of signals, at the place of their numbers.
const SIGNALS: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
];
const KILL: i32 = 9;
/// The first and the last signal that programs are free to use.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Names of containers.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
}

/// Arguments of `slipway stop` and `slipway restart`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
    /// Seconds to wait before a container is ended
    #[arg(short = 't', long = "timeout", visible_alias = "time", value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// The signal that asks the container to end
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
}

/// Arguments of `slipway kill`.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
}

/// Reads a signal: a number, or a name with or without `SIG`.
pub(crate) fn number(text: &str) -> Result<i32, Failure> {
    let name = text.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let known = SIGNALS.iter().skip(1).position(|known| *known == name).and_then(|at| i32::try_from(at + 1).ok());
    let from = |start: &str, sign: char| match name.strip_prefix(start)? {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<i32>().ok().filter(|distance| (0..=30).contains(distance)),
    };
    let real_time = from("RTMIN", '+').map(|distance| RTMIN + distance);
    let real_time = real_time.or(from("RTMAX", '-').map(|distance| RTMAX - distance));
    let number = text.parse::<i32>().ok().filter(|number| (1..=RTMAX).contains(number));
    number.or(known).or(real_time).ok_or_else(|| Failure::from(Error::Invalid(format!("Invalid signal: {text}"))))
}

/// Runs `slipway stop`.
pub(crate) fn stop(arguments: &Stop, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let containers = Hand::open(data_dir)?.containers()?;
        Ok(each(&arguments.containers, |name| {
            end(&containers.find(name)?, arguments)?;
            println!("{name}");
            Ok(())
        }))
    })
}

/// Runs `slipway restart`.
pub(crate) fn restart(arguments: &Stop, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        Ok(each(&arguments.containers, |name| {
            let container = containers.find(name)?;
            if container.record.auto_remove && container.is_running() {
                Client::connect(&container)?.answer(&Request::Keep)?;
            }
            end(&container, arguments)?;
            let container = Container::read(&container.directory)?;
            started(&begin(&hand, &container, false)?)?;
            println!("{name}");
            Ok(())
        }))
    })
}

/// Asks a container to end, and ends it if it has not ended in time.
fn end(container: &Container, arguments: &Stop) -> Result<(), Failure> {
    if !container.is_running() {
        return Ok(());
    }
    let own = Some(container.record.config.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let signal = number(arguments.signal.as_deref().or(own).unwrap_or("TERM"))?;
    if container.state.status == Status::Paused {
        Client::connect(container)?.answer(&Request::Freeze(false))?;
    }
    // The wait begins before the signal is sent, so that no end is missed.
    let waiter = Client::connect(container)?;
    waiter.ask(&Request::Wait)?;
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(waiter.receive()));
    let _ = Client::connect(container)?.answer(&Request::Signal(signal));
    if ended.recv_timeout(Duration::from_secs(arguments.timeout)).is_err() {
        let _ = Client::connect(container).and_then(|client| client.answer(&Request::Signal(KILL)));
        let _ = ended.recv();
    }
    Ok(())
}

/// Runs `slipway kill`.
pub(crate) fn kill(arguments: &Kill, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let signal = number(&arguments.signal)?;
        let containers = Hand::open(data_dir)?.containers()?;
        Ok(each(&arguments.containers, |name| {
            let container = containers.find(name)?;
            let client = Client::connect(&container).map_err(|_| {
                Error::Conflict(format!(
                    "cannot kill container: {name}: container {} is not running",
                    container.record.id
                ))
            })?;
            client.answer(&Request::Signal(signal))?;
            println!("{name}");
            Ok(())
        }))
    })
}

/// Runs `slipway wait`.
pub(crate) fn wait(arguments: &Names, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let containers = Hand::open(data_dir)?.containers()?;
        Ok(each(&arguments.containers, |name| {
            let container = containers.find(name)?;
            let code = match Client::connect(&container) {
                Ok(client) => {
                    client.ask(&Request::Wait)?;
                    match client.receive()? {
                        Some(Message::Exit(end)) => end.code,
                        _ => Container::read(&container.directory)?.state.exit_code,
                    }
                }
                // It has ended, now if not before.
                Err(_) => Container::read(&container.directory)?.state.exit_code,
            };
            println!("{code}");
            Ok(())
        }))
    })
}

/// Runs `slipway pause` and `slipway unpause`.
pub(crate) fn freeze(arguments: &Names, data_dir: Option<PathBuf>, frozen: bool) -> Result<ExitCode, String> {
    told(|| {
        let containers = Hand::open(data_dir)?.containers()?;
        Ok(each(&arguments.containers, |name| {
            let container = containers.find(name)?;
            let is_frozen = container.state.status == Status::Paused;
            if is_frozen == frozen && container.is_running() {
                let state = if frozen { "already" } else { "not" };
                return Err(Error::Conflict(format!("Container {} is {state} paused", container.record.id)).into());
            }
            Client::connect(&container)?.answer(&Request::Freeze(frozen))?;
            println!("{name}");
            Ok(())
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let of = |text: &str| number(text).ok();
        assert_eq!([of("KILL"), of("sigterm"), of("9"), of("WINCH")], [Some(9), Some(15), Some(9), Some(28)]);
        assert_eq!([of("SIGRTMIN"), of("rtmin+3"), of("RTMAX-2"), of("RTMAX")], [34, 37, 62, 64].map(Some));
        assert_eq!([of(""), of("0"), of("65"), of("NOSUCH"), of("RTMIN+31"), of("RTMIN-1")], [None; 6]);
    }
}
