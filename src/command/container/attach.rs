//! A terminal or pipes of a person, connected to a process of a container.

use crate::hand::Failure;
use container::{Client, Container, Input, Message};
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Bytes that are read at once.
const BLOCK: usize = 32 * 1024;
/// Signals that are passed on, by number: HUP, INT, QUIT, USR1, USR2, TERM.
const PASSED_ON: [i32; 6] = [1, 2, 3, 10, 12, 15];
/// The signal of a terminal whose size has changed.
const WINDOW_CHANGED: i32 = 28;

/// How a process is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether what is typed is passed on.
    pub interactive: bool,
    /// Whether signals are passed on.
    pub signals: bool,
}

/// Fails if a terminal is asked for and there is none.
pub(crate) fn check_terminal(connection: Connection) -> Result<(), Failure> {
    match connection.terminal && connection.interactive && !std::io::stdin().is_terminal() {
        true => Err("the input device is not a TTY".to_owned().into()),
        false => Ok(()),
    }
}

/// Connects to a process of `container` until it ends; returns its exit code.
pub(crate) fn follow(client: &Client, container: &Container, connection: Connection) -> Result<ExitCode, Failure> {
    let input = Arc::new(client.input()?);
    let raw = match connection.terminal && connection.interactive {
        true => runtime::raw_terminal(std::io::stdin()).ok(),
        false => None,
    };
    if connection.interactive {
        let input = input.clone();
        std::thread::spawn(move || pass_typed(&input));
    }
    if connection.signals || connection.terminal {
        let input = input.clone();
        let directory = container.directory.clone();
        std::thread::spawn(move || pass_signals(&input, &directory, connection));
    }
    let ended = print_all(client);
    // The terminal is as it was before anything more is said on it.
    drop(raw);
    ended
}

fn print_all(client: &Client) -> Result<ExitCode, Failure> {
    let (mut output, mut errors) = (std::io::stdout(), std::io::stderr());
    loop {
        match client.receive()? {
            Some(Message::Stdout(bytes)) => {
                // A reader that goes away does not end the container.
                let _ = output.write_all(&bytes).and_then(|()| output.flush());
            }
            Some(Message::Stderr(bytes)) => drop(errors.write_all(&bytes)),
            Some(Message::Warning(text)) => warn(&text),
            Some(Message::Started | Message::Answer(_)) => {}
            Some(Message::Exit(end)) => return exit_code(end.code, &end.error),
            None => {
                return Err(Failure {
                    text: "the supervisor of the container is gone".into(),
                    code: 125,
                    is_missing: false,
                });
            }
        }
    }
}

/// Prints a warning of a supervisor.
pub(crate) fn warn(text: &str) {
    eprintln!("WARNING: {text}");
}

/// Returns the exit code of a process that has ended, or the failure of one that was never started.
pub(crate) fn exit_code(code: i32, error: &str) -> Result<ExitCode, Failure> {
    let shown = u8::try_from(code).unwrap_or(u8::MAX);
    match error {
        "" => Ok(ExitCode::from(shown)),
        error => {
            let text = format!("slipway: Error response from daemon: {error}");
            Err(Failure { text, code: shown, is_missing: false })
        }
    }
}

fn pass_typed(input: &Input) {
    let mut buffer = vec![0; BLOCK];
    loop {
        match std::io::stdin().read(&mut buffer) {
            Ok(0) | Err(_) => {
                let _ = input.end();
                return;
            }
            Ok(got) if input.write(&buffer[..got]).is_err() => return,
            Ok(_) => {}
        }
    }
}

fn pass_signals(input: &Arc<Input>, directory: &Path, connection: Connection) {
    if let Some(size) = runtime::terminal_size(std::io::stdout()).filter(|_| connection.terminal) {
        let _ = input.resize(size);
    }
    let Ok(runtime) = crate::hand::runtime() else { return };
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let passed_on = PASSED_ON.into_iter().filter(|_| connection.signals);
        for number in passed_on.chain(connection.terminal.then_some(WINDOW_CHANGED)) {
            let Ok(mut signals) = signal(SignalKind::from_raw(number)) else { continue };
            let (input, directory) = (input.clone(), directory.to_owned());
            tasks.spawn(async move {
                while signals.recv().await.is_some() {
                    let (input, directory) = (input.clone(), directory.clone());
                    // Both may have to wait for the container.
                    tokio::task::spawn_blocking(move || match number {
                        WINDOW_CHANGED => {
                            runtime::terminal_size(std::io::stdout()).map(|size| input.resize(size));
                        }
                        _ => container::pass_signal(&directory, number),
                    });
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
}
