//! The network of an attempt: `pasta` translates between its namespace and this machine, without any privilege in it.

mod closed;
mod keeper;
mod mirrors;

pub use closed::closed;
pub(crate) use keeper::{KEEPER, keep};

use crate::Error;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Where `pasta` may be installed.
const PROGRAMS: [&str; 5] = ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/usr/local/sbin"];
/// Address under which steps find the machine's resolver: reserved, never routed.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// A running `pasta`; it ends when this is dropped or the process dies.
#[derive(Debug)]
pub struct Network {
    keeper: Child,
    /// Closing it ends the keeper.
    pipe: Mutex<Option<ChildStdin>>,
    /// What steps find in `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Network {
    /// Tells what this machine lacks to give steps a network.
    pub fn missing() -> Option<&'static str> {
        if !machine_has_route() {
            return Some("this machine has no network");
        }
        if !PROGRAMS.iter().any(|directory| Path::new(directory).join("pasta").exists()) {
            return Some("`pasta`, which connects steps to the network, is missing: install the package `passt`");
        }
        if !Path::new("/dev/net/tun").exists() || File::options().read(true).write(true).open("/dev/net/tun").is_err() {
            return Some("this account may not open /dev/net/tun, which connects steps to the network");
        }
        None
    }

    /// Connects the namespace of the process `id`.
    ///
    /// Where this machine has no network to give, steps have their loopback only; the reason is returned then.
    pub fn start(id: u32) -> Result<Result<Network, &'static str>, Error> {
        if let Some(missing) = Network::missing() {
            return Ok(Err(missing));
        }
        let mut keeper = Command::new("/proc/self/exe")
            .arg0(KEEPER)
            .process_group(0)
            .arg(id.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::system("starting the network of the sandbox"))?;
        let pipe = Mutex::new(keeper.stdin.take());
        Ok(Ok(Network { keeper, pipe, resolv_conf: resolv_conf() }))
    }

    /// Asks the network to end, and does not wait for it.
    pub fn close(&self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Returns what may help when the network does not come up.
    pub fn said(&self) -> String {
        "steps reach the network through `pasta`: install the package `passt`, and check that /dev/net/tun exists"
            .into()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.close();
        let _ = self.keeper.wait();
    }
}

fn machine_has_route() -> bool {
    let four = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let six = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    four.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"))
        || six.lines().any(|line| line.starts_with("00000000000000000000000000000000 00 ") && !line.ends_with(" lo"))
}

/// Returns the resolver configuration of a step: this machine's search list, and its resolver under the address that
/// pasta translates. The resolver's own address would not do: its answers come back translated, too.
fn resolv_conf() -> String {
    translate(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

fn translate(text: &str) -> String {
    let kept = text.lines().filter(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        matches!(word, "search" | "domain" | "options")
    });
    kept.map(|line| format!("{line}\n")).collect::<String>() + &format!("nameserver {RESOLVER}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_ask_the_translated_resolver() {
        assert_eq!(translate("# x\nnameserver 127.0.0.1\nsearch a.b\n"), "search a.b\nnameserver 192.0.0.8\n");
    }
}
