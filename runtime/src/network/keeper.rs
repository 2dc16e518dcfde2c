//! The process that keeps `pasta`: it ends it when whoever wants the network is gone, however that happens.

use super::RESOLVER;
use nix::poll::{PollFd, PollFlags, poll};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};

/// Name by which the program knows that it keeps a network.
pub(crate) const KEEPER: &str = "slipway-network";
/// Looks at a started `pasta` before it is taken to run.
const SETTLING: u32 = 40;
/// Milliseconds between two looks.
const LOOK: u8 = 5;
/// Address, length of the prefix and gateway that every sandbox has: reserved, so that no step learns or meets this
/// machine's own, nor its neighbours'.
const INSIDE: [&str; 3] = ["192.0.0.2", "29", "192.0.0.1"];

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
        .args(["--ns-ifname", "eth0", "--dns-forward", &RESOLVER.to_string()])
        .args(["--address", INSIDE[0], "--netmask", INSIDE[1], "--gateway", INSIDE[2]])
        .args(["--userns", user, "--netns", net])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !public_version_6(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default()) {
        command.arg("--ipv4-only");
    }
    // As root it would become `nobody`, who may not configure the namespace.
    if nix::unistd::geteuid().is_root() {
        command.args(["--runas", "0"]);
    }
    command
}

/// Tells whether the program still runs after the time in which it would have refused its arguments, or when nobody wants
/// it any more.
fn wait_briefly(program: &mut Child) -> bool {
    let input = io::stdin();
    for _ in 0..SETTLING {
        if !matches!(program.try_wait(), Ok(None)) {
            return false;
        }
        let mut wanted = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wanted, LOOK).is_ok_and(|ready| ready > 0) {
            return true;
        }
    }
    true
}

/// Tells whether `if_inet6`, the kernel's list of interfaces, has a public address.
fn public_version_6(if_inet6: &str) -> bool {
    if_inet6.lines().any(|line| line.starts_with(['2', '3']))
}

#[cfg(test)]
mod tests {
    use super::public_version_6;

    #[test]
    fn only_public_addresses_of_version_6_count() {
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let local = "fe8000000000000000fc00fffe000001 02 40 20 80     eth0\nfd000000000000000000000000000002 02 40 00 80 eth0\n";
        assert!(!public_version_6(&format!("{loopback}{local}")));
        assert!(public_version_6(&format!("{loopback}20010db8000000000000000000000001 02 40 00 80 eth0\n")));
    }
}
