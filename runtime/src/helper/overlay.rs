//! Overlays: the layers of a step, seen as one tree.

use super::{mount, walk};
use crate::SnapshotId;
use nix::libc;
use rustix::mount::{MountAttrFlags, MountFlags};
use std::collections::HashSet;
use std::ffi::CString;
use std::io;

/// Bytes of options that fit into the old call.
const PAGE: usize = 4096;
/// Options of every overlay: `userxattr` because the sandbox may write no other attributes, the rest because layers travel.
const OPTIONS: [(&str, &str); 4] = [("userxattr", ""), ("index", "off"), ("metacopy", "off"), ("xino", "off")];

/// Mounts `layers`, bottom first, on `target`; writable if there is a directory for changes and one to work in.
pub(crate) fn overlay(layers: &[SnapshotId], upper: Option<(&str, &str)>, target: &str) -> io::Result<()> {
    // The same layer may come twice, as that of steps which change nothing does: the kernel refuses to stack a directory
    // with itself, and the lower one shows nothing that the upper one does not say again.
    let mut seen = HashSet::new();
    let lower: Vec<String> =
        layers.iter().rev().map(SnapshotId::directory).filter(|layer| seen.insert(layer.clone())).collect();
    overlay_of(lower, upper, target)
}

/// Mounts the directories `lower`, topmost first.
pub(crate) fn overlay_of(mut lower: Vec<String>, upper: Option<(&str, &str)>, target: &str) -> io::Result<()> {
    // An overlay needs something below, and two of them if nothing can be written.
    if lower.is_empty() {
        lower.push("e".to_owned());
    }
    if upper.is_none() {
        lower.push("e2".to_owned());
    }
    match one_by_one(&lower, upper, target) {
        // Kernels before 6.8 take all layers at once only.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            all_at_once(&lower, upper, target)
        }
        other => other,
    }
}

/// Mounts with an option for each layer, of which there may be 500.
fn one_by_one(lower: &[String], upper: Option<(&str, &str)>, target: &str) -> io::Result<()> {
    let mut options: Vec<(&str, &str)> = OPTIONS.to_vec();
    options.extend(lower.iter().map(|layer| ("lowerdir+", layer.as_str())));
    if let Some((upper, work)) = upper {
        options.extend([("upperdir", upper), ("workdir", work)]);
    }
    let mounted = mount::new("overlay", &options, MountAttrFlags::empty())?;
    mount::attach(mounted, walk::open_directory(target)?)
}

fn all_at_once(lower: &[String], upper: Option<(&str, &str)>, target: &str) -> io::Result<()> {
    let mut options: Vec<String> = OPTIONS
        .iter()
        .map(|(key, value)| if value.is_empty() { (*key).to_owned() } else { format!("{key}={value}") })
        .collect();
    options.push(format!("lowerdir={}", lower.join(":")));
    if let Some((upper, work)) = upper {
        options.push(format!("upperdir={upper},workdir={work}"));
    }
    let options = options.join(",");
    if options.len() >= PAGE {
        return Err(io::Error::other("too many layers for one mount of this kernel"));
    }
    let options = CString::new(options)?;
    Ok(rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str())?)
}
