//! Compares two builds, platform after platform.

use super::side::Side;
use super::stage::Comparison;
use database::{ExplainedStep, Why};

/// Says of each step of `new` what about it is not as in `old`, platform after platform.
pub(crate) fn compare(new: &Side<'_, '_>, old: &Side<'_, '_>) -> Vec<ExplainedStep> {
    let (new, old) = (new.halves(), old.halves());
    let several = new.len() > 1;
    let mut explained = Vec::new();
    for half in &new {
        let platform = half.prepared.platform();
        let same = old.iter().find(|other| other.prepared.platform() == platform);
        let Some(other) = same.or(old.first()) else { continue };
        let other_platform = other.prepared.platform();
        let changed = (platform != other_platform)
            .then(|| Why::PlatformChanged { old: other_platform.to_string(), new: platform.to_string() });
        let mut steps = Comparison::new(*half, *other, changed).steps();
        steps.sort_by_key(|step| step.number);
        for step in &mut steps {
            step.number += half.before as i64;
            if several {
                step.stage = format!("{platform} {}", step.stage);
            }
        }
        explained.extend(steps);
    }
    explained
}
