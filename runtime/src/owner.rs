//! Gives the state directory of an ordinary account to the sandbox's ids, which the account itself may not do.
//!
//! In a user namespace that has both, the one may pass it on to the other.

use crate::Error;
use nix::sched::{CloneFlags, unshare};
use std::io::{Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Name by which the program knows that it passes a directory on.
pub(crate) const OWNER: &str = "slipway-owner";

/// Gives `directory` to the first ids of the sandbox; `map_ids` gives the process that does it both kinds of ids.
pub(crate) fn give_away(directory: &Path, map_ids: impl FnOnce(u32) -> Result<(), Error>) -> Result<(), Error> {
    let doing = || format!("giving `{}` to the ids of the sandbox", directory.display());
    let mut helper = Command::new("/proc/self/exe")
        .arg0(OWNER)
        .process_group(0)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::system(doing()))?;
    let (input, output) = (helper.stdin.take(), helper.stdout.take());
    let mapped = (|| {
        let ready = output.map(|mut output| output.read(&mut [0]));
        if !matches!(ready, Some(Ok(1))) {
            return Err(Error::Unsupported("this machine lets slipway make no user namespaces".to_owned()));
        }
        map_ids(helper.id())?;
        input.map_or(Ok(()), |mut input| input.write_all(b"g")).map_err(Error::system(doing()))
    })();
    let status = helper.wait().map_err(Error::system(doing()))?;
    mapped?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Unsupported(format!("{} failed; its message is on standard error", doing()))),
    }
}

/// Passes the current directory on, once it has the ids.
pub(crate) fn take_over() -> ! {
    let passed_on = unshare(CloneFlags::CLONE_NEWUSER).map_err(std::io::Error::from).and_then(|()| {
        let mut output = std::io::stdout();
        output.write_all(b"m")?;
        output.flush()?;
        std::io::stdin().read_exact(&mut [0])?;
        chown(".", Some(1), Some(1))
    });
    if let Err(error) = passed_on {
        eprintln!("slipway: giving the state directory to the ids of the sandbox: {error}");
        std::process::exit(1)
    }
    std::process::exit(0)
}
