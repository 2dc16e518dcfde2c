//! Labels that tell of every image what it was built from, by the names that OCI gives them.

use crate::git::CommitTree;
use crate::image::unchanged::{CREATED, REVISION, SOURCE, VERSION};
use database::BuildSpec;
use registry_client::Reference;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

/// Returns the labels that images of `spec` have unless their Dockerfile or rule says otherwise; a rule that gives one no
/// value leaves it out.
pub(crate) fn defaults(spec: &BuildSpec, tree: &CommitTree) -> BTreeMap<String, String> {
    let created = OffsetDateTime::from_unix_timestamp(tree.commit_time()).ok();
    let found = [
        (REVISION, Some(tree.id().to_owned())),
        (SOURCE, Some(without_login(&spec.clone_url))),
        (CREATED, created.and_then(|time| time.format(&Rfc3339).ok())),
        (VERSION, version(spec)),
    ];
    let wanted = |name: &str| !spec.options.labels.get(name).is_some_and(String::is_empty);
    let known = found.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.filter(|(name, _)| wanted(name)).collect()
}

/// Returns the labels that a rule gives to images, without those that only take a default away.
pub(crate) fn asked(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_default = |name: &str| [REVISION, SOURCE, CREATED, VERSION].contains(&name);
    let kept = labels.iter().filter(|(name, value)| !(value.is_empty() && is_default(name)));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns the first tag of the image, or the short name of the ref of a build without tags. A pull request's image has the
/// version that it will have as the image of the branch.
fn version(spec: &BuildSpec) -> Option<String> {
    if let Some(version) = spec.options.pull.as_ref().and_then(|pull| pull.version.clone()) {
        return Some(version);
    }
    let tag = spec.tags.first().and_then(|tag| Reference::parse(tag).ok()?.tag().map(str::to_owned));
    tag.or_else(|| spec.git_ref.splitn(3, '/').nth(2).map(str::to_owned))
}

/// Returns a URL that everybody who sees the image may read.
fn without_login(clone_url: &str) -> String {
    let Ok(mut url) = Url::parse(clone_url) else { return clone_url.to_owned() };
    if url.has_host() && (!url.username().is_empty() || url.password().is_some()) {
        let _ = url.set_username("");
        let _ = url.set_password(None);
        return url.to_string();
    }
    clone_url.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_does_not_become_a_label() {
        let shown = |url: &str| without_login(url);
        assert_eq!(shown("https://me:token@git.example.com/a/b.git"), "https://git.example.com/a/b.git");
        assert_eq!(shown("https://token@git.example.com/a/b"), "https://git.example.com/a/b");
        for url in ["https://git.example.com/a/b.git", "git@example.com:a/b.git", "/srv/git/a"] {
            assert_eq!(shown(url), url);
        }
    }

    #[test]
    fn an_empty_value_takes_a_default_away() {
        let given =
            [(VERSION, ""), ("mine", ""), (SOURCE, "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let left: Vec<_> = asked(&BTreeMap::from(given)).into_iter().collect();
        assert_eq!(left, [("mine".to_owned(), String::new()), (SOURCE.to_owned(), "x".to_owned())]);
    }
}
