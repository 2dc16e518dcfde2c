//! The system call filter of steps: an allow-list; whatever is not on it is refused as if it were not permitted.

use super::syscalls::ALLOWED;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use std::collections::BTreeMap;
use std::io;

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
    // The flags of clone3 are in memory, where a filter cannot look: C libraries fall back to clone when it is missing.
    let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let first = program(clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    let second = program(rules()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    Ok(Filters(vec![first, second]))
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
