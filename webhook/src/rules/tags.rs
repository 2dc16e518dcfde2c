//! Tags and names of images as registries take them.

use database::marks;
use regex::Regex;
use std::sync::LazyLock;

/// Longest tag that a registry takes.
const MAX_TAG: usize = 128;
/// Digits that a mark may become: a commit's hash, or the longest number.
const MARK_DIGITS: usize = 40;

static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$")
        .expect("the expression is well formed")
});

/// Adds a tag made legal, once; says so if that changed it.
pub(crate) fn add(text: &str, tags: &mut Vec<String>, warnings: &mut Vec<String>) {
    let tag = legal(text);
    if tag.is_empty() {
        if !text.is_empty() {
            warnings.push(format!("the tag `{}` is left out: nothing of it may stand in a tag", marks::shown(text)));
        }
        return;
    }
    if tag != text {
        warnings.push(format!(
            "the tag `{}` became `{}`: a tag holds letters, digits, `_`, `.` and `-`, begins with none of the last two and has at most {MAX_TAG} characters",
            marks::shown(text),
            marks::shown(&tag)
        ));
    }
    if !tags.contains(&tag) {
        tags.push(tag);
    }
}

/// Makes a text a tag that registries take: other characters become `-`, no `.` or `-` in front, not too long.
pub(crate) fn legal(text: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char) || marks::is_mark(char);
    let replaced: String = text.chars().map(|char| if allowed(char) { char } else { '-' }).collect();
    let mut length = 0;
    let fitting = replaced.trim_start_matches(['.', '-']).chars().take_while(|char| {
        length += if marks::is_mark(*char) { MARK_DIGITS } else { 1 };
        length <= MAX_TAG
    });
    fitting.collect()
}

/// Checks the name of an image without a tag.
pub(crate) fn check_image(image: &str) -> Result<(), String> {
    if image.len() <= 255 && IMAGE.is_match(image) {
        return Ok(());
    }
    Err(format!(
        "image `{image}` must be a registry's host, a path in lower case and no tag: registry.example.com/team/app"
    ))
}

/// Tells whether an image is `parent` or lies below it.
pub(crate) fn is_at_or_below(image: &str, parent: &str) -> bool {
    image.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_tags_visibly() {
        let (mut tags, mut warnings) = (Vec::new(), Vec::new());
        for text in ["latest", "latest", "feature/ä b", "-.x", "..", ""] {
            add(text, &mut tags, &mut warnings);
        }
        assert_eq!(tags, ["latest", "feature---b", "x"]);
        assert!(warnings.len() == 3 && warnings[0].contains("`feature/ä b` became `feature---b`"), "{warnings:?}");
        assert_eq!(legal(&"x".repeat(300)).len(), MAX_TAG);
        let marked = format!("{}{}", "x".repeat(100), marks::COMMIT);
        assert_eq!(legal(&marked).len(), 100, "a mark that would not fit when it is filled in is left out");
    }

    #[test]
    fn images_are_named_as_registries_name_them() {
        for good in ["127.0.0.1:5000/team/app", "registry.example.com/a-b/c__d", "docker.io/library/x"] {
            check_image(good).unwrap();
        }
        for bad in
            ["app", "example.com/App", "example.com/app:1", "example.com/", "example.com/a..b", "example.com/a b"]
        {
            assert!(check_image(bad).is_err(), "{bad}");
        }
    }
}
