//! The network of one attempt, as its caller sees it: started on demand, ended when it is dropped.

use super::addresses::RESOLVER;
use super::denied_networks::denied;
use super::netlink::Net;
use super::pasta;
use super::pasta_supervisor::{PASTA_SUPERVISOR, READY};
use crate::{Error, NetworkPolicy};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A running `pasta`; it ends when this is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Network {
    supervisor: Child,
    /// Closing it ends the supervisor.
    pipe: Mutex<Option<ChildStdin>>,
    /// Content of a step's `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Network {
    /// Tells what this machine lacks to give steps a network.
    pub(crate) fn missing() -> Option<&'static str> {
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
    pub(crate) fn start(id: u32, policy: &NetworkPolicy) -> Result<Result<Network, &'static str>, Error> {
        if let Some(missing) = Network::missing() {
            return Ok(Err(missing));
        }
        let doing = "starting the network of the sandbox";
        let mut supervisor = Command::new("/proc/self/exe")
            .arg0(PASTA_SUPERVISOR)
            .process_group(0)
            .arg(id.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::system(doing))?;
        let (pipe, answer) = (Mutex::new(supervisor.stdin.take()), supervisor.stdout.take());
        let network = Network { supervisor, pipe, resolv_conf: resolv_conf() };
        // Names are looked up while the namespace is made.
        let sent = network.send_denied(&denied(policy));
        let mut said = String::new();
        answer.map(|mut answer| answer.read_to_string(&mut said)).transpose().map_err(Error::system(doing))?;
        match said.as_str() {
            READY => Ok(Ok(network)),
            // A supervisor that gives up reads no list: its own reason says more.
            "" => sent.map_err(Error::system(doing)).and(Err(Error::Inside("starting the network".to_owned()))),
            reason => Err(Error::Unsupported(format!("steps have no network: {reason}"))),
        }
    }

    /// Sends the denied networks to the router.
    fn send_denied(&self, denied: &[Net]) -> io::Result<()> {
        let text = serde_json::to_vec(denied)?;
        match self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(pipe) => pipe.write_all(&[&(text.len() as u32).to_le_bytes()[..], &text].concat()),
            None => Ok(()),
        }
    }

    /// Returns whether the network has ended although nobody asked it to.
    pub(crate) fn has_ended(&self) -> bool {
        let supervisor = Id::Pid(Pid::from_raw(self.supervisor.id() as i32));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(supervisor, flags), Ok(WaitStatus::StillAlive))
    }

    /// Asks the network to end, and does not wait for it.
    pub(crate) fn close(&self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.close();
        let _ = self.supervisor.wait();
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
