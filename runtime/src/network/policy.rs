//! The policy of the outer namespace, as routes and rules: it forwards by destination, source and port, never by what a socket says.

use super::addresses::{GATEWAY, GATEWAY_6, RESOLVER, STEP, STEP_6};
use super::denied_networks::{OPEN, OPEN_6};
use super::netlink::{Message, Net, Netlink, address};
use nix::libc;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Interface of the outer namespace whose other end steps have.
pub(crate) const STEPS: &str = "steps";
/// Interface of the outer namespace that `pasta` makes.
pub(crate) const OUTSIDE: &str = "pasta0";
/// Number of both ends of the pair: above those that kernels give to interfaces which every namespace has.
pub(crate) const PAIR_INDEX: u32 = 64;

/// Port on which mail is delivered: no build does that, but those who want to send spam from elsewhere.
const MAIL: u16 = 25;
/// Port on which the resolver is asked: nothing else of it can be reached.
const NAMES: u16 = 53;
const TCP_AND_UDP: [u8; 2] = [libc::IPPROTO_TCP as u8, libc::IPPROTO_UDP as u8];

/// Table with a route to the outside and nothing else, for the resolver.
const ANYWHERE: u8 = 100;
/// Table of the networks that steps may reach.
const PUBLIC: u8 = 101;

// Of the kernel's `fib_rules.h`.
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_BLACKHOLE: u8 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_IP_PROTO: u16 = 22;
const FRA_DPORT_RANGE: u16 = 24;
const RTNH_F_ONLINK: u32 = 4;

/// Metric of routes that open, above that of those that close.
const OPEN_METRIC: u32 = 65_536;

/// The addresses of one version of the protocol.
pub(crate) struct Family {
    /// Number of the family.
    pub number: u8,
    /// Address of steps.
    pub step: Net,
    /// The gateway of steps.
    pub gateway: IpAddr,
    /// The next hop of the outer namespace; only the neighbour's entry knows it.
    pub next_hop: IpAddr,
    /// Networks that are open but for those that are closed.
    open: &'static [Net],
}

/// Version 4.
pub(crate) const FOUR: Family = Family {
    number: libc::AF_INET as u8,
    step: (IpAddr::V4(STEP), 29),
    gateway: IpAddr::V4(GATEWAY),
    next_hop: IpAddr::V4(Ipv4Addr::new(192, 0, 0, 3)),
    open: &OPEN,
};
/// Version 6.
pub(crate) const SIX: Family = Family {
    number: libc::AF_INET6 as u8,
    step: (IpAddr::V6(STEP_6), 128),
    gateway: IpAddr::V6(GATEWAY_6),
    next_hop: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3)),
    open: &OPEN_6,
};

/// The fate of packets that a rule matches.
#[derive(Clone, Copy)]
enum Verdict {
    /// Looks for a route in a table; goes on with the next rule if there is none.
    Table(u8),
    /// Rejects the packet with an ICMP error.
    Refuse,
    /// Drops it.
    Drop,
}

/// A rule: all that is given must match.
struct Rule {
    priority: u32,
    verdict: Verdict,
    interface: Option<&'static str>,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    /// Protocol and port of the destination.
    port: Option<(u8, u16)>,
}

impl Rule {
    fn new(priority: u32, verdict: Verdict) -> Self {
        Rule { priority, verdict, interface: None, from: None, to: None, port: None }
    }

    fn of_steps(priority: u32, verdict: Verdict) -> Self {
        Rule { interface: Some(STEPS), ..Rule::new(priority, verdict) }
    }

    /// Returns the message's head and its attributes.
    fn message(&self, family: &Family, start: impl FnOnce(&[u8]) -> Message) -> Message {
        let (table, action) = match self.verdict {
            Verdict::Table(table) => (table, FR_ACT_TO_TBL),
            Verdict::Refuse => (0, FR_ACT_UNREACHABLE),
            Verdict::Drop => (0, FR_ACT_BLACKHOLE),
        };
        let whole = |known: Option<IpAddr>| known.map_or(0, |known| address(known).1.len() as u8 * 8);
        // Family, lengths of destination and source, service, table, two unused, action, flags.
        let head = [family.number, whole(self.to), whole(self.from), 0, table, 0, 0, action, 0, 0, 0, 0];
        let mut message = start(&head).number(FRA_PRIORITY, self.priority);
        if let Some(interface) = self.interface {
            message = message.text(FRA_IIFNAME, interface);
        }
        for (name, known) in [(FRA_SRC, self.from), (FRA_DST, self.to)] {
            if let Some(known) = known {
                message = message.with(name, &address(known).1);
            }
        }
        if let Some((protocol, port)) = self.port {
            let ports = [port.to_ne_bytes(), port.to_ne_bytes()].concat();
            message = message.with(FRA_IP_PROTO, &[protocol]).with(FRA_DPORT_RANGE, &ports);
        }
        message
    }
}

