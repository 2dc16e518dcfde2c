//! The process that makes the outer network namespace of a sandbox, connects it with the step's, and closes in it what
//! steps must not reach. It belongs to the sandbox's user namespace; nothing that steps run sees it.

use super::limits;
use super::netlink::{Message, Net, Netlink, address};
use super::policy::{self, FOUR, Family, OUTSIDE, PAIR_INDEX, SIX, STEPS};
use super::sysctl;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

/// Largest packet of all interfaces on the way: what `pasta` takes.
const MTU: u32 = 65_520;
/// Address of both ends of the pair: where nobody asks for addresses, a sender takes its own.
const PAIR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Name of the step's end.
const INNER_NAME: &str = "eth0";
/// How often an interface is looked for that did not announce itself, in milliseconds.
const POLL_INTERVAL: u16 = 50;
/// Bytes that the list of closed networks may have.
const MAX_LIST: u32 = 16 * 1024 * 1024;

/// Flags of an interface that is up and asks nobody for the addresses of neighbours.
const UP: u32 = (libc::IFF_UP | libc::IFF_NOARP) as u32;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

/// The namespaces that the router connects, and for whom.
pub(crate) struct Setup {
    /// The sandbox's user namespace, and the network namespace of its steps.
    pub user: File,
    /// See above.
    pub inner: File,
    /// The owner of the user namespace, if this process is root.
    pub owner: Option<u32>,
    /// Whether IPv6 is available.
    pub version_6: bool,
}

/// Makes the outer namespace, tells of it, closes what the list on standard input names, and then whatever address this
/// machine gets; returns why that is not possible, or when nobody wants it any more.
pub(crate) fn run(setup: &Setup, report: &mut File) -> Result<(), String> {
    let watched = libc::RTMGRP_IPV4_ROUTE | libc::RTMGRP_IPV6_ROUTE;
    let changes = Netlink::listen(watched).map_err(doing("watching this machine's addresses"))?;
    let machine = Netlink::open().map_err(doing("asking for this machine's addresses"))?;
    let own = machine.own_networks().map_err(doing("asking for this machine's addresses"))?;
    let router = Router::make(setup)?;
    say(report, "namespace")?;
    router.connect(setup)?;
    let list = closed_list().map_err(doing("reading what is closed"))?;
    // The hints name nothing of this machine: whoever reads routes in a step does not learn its addresses.
    list.iter().try_for_each(|net| router.hint(*net))?;
    list.into_iter().chain(own).try_for_each(|net| router.close(net))?;
    let outside = router.wait_for_pasta()?;
    router.open(outside)?;
    // Addresses that came since the list was made.
    router.close_added(&changes, &machine)?;
    router.forward()?;
    say(report, "ready")?;
    // Nobody waits for these. A kernel without nf_tables has none; `pasta` has no more files than it may all the same.
    let _ = limits::make();
    router.watch(&changes, &machine)
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

fn say(report: &mut File, word: &str) -> Result<(), String> {
    report.write_all(format!("{word}\n").as_bytes()).map_err(doing("telling how far it is"))
}

fn closed_list() -> io::Result<Vec<Net>> {
    let mut length = [0; 4];
    io::stdin().read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_LIST {
        return Err(io::Error::other("it is too long"));
    }
    let mut text = vec![0; length as usize];
    io::stdin().read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// The sockets that change the outer and the inner namespace.
struct Router {
    outer: Netlink,
    inner: Netlink,
    links: Netlink,
    families: Vec<&'static Family>,
}

impl Router {
    /// Enters the sandbox's user namespace as its owner; then makes the outer network namespace and enters it.
    fn make(setup: &Setup) -> Result<Router, String> {
        let enter = doing("entering the namespaces of the sandbox");
        become_owner(setup).map_err(&enter)?;
        setns(&setup.user, CloneFlags::CLONE_NEWUSER).map_err(|error| enter(error.into()))?;
        // Changing ids took these back, and hid the namespaces from `pasta`.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(|error| enter(error.into()))?;
        nix::sys::prctl::set_dumpable(true).map_err(|error| enter(error.into()))?;
        setns(&setup.inner, CloneFlags::CLONE_NEWNET).map_err(|error| enter(error.into()))?;
        sysctl::prepare_inner().map_err(doing("preparing the network of steps"))?;
        let inner = Netlink::open().map_err(&enter)?;
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| doing("making a network namespace around the sandbox")(error.into()))?;
        let outer = Netlink::open().map_err(&enter)?;
        let links = Netlink::listen(libc::RTMGRP_LINK).map_err(&enter)?;
        let families = if setup.version_6 { vec![&FOUR, &SIX] } else { vec![&FOUR] };
        Ok(Router { outer, inner, links, families })
    }

    /// Makes the pair of interfaces, and everything that needs no other one.
    fn connect(&self, setup: &Setup) -> Result<(), String> {
        sysctl::prepare_outer(setup.version_6).map_err(doing("preparing the namespace around the sandbox"))?;
        let pair =
            doing("connecting the sandbox with the namespace around it (a `veth` pair, which the kernel must know)");
        self.outer.change(pair_of_interfaces(setup)).map_err(&pair)?;
        self.inner.change(interface(PAIR_INDEX, UP, UP)).map_err(pair)?;
        for family in &self.families {
            let failed = doing("preparing the routes of the sandbox");
            self.outer.change(own_address(whole(family.gateway))).map_err(&failed)?;
            policy::make_rules(&self.outer, family).map_err(&failed)?;
            self.inner.change(own_address(family.step)).map_err(&failed)?;
            policy::make_inner(&self.inner, family).map_err(&failed)?;
        }
        Ok(())
    }

    /// Waits until `pasta` has made its interface, and returns its number. The caller, which started `pasta`, knows how long that may
    /// take.
    fn wait_for_pasta(&self) -> Result<u32, String> {
        loop {
            if let Ok(index) = nix::net::if_::if_nametoindex(OUTSIDE) {
                return Ok(index);
            }
            let mut fds = [PollFd::new(self.links.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(POLL_INTERVAL));
            self.links.own_networks_added().map_err(doing("waiting for `pasta`"))?;
        }
    }

    fn open(&self, outside: u32) -> Result<(), String> {
        let failed = doing("preparing the way out");
        // It neither asks for addresses nor joins groups: what steps send is all that it sends.
        let up = interface(outside, UP, UP | libc::IFF_MULTICAST as u32);
        self.outer.change(up.number(libc::IFLA_MTU, MTU)).map_err(&failed)?;
        for family in &self.families {
            let (number, hop) = address(family.next_hop);
            let head = [&[number, 0, 0, 0][..], &outside.to_ne_bytes(), &libc::NUD_PERMANENT.to_ne_bytes(), &[0; 2]];
            let neighbour = Message::make(libc::RTM_NEWNEIGH, &head.concat());
            self.outer
                .change(neighbour.with(libc::NDA_DST, &hop).with(libc::NDA_LLADDR, &super::addresses::PASTA_MAC))
                .map_err(&failed)?;
            policy::open(&self.outer, family, outside).map_err(&failed)?;
        }
        Ok(())
    }

    fn close(&self, net: Net) -> Result<(), String> {
        if !self.has(net) {
            return Ok(());
        }
        policy::close(&self.outer, net).map_err(|error| format!("closing {}/{}: {error}", net.0, net.1))
    }

    fn hint(&self, net: Net) -> Result<(), String> {
        if !self.has(net) {
            return Ok(());
        }
        policy::hint(&self.inner, net).map_err(|error| format!("closing {}/{}: {error}", net.0, net.1))
    }

    fn has(&self, net: Net) -> bool {
        net.0.is_ipv4() || self.families.len() == 2
    }

    /// Begins to forward: all that is closed is closed now.
    fn forward(&self) -> Result<(), String> {
        let failed = doing("forwarding what the sandbox sends");
        self.families.iter().try_for_each(|family| sysctl::forward(family).map_err(&failed))
    }

    /// Closes addresses that this machine gets, for as long as the network is wanted.
    fn watch(&self, changes: &Netlink, machine: &Netlink) -> Result<(), String> {
        loop {
            let input = io::stdin();
            // The list was all that is ever sent: the only news is that the other side is gone.
            let mut fds =
                [PollFd::new(changes.as_fd(), PollFlags::POLLIN), PollFd::new(input.as_fd(), PollFlags::empty())];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if fds[1].any() == Some(true) {
                return Ok(());
            }
            self.close_added(changes, machine)?;
        }
    }

    fn close_added(&self, changes: &Netlink, machine: &Netlink) -> Result<(), String> {
        let failed = doing("watching this machine's addresses");
        let added = match changes.own_networks_added().map_err(&failed)? {
            Some(added) => added,
            None => machine.own_networks().map_err(&failed)?,
        };
        added.into_iter().try_for_each(|net| self.close(net))
    }
}

/// Becomes the owner of the sandbox's user namespace, who rules it without having rights outside, if this is root.
fn become_owner(setup: &Setup) -> io::Result<()> {
    let Some(owner) = setup.owner else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    Ok(setresuid(uid, uid, uid)?)
}

/// Starts the message of an interface: its number, its flags, and which of them are set.
fn interface(index: u32, flags: u32, changed: u32) -> Message {
    Message::make(libc::RTM_NEWLINK, &interface_head(index, flags, changed))
}

fn interface_head(index: u32, flags: u32, changed: u32) -> Vec<u8> {
    // Family and type, both unspecified.
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), changed.to_ne_bytes()].concat()
}

