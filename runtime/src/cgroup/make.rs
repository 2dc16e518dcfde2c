//! Makes a group and sets its limits, within those of the group that it is in.

use super::controller::{Controller, PREFIX};
use crate::Limits;
use std::fs;
use std::io;
use std::path::Path;

/// Length of a scheduling period in microseconds.
const PERIOD: u64 = 100_000;
/// Controllers of the unified hierarchy that are enabled.
const WANTED: [&str; 3] = ["memory", "pids", "cpu"];

/// Makes the group `path`, or takes it as it is left over, and limits it.
pub(crate) fn group(path: &Path, controller: Controller, limits: &Limits) -> io::Result<()> {
    if controller == Controller::Unified {
        offer(path.parent().unwrap_or(path))?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    match controller {
        Controller::Memory => memory(path, limits),
        Controller::Pids => pids(path, limits),
        Controller::Cpu => cpu(path, limits),
        Controller::Accounting => Ok(()),
        Controller::Unified => unified(path, limits),
    }
}

fn memory(path: &Path, limits: &Limits) -> io::Result<()> {
    let Some(bytes) = limits.memory_bytes else { return Ok(()) };
    fs::write(path.join("memory.limit_in_bytes"), bytes.to_string())?;
    // Swap counts together with memory; not every kernel accounts it.
    let _ = fs::write(path.join("memory.memsw.limit_in_bytes"), bytes.to_string());
    Ok(())
}

fn pids(path: &Path, limits: &Limits) -> io::Result<()> {
    limits.pids.map_or(Ok(()), |pids| fs::write(path.join("pids.max"), pids.to_string()))
}

/// The kernel takes no quota above that of a group further up: the smallest one on the way counts.
fn cpu(path: &Path, limits: &Limits) -> io::Result<()> {
    let Some(cpus) = limits.cpus else { return Ok(()) };
    let above = path.ancestors().skip(1).filter_map(quota).fold(f64::INFINITY, f64::min);
    fs::write(path.join("cpu.cfs_quota_us"), microseconds(cpus.min(above)).to_string())
}

/// Returns how many processors a group of version 1 may use, if that is limited.
fn quota(path: &Path) -> Option<f64> {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok()?.trim().parse::<f64>().ok();
    let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn microseconds(cpus: f64) -> u64 {
    // The kernel's smallest quota is a millisecond.
    ((cpus * PERIOD as f64) as u64).max(1000)
}

fn unified(path: &Path, limits: &Limits) -> io::Result<()> {
    let set = |file: &str, value: String| match path.join(file).exists() {
        true => fs::write(path.join(file), value),
        false => Ok(()),
    };
    if let Some(bytes) = limits.memory_bytes {
        set("memory.max", bytes.to_string())?;
        set("memory.swap.max", "0".to_owned())?;
    }
    if let Some(pids) = limits.pids {
        set("pids.max", pids.to_string())?;
    }
    limits.cpus.map_or(Ok(()), |cpus| set("cpu.max", format!("{} {PERIOD}", microseconds(cpus))))
}

/// Makes `parent` pass its controllers on to the groups in it.
fn offer(parent: &Path) -> io::Result<()> {
    let offered = fs::read_to_string(parent.join("cgroup.controllers"))?;
    let enable: Vec<String> = WANTED
        .into_iter()
        .filter(|name| offered.split_whitespace().any(|known| known == *name))
        .map(|name| format!("+{name}"))
        .collect();
    if enable.is_empty() {
        return Err(io::Error::other("the group offers neither memory nor pids"));
    }
    let control = parent.join("cgroup.subtree_control");
    match fs::write(&control, enable.join(" ")) {
        // A group that passes controllers on may hold no processes itself: they move into one of their own.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            move_processes(parent)?;
            fs::write(&control, enable.join(" "))
        }
        other => other,
    }
}

fn move_processes(parent: &Path) -> io::Result<()> {
    let own = parent.join(format!("{PREFIX}service"));
    match fs::create_dir(&own) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    for id in fs::read_to_string(parent.join("cgroup.procs"))?.lines() {
        // One that ended meanwhile need not move.
        let _ = fs::write(own.join("cgroup.procs"), id);
    }
    Ok(())
}
