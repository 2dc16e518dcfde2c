//! Limits: one control group per attempt, of version 1 or 2, where this machine lets slipway make one.

use crate::{Error, Limits};
use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// Start of the names of slipway's groups, by which leftovers are found.
const PREFIX: &str = "slipway-";
/// Length of a scheduling period in microseconds.
const PERIOD: f64 = 100_000.0;

/// The groups of one attempt; removed when it is dropped.
#[derive(Debug)]
pub struct Cgroup {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    path: PathBuf,
    controller: Controller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Pids,
    Cpu,
    Unified,
}

impl Cgroup {
    /// Makes the groups for `attempt`; `None`, with a warning, where that is not possible.
    pub fn create(attempt: &str, limits: &Limits) -> Option<Cgroup> {
        let mut groups = Vec::new();
        for (parent, controller) in parents() {
            let path = parent.join(format!("{PREFIX}{attempt}"));
            match make(&path, controller, limits) {
                Ok(()) => groups.push(Group { path, controller }),
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "no control group");
                    let _ = fs::remove_dir(&path);
                }
            }
        }
        if groups.is_empty() {
            tracing::warn!("no control groups: steps run without limits of memory and processes");
            return None;
        }
        Some(Cgroup { groups })
    }

    /// Puts a process, and all it starts from now on, under the limits.
    pub fn add(&self, id: u32) -> Result<(), Error> {
        for group in &self.groups {
            let file = group.path.join("cgroup.procs");
            fs::write(&file, id.to_string()).map_err(Error::system(format!("writing `{}`", file.display())))?;
        }
        Ok(())
    }

    /// Returns how often the kernel killed something for want of memory.
    pub fn killed(&self) -> u64 {
        self.groups.iter().map(killed).max().unwrap_or(0)
    }
}

fn killed(group: &Group) -> u64 {
    let file = match group.controller {
        Controller::Memory => "memory.oom_control",
        Controller::Unified => "memory.events",
        Controller::Pids | Controller::Cpu => return 0,
    };
    let text = fs::read_to_string(group.path.join(file)).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.groups {
            // The last process may still be on its way out.
            for _ in 0..50 {
                if fs::remove_dir(&group.path).is_ok() || !group.path.exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

/// Removes groups of attempts that are over; those in use cannot be removed.
pub fn sweep() {
    for (parent, _) in parents() {
        let Ok(entries) = fs::read_dir(&parent) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Returns the groups that this process is in, below which groups can be made.
fn parents() -> Vec<(PathBuf, Controller)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut parents = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, Some(names), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if names.is_empty() {
            let parent = Path::new(ROOT).join(path.trim_start_matches('/'));
            if parent.join("cgroup.controllers").exists() {
                parents.push((outermost(&parent), Controller::Unified));
            }
            continue;
        }
        for name in names.split(',') {
            let controller = match name {
                "memory" => Controller::Memory,
                "pids" => Controller::Pids,
                "cpu" => Controller::Cpu,
                _ => continue,
            };
            let mounted =
                [names, name].map(|mounted| Path::new(ROOT).join(mounted)).into_iter().find(|root| root.is_dir());
            if let Some(root) = mounted {
                parents.push((outermost(&root.join(path.trim_start_matches('/'))), controller));
            }
        }
    }
    parents
}

/// Leaves groups of slipway's own: a worker that itself runs in one makes siblings.
fn outermost(path: &Path) -> PathBuf {
    let inside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if inside { path.parent().unwrap_or(path).to_owned() } else { path.to_owned() }
}

fn make(path: &Path, controller: Controller, limits: &Limits) -> std::io::Result<()> {
    if controller == Controller::Unified {
        let parent = path.parent().unwrap_or(path);
        let offered = fs::read_to_string(parent.join("cgroup.controllers"))?;
        let wanted: Vec<_> = ["memory", "pids", "cpu"]
            .into_iter()
            .filter(|name| offered.split_whitespace().any(|known| known == *name))
            .collect();
        if wanted.is_empty() {
            return Err(std::io::Error::other("the group offers neither memory nor pids"));
        }
        let enable: Vec<_> = wanted.iter().map(|name| format!("+{name}")).collect();
        fs::write(parent.join("cgroup.subtree_control"), enable.join(" "))?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let set = |file: &str, value: String| fs::write(path.join(file), value);
    if let Some(bytes) = limits.memory_bytes {
        match controller {
            Controller::Memory => {
                set("memory.limit_in_bytes", bytes.to_string())?;
                // Swap counts together with memory; not every kernel accounts it.
                let _ = set("memory.memsw.limit_in_bytes", bytes.to_string());
            }
            Controller::Unified => {
                set("memory.max", bytes.to_string())?;
                let _ = set("memory.swap.max", "0".to_owned());
            }
            Controller::Pids | Controller::Cpu => {}
        }
    }
    if let (Some(pids), Controller::Pids | Controller::Unified) = (limits.pids, controller) {
        set("pids.max", pids.to_string())?;
    }
    if let Some(cpus) = limits.cpus {
        let quota = (cpus * PERIOD) as u64;
        match controller {
            Controller::Cpu => set("cpu.cfs_quota_us", quota.to_string())?,
            Controller::Unified => set("cpu.max", format!("{quota} {PERIOD}"))?,
            Controller::Memory | Controller::Pids => {}
        }
    }
    Ok(())
}
