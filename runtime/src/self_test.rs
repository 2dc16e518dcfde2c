//! Self-test at start-up: whether this machine provides the protections that confine builds.

use crate::cgroup::{Cgroup, Limited};
use crate::protection::Protection;
use crate::unique::unique;
use crate::{Error, NetworkPolicy, Sandbox, Settings};

/// Names of all protections.
pub const PROTECTIONS: [&str; 8] =
    ["namespaces", "seccomp", "overlay", "proc", "cgroup.memory", "cgroup.pids", "cgroup.cpu", "network"];

/// Starts a sandbox and tries what it can do; fails where there can be no sandbox at all.
pub fn self_test(settings: &Settings) -> Result<Vec<Protection>, Error> {
    // Which private networks are open makes no difference here: their names need not be looked up.
    let policy = NetworkPolicy { private: true, allowed: Vec::new() };
    let settings = &Settings { network: policy, ..settings.clone() };
    let sandbox = Sandbox::start(settings, &format!("self-test-{}", unique()))?;
    let mut table = vec![Protection::new("namespaces", None)];
    table.extend(sandbox.self_test()?);
    table.extend(groups(sandbox.cgroup(), settings));
    // A step without network is not a danger.
    let network = Protection::new("network", sandbox.missing_network());
    table.push(Protection { needed: false, ..network });
    Ok(table)
}

fn groups(cgroup: Option<&Cgroup>, settings: &Settings) -> impl Iterator<Item = Protection> {
    let limited = cgroup.map_or_else(Limited::default, Cgroup::limited);
    let limits = &settings.limits;
    // An ordinary account has the control groups that somebody gives it, and mostly none.
    let needed = nix::unistd::geteuid().is_root();
    let table = [
        ("cgroup.memory", limited.memory, limits.memory_bytes.is_some()),
        ("cgroup.pids", limited.pids, limits.pids.is_some()),
        ("cgroup.cpu", limited.cpu, limits.cpus.is_some()),
    ];
    table.into_iter().map(move |(name, there, wanted)| {
        let missing = (wanted && !there).then(|| "this process may not make control groups that limit it".to_owned());
        Protection { needed, ..Protection::new(name, missing) }
    })
}
