//! Resources that the processes of a container use, as `/proc` tells them.

use super::container::process;
use crate::container::{ContainerId, Usage};
use crate::error::HelperError;
use crate::protocol::Answer;
use nix::unistd::{SysconfVar, sysconf};
use std::fs;
use std::time::Duration;

/// Returns what the processes of a container use; those that have ended are not counted.
pub(crate) fn of(id: &ContainerId) -> Answer<Usage> {
    let failed = HelperError::inside("measuring a container");
    let first = process(id)?;
    let own = fs::read_link(format!("/proc/{first}/ns/pid")).ok();
    let number = |name: SysconfVar| sysconf(name).ok().flatten().and_then(|number| u64::try_from(number).ok());
    let ticks = number(SysconfVar::CLK_TCK).unwrap_or(100).max(1);
    let page = number(SysconfVar::PAGE_SIZE).unwrap_or(4096);
    let mut usage = Usage::default();
    for entry in fs::read_dir("/proc").map_err(failed)?.flatten() {
        let path = entry.path();
        // Processes come and go while they are counted.
        if own.is_none() || fs::read_link(path.join("ns/pid")).ok() != own {
            continue;
        }
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        // The name of the program may hold anything; fields are counted after it.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|parts| parts.1.split_whitespace().collect()).unwrap_or_default();
        let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // Times of the process and of its children that were waited for.
        let spent = (11..=14).map(field).sum::<u64>();
        usage.processor_time += Duration::from_nanos(spent.saturating_mul(1_000_000_000 / ticks));
        usage.tasks += field(17);
        usage.memory_bytes += field(21) * page;
        let counts = fs::read_to_string(path.join("io")).unwrap_or_default();
        usage.read_bytes += value(&counts, "read_bytes:");
        usage.written_bytes += value(&counts, "write_bytes:");
    }
    let interfaces = fs::read_to_string(format!("/proc/{first}/net/dev")).unwrap_or_default();
    for line in interfaces.lines().skip(2) {
        let Some((_, counts)) = line.split_once(':').filter(|line| line.0.trim() != "lo") else { continue };
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
        usage.received_bytes += counts.first().copied().unwrap_or(0);
        usage.sent_bytes += counts.get(8).copied().unwrap_or(0);
    }
    Ok(usage)
}

fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
