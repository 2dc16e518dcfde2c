//! Services that start at the same moment on the same directory, for the first time or not.

use crate::Test;
use runtime::Settings;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const TESTS: &[Test] = &[("any_number_of_services_start_at_once", at_once)];

/// Names the directory in which this program, started again, is a service that starts: see [`start`].
pub(crate) const STARTER: &str = "SLIPWAY_TEST_STARTER";
/// Services that start together, and how often.
const SERVICES: usize = 8;
const TURNS: usize = 6;

/// Does what a worker does at its start; its end tells how that went.
pub(crate) fn start(directory: &Path) -> ! {
    let tried = Settings::new(directory).and_then(|settings| {
        let table = runtime::self_test(&settings)?;
        runtime::sweep(&settings)?;
        runtime::collect(&settings, std::time::Duration::from_secs(3600))?;
        Ok(table)
    });
    match tried {
        Err(error) => eprintln!("{error}: {:?}", std::error::Error::source(&error)),
        Ok(table) => {
            let missing: Vec<_> = ["namespaces", "seccomp", "overlay", "proc"]
                .into_iter()
                .filter(|name| !table.iter().any(|known| known.name == *name && known.missing.is_none()))
                .collect();
            if missing.is_empty() {
                std::process::exit(0)
            }
            eprintln!("{missing:?} of {table:?}");
        }
    }
    std::process::exit(1)
}

fn at_once() {
    // SEC-m2: with process ids of their own, as in containers, they even have the same ones.
    for apart in [false, true] {
        if apart && !nix::unistd::geteuid().is_root() {
            continue;
        }
        for turn in 0..TURNS {
            let directory = tempfile::tempdir().unwrap();
            let service = |_| -> Child {
                let program = std::env::current_exe().unwrap();
                let mut command = if apart { Command::new("unshare") } else { Command::new(&program) };
                if apart {
                    command.args(["--pid", "--fork", "--mount-proc"]).arg(&program);
                }
                command.env(STARTER, directory.path()).stderr(Stdio::piped()).spawn().unwrap()
            };
            // The second time the directory is there already.
            for time in ["first", "second"] {
                let started: Vec<Child> = (0..SERVICES).map(service).collect();
                for service in started {
                    let output = service.wait_with_output().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "apart: {apart}, turn {turn}, {time} time: {said}");
                }
            }
        }
    }
}
