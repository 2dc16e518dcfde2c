//! The network inside: the loopback interface, waiting for the route outside, routes that lead nowhere.

use crate::error::Trouble;
use crate::protocol::{Answer, Closed};
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the network may take to come up; it usually takes 20 ms.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Where mail is delivered: no build does that, but those who want to send spam from elsewhere.
const MAIL: u16 = 25;

const RTM_NEWROUTE: u16 = 24;
const RTM_NEWRULE: u16 = 32;
const FR_ACT_UNREACHABLE: u8 = 7;
const FRA_PRIORITY: u16 = 6;
const FRA_IP_PROTO: u16 = 22;
const FRA_DPORT_RANGE: u16 = 24;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const RTA_DST: u16 = 1;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNREACHABLE: u8 = 7;
const NLMSG_ERROR: u16 = 2;

/// Starts the loopback interface of this network namespace, and lets everybody use `ping`.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an interface request is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call and is of the size that the kernel expects.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Whoever wants to may ask for echoes: `ping` works without a capability. Where there are fewer ids, the kernel refuses
    // the larger range; it is no error if it refuses both.
    let range = "/proc/sys/net/ipv4/ping_group_range";
    let _ = fs::write(range, "0 2147483647").or_else(|_| fs::write(range, "0 65535"));
    Ok(())
}

/// Waits until there is a route to the outside, then closes what steps must not reach.
pub fn network(closed: &Closed) -> Answer<()> {
    let deadline = Instant::now() + PATIENCE;
    while !has_route() {
        if Instant::now() > deadline {
            return Err(Trouble::Inside("connecting to the network: there is no route after 5 s".to_owned()));
        }
        std::thread::sleep(LOOK);
    }
    let failed = |error: io::Error| Trouble::Inside(format!("closing routes: {error}"));
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
        .map_err(|error| failed(error.into()))?;
    for (address, prefix) in &closed.networks {
        match close_route(&socket, *address, *prefix) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            // Without version 6 there is nothing to close.
            Err(_) if address.is_ipv6() && !has_ipv6() => {}
            Err(error) => return Err(Trouble::Inside(format!("closing the route to {address}/{prefix}: {error}"))),
        }
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        match close_port(&socket, family as u8, MAIL) {
            Err(_) if family == libc::AF_INET6 && !has_ipv6() => {}
            // Kernels without routing by rules cannot.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            other => other.map_err(|error| Trouble::Inside(format!("closing port {MAIL}: {error}")))?,
        }
    }
    Ok(())
}

fn has_route() -> bool {
    let four = fs::read_to_string("/proc/self/net/route").unwrap_or_default();
    let default = four.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    default || has_ipv6()
}

fn has_ipv6() -> bool {
    let six = fs::read_to_string("/proc/self/net/ipv6_route").unwrap_or_default();
    six.lines().any(|line| line.starts_with("00000000000000000000000000000000 00 ") && !line.ends_with(" lo"))
}

fn close_route(socket: &OwnedFd, address: IpAddr, prefix: u8) -> io::Result<()> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    };
    // Family, length of destination and source, service, table, protocol, scope, type, flags.
    let head = [family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNREACHABLE, 0, 0, 0, 0];
    change(socket, RTM_NEWROUTE, &head, &[(RTA_DST, &bytes)])
}

/// Makes a rule by which nothing is sent to `port` of other machines over TCP.
fn close_port(socket: &OwnedFd, family: u8, port: u16) -> io::Result<()> {
    let head = [family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, FR_ACT_UNREACHABLE, 0, 0, 0, 0];
    let ports = [port.to_ne_bytes(), port.to_ne_bytes()].concat();
    change(
        socket,
        RTM_NEWRULE,
        &head,
        &[(FRA_PRIORITY, &100u32.to_ne_bytes()), (FRA_IP_PROTO, &[libc::IPPROTO_TCP as u8]), (FRA_DPORT_RANGE, &ports)],
    )
}

/// Asks the kernel for a change: a head and attributes.
fn change(socket: &OwnedFd, kind: u16, head: &[u8], attributes: &[(u16, &[u8])]) -> io::Result<()> {
    let mut message = Vec::new();
    // Filled in below: length, type, flags, sequence, process.
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(head);
    for (name, value) in attributes {
        message.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        message.extend_from_slice(&name.to_ne_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let got = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    if got < 20 || u16::from_ne_bytes([answer[4], answer[5]]) != NLMSG_ERROR {
        return Err(io::Error::other("the kernel's answer is not understood"));
    }
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}
