//! The network of an attempt, in two namespaces: the steps', and an outer one around it.
//!
//! A pair of interfaces joins the two. The outer one forwards what steps send to `pasta`, which translates between it and
//! this machine without any privilege in either. What steps must not reach is closed in the outer one, where packets are
//! looked at by their addresses and no option of a socket counts; a step has no way to it.

mod closed;
mod keeper;
mod limits;
mod mirrors;
mod netlink;
mod pasta;
mod policy;
mod router;
mod sysctl;

pub(crate) use keeper::{KEEPER, keep};

use crate::{Error, NetworkPolicy};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

// Addresses that every sandbox has: reserved, so that no step learns or meets this machine's own, nor its neighbours'.
/// Address of the step.
const STEP: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
/// Address to which the step sends what is for others.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
/// Address under which steps find the machine's resolver.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// The same of version 6: of the network that is for what is thrown away.
const STEP_6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 2);
/// See above.
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Address of `pasta` on its interface.
const PASTA_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A running `pasta`; it ends when this is dropped or the process dies.
#[derive(Debug)]
pub struct Network {
    keeper: Child,
    /// Closing it ends the keeper.
    pipe: Mutex<Option<ChildStdin>>,
    /// Content of a step's `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Network {
    /// Tells what this machine lacks to give steps a network.
    pub fn missing() -> Option<&'static str> {
        if !machine_has_route() {
            return Some("this machine has no network");
        }
        if pasta::find().is_none() {
            return Some("`pasta`, which connects steps to the network, is missing: install the package `passt`");
        }
        if File::options().read(true).write(true).open(pasta::TUN).is_err() {
            return Some("this account may not open /dev/net/tun, which connects steps to the network");
        }
        None
    }

    /// Connects the namespaces of the process `id`; returns when steps can use the network.
    ///
    /// Where this machine has no network to give, steps have their loopback only; the reason is returned then.
    pub fn start(id: u32, policy: &NetworkPolicy) -> Result<Result<Network, &'static str>, Error> {
        if let Some(missing) = Network::missing() {
            return Ok(Err(missing));
        }
        let doing = "starting the network of the sandbox";
        let mut keeper = Command::new("/proc/self/exe")
            .arg0(KEEPER)
            .process_group(0)
            .arg(id.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::system(doing))?;
        let (pipe, answer) = (Mutex::new(keeper.stdin.take()), keeper.stdout.take());
        let network = Network { keeper, pipe, resolv_conf: resolv_conf() };
        // Names are looked up while the namespace is made.
        let closed = network.tell(&closed::closed(policy));
        let mut said = String::new();
        answer.map(|mut answer| answer.read_to_string(&mut said)).transpose().map_err(Error::system(doing))?;
        match said.as_str() {
            keeper::READY => Ok(Ok(network)),
            // A keeper that gives up reads no list: its own reason says more.
            "" => closed.map_err(Error::system(doing)).and(Err(Error::Inside("starting the network".to_owned()))),
            reason => Err(Error::Unsupported(format!("steps have no network: {reason}"))),
        }
    }

    /// Tells the router what is closed.
    fn tell(&self, closed: &[netlink::Net]) -> io::Result<()> {
        let text = serde_json::to_vec(closed)?;
        match self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(pipe) => pipe.write_all(&[&(text.len() as u32).to_le_bytes()[..], &text].concat()),
            None => Ok(()),
        }
    }

    /// Tells whether the network has ended although nobody asked it to.
    pub fn has_ended(&self) -> bool {
        let keeper = Id::Pid(Pid::from_raw(self.keeper.id() as i32));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(keeper, flags), Ok(WaitStatus::StillAlive))
    }

    /// Asks the network to end, and does not wait for it.
    pub fn close(&self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
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
