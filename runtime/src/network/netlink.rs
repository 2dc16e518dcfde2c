//! Messages to the kernel about links, addresses, routes and rules of the network namespace that a socket was made in.

use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Bytes that one answer of the kernel may have; it sends lists in parts of at most half of that.
const MAX_ANSWER: usize = 64 * 1024;
/// Length of the head of every message, and of that of a route.
const HEAD: usize = 16;
const ROUTE_HEAD: usize = 12;

/// A network: an address in it and the length of its prefix.
pub(crate) type Net = (IpAddr, u8);

/// Returns the number of an address' family and its bytes.
pub(crate) fn address(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// A request that is being put together.
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts a request of this kind to make something; `head` is what the kind begins with.
    pub(crate) fn make(kind: u16, head: &[u8]) -> Self {
        Message::flagged(kind, libc::NLM_F_ACK | libc::NLM_F_CREATE, head)
    }

    /// Starts a request of this kind to remove something.
    pub(crate) fn remove(kind: u16, head: &[u8]) -> Self {
        Message::flagged(kind, libc::NLM_F_ACK, head)
    }

    /// Starts a request with these flags of `NLM_F_…`.
    pub(crate) fn flagged(kind: u16, flags: i32, head: &[u8]) -> Self {
        // Length, which is known at the end, then kind, flags, sequence and process.
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(head);
        Message { bytes }
    }

    /// Adds an attribute.
    pub(crate) fn with(self, name: u16, value: &[u8]) -> Self {
        self.nest(name, |message| message.raw(value))
    }

    /// Adds a number.
    pub(crate) fn number(self, name: u16, value: u32) -> Self {
        self.with(name, &value.to_ne_bytes())
    }

    /// Adds a text as the kernel reads it: with a zero at its end.
    pub(crate) fn text(self, name: u16, value: &str) -> Self {
        self.nest(name, |message| message.raw(value.as_bytes()).raw(&[0]))
    }

    /// Adds an attribute that consists of others.
    pub(crate) fn nest(mut self, name: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&name.to_ne_bytes());
        let mut filled = fill(self);
        let length = (filled.bytes.len() - start) as u16;
        filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled.bytes.resize(filled.bytes.len().next_multiple_of(4), 0);
        filled
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// A socket to the kernel.
pub(crate) struct Netlink {
    socket: OwnedFd,
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Netlink {
    /// Opens a socket that changes links, addresses, routes and rules of this process' network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        Ok(Netlink { socket })
    }

    /// Opens a socket that changes the packet filter of this process' network namespace.
    pub(crate) fn open_netfilter() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Netlink { socket })
    }

    /// Opens a socket that is told of changes; `groups` are those of `RTMGRP_…`.
    pub(crate) fn listen(groups: i32) -> io::Result<Self> {
        let netlink = Netlink::open()?;
        // SAFETY: an address of this family is plain data, for which zeros are valid.
        let mut own: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        own.nl_family = libc::AF_NETLINK as u16;
        own.nl_groups = groups as u32;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the address outlives the call and has the length that is given.
        if unsafe { libc::bind(netlink.socket.as_raw_fd(), (&raw const own).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(netlink)
    }

    /// Asks for a change and waits for the kernel's verdict.
    pub(crate) fn change(&self, message: Message) -> io::Result<()> {
        send(self.socket.as_raw_fd(), &message.finish(), MsgFlags::empty())?;
        let mut answer = [0; 1024];
        let got = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let (kind, body) = messages(&answer[..got]).next().ok_or_else(misunderstood)?;
        if kind != libc::NLMSG_ERROR as u16 {
            return Err(misunderstood());
        }
        verdict(body)
    }

    /// Asks for changes that are made together or not at all; `mark` starts the messages around them.
    pub(crate) fn change_all(&self, changes: Vec<Message>, mark: impl Fn(u16) -> Message) -> io::Result<()> {
        let (begin, end) = (libc::NFNL_MSG_BATCH_BEGIN as u16, libc::NFNL_MSG_BATCH_END as u16);
        let mut left = changes.len();
        let all = std::iter::once(mark(begin)).chain(changes).chain([mark(end)]);
        let batch: Vec<u8> = all.flat_map(Message::finish).collect();
        send(self.socket.as_raw_fd(), &batch, MsgFlags::empty())?;
        let mut answer = vec![0; MAX_ANSWER];
        while left > 0 {
            let got = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            for (_, body) in messages(&answer[..got]) {
                verdict(body)?;
                left = left.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// As `change`, but what is there already is as good as made.
    pub(crate) fn ensure(&self, message: Message) -> io::Result<()> {
        match self.change(message) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Returns the networks that this machine takes for itself: what it delivers to its own programs.
    pub(crate) fn own_networks(&self) -> io::Result<Vec<Net>> {
        let on: libc::c_int = 1;
        // Without it the kernel sends routes of all tables, which may be very many; it sends what is needed all the same.
        // SAFETY: the value outlives the call and has the length that is given.
        unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_GET_STRICT_CHK,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
        let mut found = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let head = [family as u8, 0, 0, 0, libc::RT_TABLE_LOCAL, 0, 0, 0, 0, 0, 0, 0];
            let request = Message::flagged(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &head);
            send(self.socket.as_raw_fd(), &request.finish(), MsgFlags::empty())?;
            while self.part(&mut found)? {}
        }
        Ok(found)
    }

    /// Reads a part of a list of routes; tells whether more follows.
    fn part(&self, found: &mut Vec<Net>) -> io::Result<bool> {
        let mut answer = vec![0; MAX_ANSWER];
        let got = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        for (kind, body) in messages(&answer[..got]) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(false),
                // A kernel without version 6 has no such routes.
                libc::NLMSG_ERROR => return Ok(false),
                _ => found.extend(own_network(kind, body)),
            }
        }
        Ok(got > 0)
    }

    /// Returns the networks that this machine began to take for itself, of all changes that wait to be read; `None` if
    /// some were lost.
    pub(crate) fn own_networks_added(&self) -> io::Result<Option<Vec<Net>>> {
        let (mut answer, mut added) = (vec![0; MAX_ANSWER], Vec::new());
        loop {
            match recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(nix::errno::Errno::EAGAIN) => return Ok(Some(added)),
                Ok(got) => added.extend(messages(&answer[..got]).filter_map(|(kind, body)| own_network(kind, body))),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::ENOBUFS) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn misunderstood() -> io::Error {
    io::Error::other("the kernel's answer is not understood")
}

fn verdict(body: &[u8]) -> io::Result<()> {
    let code = body.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or_else(misunderstood)?;
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) }
}

/// Returns kind and body of each message in what was received.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes([*bytes.get(4)?, *bytes.get(5)?]);
        let body = bytes.get(HEAD..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// Returns the destination of a new route if that is this machine itself, in whatever form: an address, a whole network,
/// a broadcast address, an anycast address.
fn own_network(kind: u16, body: &[u8]) -> Option<Net> {
    let own = [libc::RTN_LOCAL, libc::RTN_BROADCAST, libc::RTN_ANYCAST];
    let (family, prefix, table, of) = (*body.first()?, *body.get(1)?, *body.get(4)?, *body.get(7)?);
    if kind != libc::RTM_NEWROUTE || table != libc::RT_TABLE_LOCAL || !own.contains(&of) {
        return None;
    }
    let mut rest = body.get(ROUTE_HEAD..)?;
    while let [low, high, name_low, name_high, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([name_low, name_high]) == libc::RTA_DST {
            return match i32::from(family) {
                libc::AF_INET => Some((<[u8; 4]>::try_from(value).ok()?.into(), prefix)),
                libc::AF_INET6 => Some((<[u8; 16]>::try_from(value).ok()?.into(), prefix)),
                _ => None,
            };
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_networks_are_those_it_delivers_to_itself() {
        let own = Netlink::open().unwrap().own_networks().unwrap();
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(own.contains(&(loopback, 32)) || own.contains(&(loopback, 8)), "{own:?}");
        assert!(own.iter().all(|(_, prefix)| *prefix > 0), "{own:?}");
    }

    #[test]
    fn attributes_are_padded_and_their_lengths_are_their_own() {
        let message = Message::make(1, &[7; 4]).nest(2, |inner| inner.text(3, "a").number(4, 5)).finish();
        assert_eq!(u32::from_ne_bytes(*message.first_chunk().unwrap()) as usize, message.len());
        let nested = &message[HEAD + 4..];
        assert_eq!(u16::from_ne_bytes([nested[0], nested[1]]), 4 + 8 + 8);
        assert_eq!(&nested[4..10], [6, 0, 3, 0, b'a', 0]);
    }
}
