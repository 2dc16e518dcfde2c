//! The network of an attempt: `pasta` translates between its namespace and this machine, without any privilege in it.

use crate::{Error, NetworkPolicy};
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Name by which the program knows that it keeps a network.
pub(crate) const KEEPER: &str = "slipway-network";
/// Address under which steps find the machine's resolver: reserved, never routed.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// Looks at a started `pasta`, 5 ms apart, before it is taken to run.
const SETTLING: u32 = 40;

/// A running `pasta`; it ends when this is dropped or the process dies.
#[derive(Debug)]
pub struct Network {
    keeper: Child,
    /// Closing it ends the keeper.
    pipe: Option<ChildStdin>,
    /// What steps find in `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Network {
    /// Connects the namespace of the process `id`.
    ///
    /// Where this machine has no network to give, steps have their loopback only; the reason is returned then.
    pub fn start(id: u32) -> Result<Result<Network, &'static str>, Error> {
        if !machine_has_route() {
            return Ok(Err("this machine has no network"));
        }
        if !Path::new("/dev/net/tun").exists() || File::options().read(true).write(true).open("/dev/net/tun").is_err() {
            return Ok(Err("this account may not open /dev/net/tun, which connects steps to the network"));
        }
        let mut keeper = Command::new("/proc/self/exe")
            .arg0(KEEPER)
            .arg(id.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::system("starting the network of the sandbox"))?;
        let pipe = keeper.stdin.take();
        Ok(Ok(Network { keeper, pipe, resolv_conf: resolv_conf() }))
    }

    /// Returns what may help when the network does not come up.
    pub fn said(&self) -> String {
        "steps reach the network through `pasta`: install the package `passt`, and check that /dev/net/tun exists"
            .into()
    }

    /// Returns the networks that steps must not reach: this machine's own addresses, link-local ones, metadata services.
    pub fn closed(policy: &NetworkPolicy) -> Vec<(IpAddr, u8)> {
        let mut closed: Vec<(IpAddr, u8)> = vec![(Ipv4Addr::new(169, 254, 0, 0).into(), 16)];
        for address in own_addresses() {
            closed.push((address, if address.is_ipv4() { 32 } else { 128 }));
        }
        if !policy.private {
            let private = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([100, 64, 0, 0], 10)];
            closed.extend(private.map(|(address, prefix)| (IpAddr::from(address), prefix)));
            closed.push((Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7));
        }
        closed
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.keeper.wait();
    }
}

/// Keeps `pasta` running until the pipe from the process that wants it closes, however that process ends.
pub(crate) fn keep() -> ! {
    let id = std::env::args().nth(1).unwrap_or_default();
    // Whatever the caller left open, neither the keeper nor pasta shall hold it.
    let _ = crate::helper::close_from(3);
    let namespaces = ["user", "net"].map(|kind| format!("/proc/{id}/ns/{kind}"));
    // Old versions may not look at the namespaces of other ids, new ones close what they inherit: one of both works.
    let handles = namespaces.clone().map(|path| inherited(&path));
    let by_handle = handles.each_ref().map(|handle| match handle {
        Ok(handle) => format!("/proc/self/fd/{}", handle.as_raw_fd()),
        Err(_) => String::new(),
    });
    let mut pasta = None;
    for [user, net] in [by_handle, namespaces] {
        let Ok(mut started) = pasta_command(&user, &net).spawn() else { continue };
        if wait_briefly(&mut started) {
            pasta = Some(started);
            break;
        }
    }
    let _ = io::stdin().read(&mut [0]);
    if let Some(mut pasta) = pasta {
        let _ = pasta.kill();
        let _ = pasta.wait();
    }
    std::process::exit(0)
}

/// Opens a file so that programs started from here have it too.
fn inherited(path: &str) -> io::Result<File> {
    let file = File::open(path)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

fn pasta_command(user: &str, net: &str) -> Command {
    let mut command = Command::new("pasta");
    command
        .args(["--foreground", "--config-net", "--no-map-gw", "--quiet"])
        .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
        .args(["--dns-forward", &RESOLVER.to_string()])
        .args(["--userns", user, "--netns", net])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // As root it would become `nobody`, who may not configure the namespace.
    if nix::unistd::geteuid().is_root() {
        command.args(["--runas", "0"]);
    }
    command
}

/// Tells whether the program still runs after the time in which it would have refused its arguments.
fn wait_briefly(program: &mut Child) -> bool {
    for _ in 0..SETTLING {
        match program.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            _ => return false,
        }
    }
    true
}

fn machine_has_route() -> bool {
    let four = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let six = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    four.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"))
        || six.lines().any(|line| line.starts_with("00000000000000000000000000000000 00 ") && !line.ends_with(" lo"))
}

fn own_addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
    });
    addresses.filter(|address| !address.is_loopback()).collect()
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
