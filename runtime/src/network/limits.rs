//! How much of this machine's network one build takes: connections that it has, those that it begins, names that it asks
//! for. The rules are nf_tables' and live in the outer namespace, like all of the policy.

use super::netlink::{Message, Netlink};
use nix::libc;
use std::io;

/// Connections and exchanges of datagrams that a build may have at once: as many as `pasta` has files for.
pub(crate) const MAX_CONNECTIONS: u32 = 4096;
/// Connections and exchanges of datagrams that it may begin in a second, and at once after a pause: each takes a place in
/// the table of the machine's own firewall, for half a minute at least.
const NEW_CONNECTIONS: Rate = Rate { each_second: 500, burst: 2000 };
/// Questions that it may ask the resolver.
const QUESTIONS: Rate = Rate { each_second: 200, burst: 500 };

const TABLE: &str = "slipway";
const CHAIN: &str = "forward";

// Of the kernel's `nf_tables.h`.
const NFPROTO_INET: u8 = 1;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_FORWARD: u32 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const REGISTER: u32 = 1;
const PAYLOAD_TRANSPORT: u32 = 2;
const INVERTED: u32 = 1;
/// The bit of a connection's state that says that it is new.
const STATE_NEW: u32 = 8;

struct Rate {
    each_second: u64,
    burst: u32,
}

/// Makes the limits in the outer namespace.
pub(crate) fn make() -> io::Result<()> {
    let change = |kind, flags: i32| message((libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | kind, flags);
    let create = libc::NLM_F_CREATE | libc::NLM_F_ACK;
    let hook = |message: Message| {
        message.with(HOOK_NUMBER, &HOOK_FORWARD.to_be_bytes()).with(HOOK_PRIORITY, &0u32.to_be_bytes())
    };
    let mut batch = vec![
        change(NEW_TABLE, create).text(TABLE_NAME, TABLE),
        change(NEW_CHAIN, create)
            .text(CHAIN_TABLE, TABLE)
            .text(CHAIN_NAME, CHAIN)
            .nest(CHAIN_HOOK, hook)
            .text(CHAIN_TYPE, "filter"),
    ];
    for rule in [questions, begun, at_once] {
        let rule = |message| drop_packet(rule(message));
        let message = change(NEW_RULE, create | libc::NLM_F_APPEND).text(RULE_TABLE, TABLE).text(RULE_CHAIN, CHAIN);
        batch.push(message.nest(RULE_EXPRESSIONS, rule));
    }
    Netlink::open_netfilter()?.change_all(batch, |kind| message(kind, 0))
}

/// Starts a message of the netfilter family; a batch is named by the number of the subsystem, in the network's order.
fn message(kind: u16, flags: i32) -> Message {
    let [high, low] = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    let is_batch = i32::from(kind) < libc::NLMSG_MIN_TYPE + 2;
    let head = if is_batch { [0, 0, high, low] } else { [NFPROTO_INET, 0, 0, 0] };
    Message::flagged(kind, flags, &head)
}

fn expression(message: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    message.nest(LIST_ELEMENT, |element| element.text(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, data))
}

/// Matches what the register holds.
fn is(message: Message, value: &[u8]) -> Message {
    compare(message, libc::NFT_CMP_EQ as u32, value)
}

fn compare(message: Message, operator: u32, value: &[u8]) -> Message {
    expression(message, "cmp", |data| {
        let data = data.with(1, &REGISTER.to_be_bytes()).with(2, &operator.to_be_bytes());
        data.nest(3, |data| data.with(DATA_VALUE, value))
    })
}

/// Matches datagrams to the port on which names are asked for, when there are too many.
fn questions(message: Message) -> Message {
    let message = expression(message, "meta", |data| {
        data.with(1, &REGISTER.to_be_bytes()).with(2, &(libc::NFT_META_L4PROTO as u32).to_be_bytes())
    });
    let message = expression(is(message, &[libc::IPPROTO_UDP as u8]), "payload", |data| {
        // Two bytes of the transport's head from the second on: the port of the destination.
        [REGISTER, PAYLOAD_TRANSPORT, 2, 2]
            .iter()
            .zip(1..)
            .fold(data, |data, (value, name)| data.with(name, &value.to_be_bytes()))
    });
    over(is(message, &53u16.to_be_bytes()), &QUESTIONS)
}

/// Matches the first packet of connections, when there are too many of them.
fn begun(message: Message) -> Message {
    over(new_connection(message), &NEW_CONNECTIONS)
}

/// Matches the first packet of a connection when the build has as many as it may.
fn at_once(message: Message) -> Message {
    expression(new_connection(message), "connlimit", |data| {
        data.with(1, &MAX_CONNECTIONS.to_be_bytes()).with(2, &INVERTED.to_be_bytes())
    })
}

fn new_connection(message: Message) -> Message {
    let message = expression(message, "ct", |data| {
        data.with(1, &REGISTER.to_be_bytes()).with(2, &(libc::NFT_CT_STATE as u32).to_be_bytes())
    });
    let message = expression(message, "bitwise", |data| {
        let value = |bits: u32| move |data: Message| data.with(DATA_VALUE, &bits.to_ne_bytes());
        let data = [REGISTER, REGISTER, 4]
            .iter()
            .zip(1..)
            .fold(data, |data, (value, name)| data.with(name, &value.to_be_bytes()));
        data.nest(4, value(STATE_NEW)).nest(5, value(0))
    });
    compare(message, libc::NFT_CMP_NEQ as u32, &0u32.to_ne_bytes())
}

fn over(message: Message, rate: &Rate) -> Message {
    expression(message, "limit", |data| {
        let data = data.with(1, &rate.each_second.to_be_bytes()).with(2, &1u64.to_be_bytes());
        let data = data.with(3, &rate.burst.to_be_bytes()).with(4, &(libc::NFT_LIMIT_PKTS as u32).to_be_bytes());
        data.with(5, &INVERTED.to_be_bytes())
    })
}

fn drop_packet(message: Message) -> Message {
    expression(message, "immediate", |data| {
        let verdict = |data: Message| data.with(VERDICT_CODE, &(libc::NF_DROP as u32).to_be_bytes());
        data.with(1, &0u32.to_be_bytes()).nest(2, |data| data.nest(DATA_VERDICT, verdict))
    })
}