fn pair_of_interfaces(setup: &Setup) -> Message {
    let (quiet, up) = (libc::IFF_NOARP as u32, UP);
    let named = |message: Message, name: &str| {
        message.text(libc::IFLA_IFNAME, name).with(libc::IFLA_ADDRESS, &PAIR_MAC).number(libc::IFLA_MTU, MTU)
    };
    let peer = |message: Message| {
        // It cannot be started before it has its other end.
        let head = interface_head(PAIR_INDEX, quiet, quiet);
        named(message.raw(&head), INNER_NAME).number(libc::IFLA_NET_NS_FD, setup.inner.as_raw_fd() as u32)
    };
    named(interface(PAIR_INDEX, up, up), STEPS).nest(libc::IFLA_LINKINFO, |message| {
        let kind = message.with(libc::IFLA_INFO_KIND, b"veth");
        kind.nest(IFLA_INFO_DATA, |message| message.nest(VETH_INFO_PEER, peer))
    })
}

fn whole(known: std::net::IpAddr) -> Net {
    (known, if known.is_ipv4() { 32 } else { 128 })
}

/// Returns the message that gives this side's end of the pair an address.
fn own_address(net: Net) -> Message {
    let (family, bytes) = address(net.0);
    let head = [&[family, net.1, libc::IFA_F_NODAD as u8, 0][..], &PAIR_INDEX.to_ne_bytes()].concat();
    Message::make(libc::RTM_NEWADDR, &head).with(libc::IFA_LOCAL, &bytes).with(libc::IFA_ADDRESS, &bytes)
}