/// Returns the rules of the outer namespace. All that comes from steps meets one of them, and the last one refuses.
fn forwarding(family: &Family) -> Vec<Rule> {
    let (step, mut rules) = (family.step.0, Vec::new());
    for (protocol, more) in TCP_AND_UDP.into_iter().zip(0..) {
        if step.is_ipv4() {
            let asks = Rule::of_steps(10 + more, Verdict::Table(ANYWHERE));
            let (to, port) = (Some(RESOLVER.into()), Some((protocol, NAMES)));
            rules.push(Rule { from: Some(step), to, port, ..asks });
        }
        rules.push(Rule { port: Some((protocol, MAIL)), ..Rule::of_steps(20 + more, Verdict::Refuse) });
    }
    // A sender that is not the step is an address that it made up.
    rules.push(Rule { from: Some(step), ..Rule::of_steps(30, Verdict::Table(PUBLIC)) });
    rules.push(Rule::of_steps(40, Verdict::Refuse));
    let answers = Rule { interface: Some(OUTSIDE), ..Rule::new(50, Verdict::Table(libc::RT_TABLE_MAIN)) };
    rules.push(Rule { to: Some(step), ..answers });
    rules.push(Rule { interface: Some(OUTSIDE), ..Rule::new(60, Verdict::Drop) });
    // Packets for the outer namespace itself come last: it has no peers.
    rules.push(Rule::new(1000, Verdict::Table(libc::RT_TABLE_LOCAL)));
    rules
}

/// Makes the rules of the outer namespace, and the route back to the step.
pub(crate) fn make_rules(outer: &Netlink, family: &Family) -> io::Result<()> {
    for rule in forwarding(family) {
        outer.change(rule.message(family, |head| Message::make(libc::RTM_NEWRULE, head)))?;
    }
    let kernels_own = Rule::new(0, Verdict::Table(libc::RT_TABLE_LOCAL));
    outer.change(kernels_own.message(family, |head| Message::remove(libc::RTM_DELRULE, head)))?;
    outer.change(route(whole(family.step.0), libc::RT_TABLE_MAIN).number(libc::RTA_OIF, PAIR_INDEX))
}

/// Opens what is not closed, now that the outer namespace has the interface `outside` that leads there.
pub(crate) fn open(outer: &Netlink, family: &Family, outside: u32) -> io::Result<()> {
    let (everything, hop) = ((unspecified(family), 0), address(family.next_hop).1);
    let resolver = family.step.0.is_ipv4().then_some((everything, ANYWHERE));
    for (to, table) in resolver.into_iter().chain(family.open.iter().map(|net| (*net, PUBLIC))) {
        // Of two routes to the same network, the one that closes it counts.
        let route = routed(to, table, RTNH_F_ONLINK).number(libc::RTA_PRIORITY, OPEN_METRIC);
        outer.change(route.with(libc::RTA_GATEWAY, &hop).number(libc::RTA_OIF, outside))?;
    }
    Ok(())
}

/// Closes a network in the outer namespace.
pub(crate) fn close(outer: &Netlink, net: Net) -> io::Result<()> {
    outer.ensure(unreachable(net, PUBLIC))
}

/// Tells programs at once what is closed: in the step's own namespace nothing is enforced, but an error there is quicker
/// than an answer of the outer one.
pub(crate) fn hint(inner: &Netlink, net: Net) -> io::Result<()> {
    inner.ensure(unreachable(net, libc::RT_TABLE_MAIN))
}

/// The same for ports, and the routes of the step's own namespace.
pub(crate) fn make_inner(inner: &Netlink, family: &Family) -> io::Result<()> {
    for protocol in TCP_AND_UDP {
        let rule = Rule { port: Some((protocol, MAIL)), ..Rule::new(100, Verdict::Refuse) };
        inner.change(rule.message(family, |head| Message::make(libc::RTM_NEWRULE, head)))?;
    }
    let resolver = family.step.0.is_ipv4().then_some(whole(RESOLVER.into()));
    for to in resolver.into_iter().chain([(unspecified(family), 0)]) {
        let through = route(to, libc::RT_TABLE_MAIN).with(libc::RTA_GATEWAY, &address(family.gateway).1);
        inner.change(through.number(libc::RTA_OIF, PAIR_INDEX))?;
    }
    Ok(())
}

fn unspecified(family: &Family) -> IpAddr {
    match family.step.0 {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn whole(known: IpAddr) -> Net {
    (known, if known.is_ipv4() { 32 } else { 128 })
}

fn route(to: Net, table: u8) -> Message {
    routed(to, table, 0)
}

fn routed(to: Net, table: u8, flags: u32) -> Message {
    let scope = libc::RT_SCOPE_UNIVERSE;
    routed_as(to, [table, libc::RTPROT_STATIC, scope, libc::RTN_UNICAST], flags)
}

fn unreachable(net: Net, table: u8) -> Message {
    routed_as(net, [table, libc::RTPROT_STATIC, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNREACHABLE], 0)
}

/// Starts the message of a route; `how` is its table, who made it, its scope and its type.
fn routed_as(to: Net, how: [u8; 4], flags: u32) -> Message {
    let (family, bytes) = address(to.0);
    let prefix = to.1;
    // Family, lengths of destination and source, service, then `how`, then flags.
    let head = [&[family, prefix, 0, 0][..], &how, &flags.to_ne_bytes()].concat();
    let message = Message::make(libc::RTM_NEWROUTE, &head);
    if prefix == 0 { message } else { message.with(libc::RTA_DST, &bytes) }
}
