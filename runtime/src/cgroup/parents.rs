//! Finds the groups that this process is in, below which groups can be made.

use super::controller::{Controller, PREFIX};
use std::path::{Path, PathBuf};

/// A group to make groups in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    /// Its directory.
    pub path: PathBuf,
    /// Its controller.
    pub controller: Controller,
}

/// Reads `own`, the process's list of its groups, for the hierarchies that are mounted below `root`.
pub(crate) fn parents(root: &Path, own: &str) -> Vec<Parent> {
    own.lines().flat_map(|line| of_line(root, line)).collect()
}

fn of_line(root: &Path, line: &str) -> Vec<Parent> {
    let mut fields = line.splitn(3, ':');
    let (_, Some(names), Some(path)) = (fields.next(), fields.next(), fields.next()) else { return Vec::new() };
    let path = path.trim_start_matches('/');
    if names.is_empty() {
        let parent = root.join(path);
        let unified = parent.join("cgroup.controllers").exists();
        return unified
            .then(|| Parent { path: outermost(&parent), controller: Controller::Unified })
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    for name in names.split(',') {
        let controller = match name {
            "memory" => Controller::Memory,
            "pids" => Controller::Pids,
            "cpu" => Controller::Cpu,
            "cpuacct" if !names.split(',').any(|beside| beside == "cpu") => Controller::Accounting,
            _ => continue,
        };
        let mounted = [names, name].map(|mounted| root.join(mounted)).into_iter().find(|mounted| mounted.is_dir());
        found.extend(mounted.map(|mounted| Parent { path: outermost(&mounted.join(path)), controller }));
    }
    found
}

/// Leaves groups of slipway's own: a worker that itself runs in one makes siblings.
fn outermost(path: &Path) -> PathBuf {
    let inside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if inside { path.parent().unwrap_or(path).to_owned() } else { path.to_owned() }
}
