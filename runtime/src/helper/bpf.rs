//! Programs for the kernel that decide on system calls: a tree of comparisons over their numbers.

use crate::id_map::NO_ID;
use nix::libc::{self, sock_filter};

/// Offsets in the kernel's description of a call: number, architecture, and the low halves of the arguments.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
/// Bytes from one argument to the next.
const ARGUMENT: u32 = 8;
/// Statements that a conditional jump can pass over.
const MAX_JUMP: usize = 255;

/// A program.
pub(crate) type Program = Vec<sock_filter>;

/// The argument that decides: numbers of 32 bits for the kernel, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// The first one.
    First = 0,
    /// The second one.
    Second = 1,
    /// The third one.
    Third = 2,
    /// The fourth one.
    Fourth = 3,
}

/// Ids below these have a place in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappedIds {
    /// Those of users.
    pub users: u32,
    /// Those of groups.
    pub groups: u32,
}

/// A decision that one argument takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// None of these.
    Not(&'static [u32]),
    /// One of these.
    OneOf(&'static [u32]),
    /// None of these bits.
    Without(u32),
    /// One of these bits at least.
    With(u32),
}

/// Whether a listener answers calls that are passed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// One does.
    Some,
    /// None does.
    None,
}

/// The filter's decision about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Allow,
    /// It fails with this error.
    Fail(i32),
    /// It ends the process.
    Kill,
    /// An argument decides: it is made, or the error.
    If(Argument, Test, i32),
    /// An argument decides: it is made, or who listens answers it; the error where nobody does.
    Ask(Argument, Test, i32),
    /// An owner, a user in the one argument and a group in the other, decides: the call is made where both have a place or
    /// stay as they are, or who listens answers it. It is made where nobody does.
    AskOwner(Argument, Argument, MappedIds),
}

impl Verdict {
    fn code(self, listener: Listener) -> Program {
        match self {
            Verdict::Allow => vec![give(libc::SECCOMP_RET_ALLOW)],
            Verdict::Fail(error) => vec![fail(error)],
            Verdict::Kill => vec![give(libc::SECCOMP_RET_KILL_PROCESS)],
            Verdict::If(argument, test, error) => test.code(argument, fail(error)),
            Verdict::Ask(argument, test, error) => test.code(
                argument,
                match listener {
                    Listener::Some => give(libc::SECCOMP_RET_USER_NOTIF),
                    Listener::None => fail(error),
                },
            ),
            Verdict::AskOwner(..) if listener == Listener::None => vec![give(libc::SECCOMP_RET_ALLOW)],
            Verdict::AskOwner(user, group, mapped) => owner_code(user, group, mapped),
        }
    }
}

/// Returns statements that allow owners with a place, and ask about others.
fn owner_code(user: Argument, group: Argument, mapped: MappedIds) -> Program {
    vec![
        load(ARGUMENTS_AT + user as u32 * ARGUMENT),
        jump(libc::BPF_JEQ, NO_ID, 1, 0),
        jump(libc::BPF_JGE, mapped.users, 4, 0),
        load(ARGUMENTS_AT + group as u32 * ARGUMENT),
        jump(libc::BPF_JEQ, NO_ID, 1, 0),
        jump(libc::BPF_JGE, mapped.groups, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        give(libc::SECCOMP_RET_USER_NOTIF),
    ]
}

impl Test {
    /// Returns statements that allow what passes, and otherwise give `refusal`.
    fn code(self, argument: Argument, refusal: sock_filter) -> Program {
        let allow = give(libc::SECCOMP_RET_ALLOW);
        let mut code = vec![load(ARGUMENTS_AT + argument as u32 * ARGUMENT)];
        match self {
            Test::Without(bits) => code.extend([jump(libc::BPF_JSET, bits, 1, 0), allow, refusal]),
            Test::With(bits) => code.extend([jump(libc::BPF_JSET, bits, 1, 0), refusal, allow]),
            Test::Not(values) | Test::OneOf(values) => {
                for (position, value) in values.iter().enumerate() {
                    // To the last of the two verdicts behind the comparisons.
                    code.push(jump(libc::BPF_JEQ, *value, (values.len() - position) as u8, 0));
                }
                let equal = matches!(self, Test::OneOf(_));
                code.extend(if equal { [refusal, allow] } else { [allow, refusal] });
            }
        }
        code
    }
}

/// Returns the program that looks calls of each architecture up in a table of its own, and ends the process for others.
///
/// A table holds the first number of each range with one verdict, ascending from 0.
pub(crate) fn program(tables: &[(u32, Vec<(u32, Verdict)>)], listener: Listener) -> Program {
    let mut code = vec![load(ARCHITECTURE_AT)];
    for (architecture, table) in tables {
        let own = [vec![load(NUMBER_AT)], tree(table, listener)].concat();
        code.extend([jump(libc::BPF_JEQ, *architecture, 1, 0), pass_over(own.len())]);
        code.extend(own);
    }
    code.push(give(libc::SECCOMP_RET_KILL_PROCESS));
    code
}

fn tree(ranges: &[(u32, Verdict)], listener: Listener) -> Program {
    if let [(_, verdict)] = ranges {
        return verdict.code(listener);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (from, low, high) = (high[0].0, tree(low, listener), tree(high, listener));
    let choice = match low.len() {
        length if length <= MAX_JUMP => vec![jump(libc::BPF_JGE, from, length as u8, 0)],
        length => vec![jump(libc::BPF_JGE, from, 0, 1), pass_over(length)],
    };
    [choice, low, high].concat()
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn give(verdict: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict)
}

fn fail(error: i32) -> sock_filter {
    give(libc::SECCOMP_RET_ERRNO | error as u32)
}

fn pass_over(statements: usize) -> sock_filter {
    statement(libc::BPF_JMP | libc::BPF_JA, statements as u32)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_K | code) as u16, jt, jf, k }
}
