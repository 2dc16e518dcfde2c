//! The system call filter of steps: an allow-list; whatever is not on it is refused as if it were not permitted.

use super::syscalls::ALLOWED;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use std::collections::BTreeMap;
use std::io;

/// Where the kernel's description of a call has its number and its architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// The architecture whose calls are allowed, as the audit subsystem numbers it.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers from here on are those of x32 programs.
const FOREIGN_NUMBERS: u32 = 0x4000_0000;
/// Flags of `clone` that make namespaces.
const NAMESPACES: u64 = 0x7e02_0000;
/// Socket families into the hypervisor and the kernel's crypto code.
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
/// What `personality` may be set to: Linux, no randomisation, and the question.
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Programs for the kernel, in the order in which they are installed.
pub struct Filters(Vec<BpfProgram>);

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Compiles the filters; done once, because every step has the same.
pub fn compile() -> Result<Filters, Box<dyn std::error::Error>> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let program = |rules, mismatch, matched| -> Result<BpfProgram, Box<dyn std::error::Error>> {
        Ok(SeccompFilter::new(rules, mismatch, matched, architecture)?.try_into()?)
    };
    let second = program(rules()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    Ok(Filters(vec![first(), second]))
}

/// Returns the filter that is looked at first, in the kernel's own words.
///
/// Calls by other conventions than the machine's own end the process: their numbers mean something else, and their
/// arguments may pass where the list would stop them (a 32-bit `socketcall` opens any socket).
fn first() -> BpfProgram {
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |code: u32, k: u32, (jt, jf): (u8, u8)| sock_filter {
        code: (libc::BPF_JMP | libc::BPF_K | code) as u16,
        jt,
        jf,
        k,
    };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let give = |verdict| statement(libc::BPF_RET | libc::BPF_K, verdict);
    vec![
        load(ARCHITECTURE_AT),
        jump(libc::BPF_JEQ, ARCHITECTURE, (1, 0)),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
        jump(libc::BPF_JGE, FOREIGN_NUMBERS, (0, 1)),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        // The flags of clone3 are in memory, where a filter cannot look: C libraries fall back to clone without it.
        jump(libc::BPF_JEQ, libc::SYS_clone3 as u32, (0, 1)),
        give(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        give(libc::SECCOMP_RET_ALLOW),
    ]
}

fn rules() -> Result<Rules, Box<dyn std::error::Error>> {
    let mut rules: Rules = ALLOWED.iter().map(|&number| (number, Vec::new())).collect();
    let argument = |operator, value| SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, value);
    let word = |operator, value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value);
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![argument(SeccompCmpOp::MaskedEq(NAMESPACES), 0)?])?]);
    let families = vec![word(SeccompCmpOp::Ne, AF_VSOCK)?, word(SeccompCmpOp::Ne, AF_ALG)?];
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(families)?]);
    let mut personalities = Vec::new();
    for value in PERSONALITIES {
        personalities.push(SeccompRule::new(vec![word(SeccompCmpOp::Eq, value)?])?);
    }
    rules.insert(libc::SYS_personality, personalities);
    Ok(rules)
}

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const sock_filter,
}

impl Filters {
    /// Confines this process; needs privilege in its namespace, because setuid programs keep working.
    pub fn install(&self) -> io::Result<()> {
        for filter in &self.0 {
            let program = Program { length: filter.len() as libc::c_ushort, filter: filter.as_ptr() };
            // SAFETY: the program points to memory that outlives the call; the kernel copies it.
            let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}
