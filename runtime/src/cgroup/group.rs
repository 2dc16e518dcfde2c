//! The control groups of one attempt: created, joined, read and removed.

use super::controller::{Controller, PREFIX};
use super::make;
use super::parents::{Parent, parents};
use crate::{Error, Limits};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Mount point of control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Memory is at its limit when less than this part of it is left: the kernel counts many pages at once.
const NEAR: u64 = 16;
/// How often a group is created again that another process swept away.
const RETRIES: u32 = 5;
/// Age below which an empty group may be one that is just being made.
const YOUNG: Duration = Duration::from_secs(2);

/// The groups of one attempt; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    groups: Vec<Group>,
    limits: Limits,
}

#[derive(Debug)]
struct Group {
    path: PathBuf,
    controller: Controller,
}

/// How processes of an attempt died for want of memory, since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deaths {
    /// How many were killed, whoever had no memory left.
    pub killed: u64,
    /// How often the attempt's own limit was in the way, at most.
    pub at_limit: u64,
}

/// Resources that the groups of an attempt limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limited {
    /// Memory.
    pub memory: bool,
    /// Processes.
    pub pids: bool,
    /// Processor time.
    pub cpu: bool,
}

impl Cgroup {
    /// Makes the groups for `attempt`; `None`, with a warning, where that is not possible.
    pub(crate) fn create(attempt: &str, limits: &Limits) -> Option<Cgroup> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let cgroup = Cgroup::create_in(Path::new(ROOT), &own, attempt, limits);
        if cgroup.groups.is_empty() {
            tracing::warn!("no control groups: steps run without limits of memory and processes");
            return None;
        }
        Some(cgroup)
    }

    fn create_in(root: &Path, own: &str, attempt: &str, limits: &Limits) -> Cgroup {
        let mut groups = Vec::new();
        for Parent { path, controller } in parents(root, own) {
            let path = path.join(format!("{PREFIX}{attempt}"));
            match make::group(&path, controller, limits) {
                Ok(()) => groups.push(Group { path, controller }),
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "no control group");
                    let _ = fs::remove_dir(&path);
                }
            }
        }
        Cgroup { groups, limits: limits.clone() }
    }

    /// Puts a process, and all it starts from now on, under the limits.
    pub(crate) fn add(&self, id: u32) -> Result<(), Error> {
        for group in &self.groups {
            let file = group.path.join("cgroup.procs");
            let mut written = fs::write(&file, id.to_string());
            for _ in 0..RETRIES {
                // As long as nobody is in it, a group looks like a leftover to whoever sweeps up at this moment.
                if !matches!(&written, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                    break;
                }
                written = make::group(&group.path, group.controller, &self.limits)
                    .and_then(|()| fs::write(&file, id.to_string()));
            }
            written.map_err(Error::system(format!("writing `{}`", file.display())))?;
        }
        Ok(())
    }

    /// Returns how many processes died for want of memory, and how many of them at the attempt's own limit.
    pub(crate) fn deaths(&self) -> Deaths {
        let deaths = self.groups.iter().map(|group| deaths(group, self.limits.memory_bytes));
        deaths.max_by_key(|deaths| deaths.killed).unwrap_or_default()
    }

    /// Returns how much processor time was used, where that is counted.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        self.groups.iter().find_map(|group| cpu_time(&group.path))
    }

    /// Returns how much memory is used, without files that can go at any time, where that is counted.
    pub(crate) fn memory_used(&self) -> Option<u64> {
        let number = |group: &Group, file: &str| fs::read_to_string(group.path.join(file)).ok()?.trim().parse().ok();
        self.groups.iter().find_map(|group| {
            let (file, inactive) = match group.controller {
                Controller::Memory => ("memory.usage_in_bytes", "total_inactive_file "),
                Controller::Unified => ("memory.current", "inactive_file "),
                _ => return None,
            };
            let used: u64 = number(group, file)?;
            let stat = fs::read_to_string(group.path.join("memory.stat")).unwrap_or_default();
            let files = stat.lines().find_map(|line| line.strip_prefix(inactive)?.parse().ok()).unwrap_or(0);
            Some(used.saturating_sub(files))
        })
    }

    /// Returns how much memory there is for all processes together.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.limits.memory_bytes.unwrap_or(u64::MAX)
    }

    /// Returns what is limited.
    pub(crate) fn limited(&self) -> Limited {
        let has = |wanted| self.groups.iter().any(|group| group.controller == wanted);
        let unified = self.groups.iter().find(|group| group.controller == Controller::Unified);
        let offers = |file: &str| unified.is_some_and(|group| group.path.join(file).exists());
        Limited {
            memory: has(Controller::Memory) || offers("memory.max"),
            pids: has(Controller::Pids) || offers("pids.max"),
            cpu: has(Controller::Cpu) || offers("cpu.max"),
        }
    }
}

/// Reads how processes of a group died.
///
/// Version 1 only tells how much memory there ever was: where that was always far from the limit, nobody can have died of it.
fn deaths(group: &Group, limit: Option<u64>) -> Deaths {
    let read = |file: &str| fs::read_to_string(group.path.join(file)).unwrap_or_default();
    let of = |text: &str, name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
        value.unwrap_or(0)
    };
    match group.controller {
        Controller::Memory => {
            let killed = of(&read("memory.oom_control"), "oom_kill");
            let peaks = ["memory.max_usage_in_bytes", "memory.memsw.max_usage_in_bytes"];
            let peak: u64 = peaks.iter().filter_map(|file| read(file).trim().parse().ok()).max().unwrap_or(0);
            let reached = limit.is_some_and(|limit| peak >= limit - limit / NEAR);
            Deaths { killed, at_limit: if reached { killed } else { 0 } }
        }
        Controller::Unified => {
            let events = read("memory.events");
            Deaths { killed: of(&events, "oom_kill"), at_limit: of(&events, "oom") }
        }
        Controller::Pids | Controller::Cpu | Controller::Accounting => Deaths::default(),
    }
}

/// Reads the processor time of a group: version 1 has a file for it, version 2 a line.
fn cpu_time(group: &Path) -> Option<Duration> {
    if let Ok(text) = fs::read_to_string(group.join("cpuacct.usage")) {
        return text.trim().parse().ok().map(Duration::from_nanos);
    }
    let text = fs::read_to_string(group.join("cpu.stat")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok()).map(Duration::from_micros)
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.groups {
            if fs::remove_dir(&group.path).is_ok() || !group.path.exists() {
                continue;
            }
            // Nothing should be left in it; if something is, it ends here.
            let _ = fs::write(group.path.join("cgroup.kill"), "1");
            for _ in 0..50 {
                std::thread::sleep(Duration::from_millis(5));
                if fs::remove_dir(&group.path).is_ok() || !group.path.exists() {
                    break;
                }
            }
        }
    }
}

/// Removes groups of attempts that are over; those in use cannot be removed.
pub(crate) fn sweep() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for Parent { path, .. } in parents(Path::new(ROOT), &own) {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        for entry in ours.filter(|entry| !is_young(entry)) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn is_young(entry: &fs::DirEntry) -> bool {
    let made = entry.metadata().and_then(|known| known.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < YOUNG))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
