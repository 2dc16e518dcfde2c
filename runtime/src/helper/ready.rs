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

const RTM_NEWROUTE: u16 = 24;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const RTA_DST: u16 = 1;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNREACHABLE: u8 = 7;
const NLMSG_ERROR: u16 = 2;

/// Starts the loopback interface of this network namespace.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an interface request is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call and is of the size that the kernel expects.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
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
    let mut message = Vec::new();
    // Filled in below: length, type, flags, sequence, process.
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWROUTE.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // Family, length of destination and source, service, table, protocol, scope, type, flags.
    message.extend_from_slice(&[family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNREACHABLE, 0, 0, 0, 0]);
    message.extend_from_slice(&(4 + bytes.len() as u16).to_ne_bytes());
    message.extend_from_slice(&RTA_DST.to_ne_bytes());
    message.extend_from_slice(&bytes);
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
