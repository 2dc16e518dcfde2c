//! Reasons why the image of another service differs from the one that was built here of the same source.

use super::opened::Opened;
use crate::image::unchanged::{CREATED, REVISION, SOURCE, VERSION};
use database::ImageDifference;

/// The labels that slipway gives to each image, as settings name them.
const OWN_LABELS: [&str; 4] = [REVISION, SOURCE, CREATED, VERSION];

/// Adds reasons to the difference of `ours`, which was built of `commit`, and `theirs`, and takes out what is meant to differ.
pub(crate) fn explain(ours: &Opened<'_>, theirs: &Opened<'_>, commit: &str, difference: &mut ImageDifference) {
    if let Some(note) = of_another_commit(theirs, commit) {
        difference.notes.insert(0, note);
    }
    leave_own_labels(difference);
    let (ours, theirs) = (ours.diff_ids(), theirs.diff_ids());
    let is_different = difference.counts != (0, 0, 0);
    if is_different && ours.first() != theirs.first() {
        difference.notes.push(
            "the images have no layer in common: they stand on different base images, or on one that moved between the \
             builds"
                .to_owned(),
        );
    } else if is_different && !difference.packages.is_empty() {
        difference.notes.push(
            "the base image is the same: packages that differ were installed at another time, or with other arguments"
                .to_owned(),
        );
    }
}

/// Says so if the image names another commit than the one that was built.
fn of_another_commit(theirs: &Opened<'_>, commit: &str) -> Option<String> {
    let named = theirs.settings().labels.remove(REVISION)?;
    (named != commit).then(|| {
        format!("the other image was made of commit {named}, this one of {commit}: the other service may not have built it yet")
    })
}

/// Takes out the labels that only slipway sets.
fn leave_own_labels(difference: &mut ImageDifference) {
    let is_own = |name: &str| name.strip_prefix("LABEL ").is_some_and(|name| OWN_LABELS.contains(&name));
    let before = difference.settings.len();
    difference.settings.retain(|setting| !(setting.old.is_none() && is_own(&setting.name)));
    let left_out = before - difference.settings.len();
    if left_out > 0 {
        difference
            .notes
            .push(format!("slipway adds {left_out} labels of its own, which say what the image was built from"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::SettingDifference;

    #[test]
    fn labels_that_only_slipway_sets_do_not_count() {
        let setting = |name: &str, old: Option<&str>| SettingDifference {
            name: name.to_owned(),
            new: Some("x".to_owned()),
            old: old.map(str::to_owned),
        };
        let (revision, version) = (format!("LABEL {REVISION}"), format!("LABEL {VERSION}"));
        let settings = vec![setting(&revision, None), setting(&version, Some("1")), setting("LABEL mine", None)];
        let mut difference = ImageDifference { settings, ..ImageDifference::default() };
        leave_own_labels(&mut difference);
        let left: Vec<_> = difference.settings.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(left, [version.as_str(), "LABEL mine"]);
        assert_eq!(difference.notes.len(), 1, "{:?}", difference.notes);
    }
}
