//! The input of rules: a ref that was pushed, and markers in a commit's message that skip the build.

use time::OffsetDateTime;

/// The kind of ref that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefKind {
    /// Branches.
    Branch,
    /// Tags.
    Tag,
}

impl RefKind {
    /// Returns the word for several.
    pub(crate) fn plural(self) -> &'static str {
        if self == RefKind::Branch { "branches" } else { "tags" }
    }

    /// Returns the word for one.
    pub(crate) fn singular(self) -> &'static str {
        if self == RefKind::Branch { "branch" } else { "tag" }
    }
}

/// A ref that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed<'p> {
    /// Branch or tag.
    pub kind: RefKind,
    /// Its short name: `main`.
    pub name: &'p str,
    /// The commit's full hash, if it is known.
    pub commit: Option<&'p str>,
    /// The repository's default branch, if it is known.
    pub default_branch: Option<&'p str>,
    /// When.
    pub at: OffsetDateTime,
}

impl<'p> Pushed<'p> {
    /// Takes the full name of a ref; `None` for one that is neither branch nor tag.
    pub(crate) fn new(git_ref: &'p str, commit: Option<&'p str>) -> Option<Self> {
        let branch = git_ref.strip_prefix("refs/heads/").map(|name| (RefKind::Branch, name));
        let (kind, name) = branch.or_else(|| git_ref.strip_prefix("refs/tags/").map(|name| (RefKind::Tag, name)))?;
        let pushed = Pushed { kind, name, commit, default_branch: None, at: OffsetDateTime::now_utc() };
        (!name.is_empty()).then_some(pushed)
    }

    /// Says what the repository's default branch is.
    #[must_use]
    pub(crate) fn on_default(self, default_branch: Option<&'p str>) -> Self {
        Pushed { default_branch, ..self }
    }

    /// Says when it was pushed.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn at(self, at: OffsetDateTime) -> Self {
        Pushed { at, ..self }
    }

    /// Tells whether this is the default branch; where that is not known, `main` and `master` count.
    pub(crate) fn is_default_branch(&self) -> bool {
        let named = self.default_branch.map_or(matches!(self.name, "main" | "master"), |name| name == self.name);
        self.kind == RefKind::Branch && named
    }
}

/// Longest full name of a ref.
const MAX_REF: usize = 1024;

/// Tells whether a text is the full name of a ref, by the rules of `git check-ref-format`.
pub(crate) fn is_ref(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.starts_with("refs/")
        && name.len() <= MAX_REF
        && name.split('/').count() > 2
        && name.split('/').all(is_part)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.chars().any(|char| char.is_control() || " ~^:?*[\\".contains(char))
}

/// Markers in a commit's message that skip the build.
const SKIP_MARKERS: [&str; 8] = [
    "[skip ci]",
    "[ci skip]",
    "[no ci]",
    "[skip build]",
    "[build skip]",
    "[skip slipway]",
    "[slipway skip]",
    "[skip docker]",
];

/// Returns the marker in a commit's message that asks for no build: anywhere in its title, or alone in its last line before
/// the trailers. A marker elsewhere is a quotation, as in a squash commit that lists the titles of others.
pub(crate) fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let title = lines.next().unwrap_or_default();
    let last = lines.rfind(|line| !is_trailer(line)).unwrap_or_default();
    SKIP_MARKERS.into_iter().find(|marker| title.contains(marker) || last == *marker)
}

/// Tells whether a line is one such as `Signed-off-by: me`.
fn is_trailer(line: &str) -> bool {
    let key = line.split_once(": ").map_or("", |(key, _)| key);
    !key.is_empty() && key.contains('-') && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_count_in_the_title_and_alone_at_the_end() {
        // SV-23
        assert_eq!(skip_marker("x\n\n[skip ci]\n\nCo-authored-by: a <b@c>\nSigned-off-by: d\n"), Some("[skip ci]"));
        assert_eq!(skip_marker("Merge (#7)\n\n* fix: x [skip ci]\n\n* fix: y\n\nCo-authored-by: a"), None);
        assert_eq!(skip_marker("Merge (#7)\n\n* fix: x [skip ci]"), None);
        assert_eq!(skip_marker("Explain the marker\n\n> [skip ci]\nis quoted"), None);
        assert_eq!(skip_marker(""), None);
        assert_eq!(skip_marker("Fix typo\n\n[Skip CI]"), Some("[skip ci]"));
        assert_eq!(skip_marker("[build skip] docs"), Some("[build skip]"));
        assert_eq!(skip_marker("skip ci, [skip-ci], [skip  ci]"), None);
    }

    #[test]
    fn refs_are_named_as_git_names_them() {
        for good in ["refs/heads/main", "refs/tags/v1.2", "refs/heads/feature/ä-雪", "refs/pull/7/head", "refs/heads/@"]
        {
            assert!(is_ref(good), "{good}");
        }
        for bad in [
            "main",
            "refs/heads",
            "refs/heads/",
            "refs/heads/a\nb",
            "refs/heads/a\u{1b}[31m",
            "refs/heads/a b",
            "refs/heads/a..b",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a//b",
            "refs/heads/a:b",
            "refs/heads/a\0",
            "refs/heads/a.",
            "-x",
            "",
        ] {
            assert!(!is_ref(bad), "{bad:?}");
        }
    }

    #[test]
    fn other_refs_are_not_built() {
        assert!(Pushed::new("refs/notes/x", None).is_none() && Pushed::new("refs/heads/", None).is_none());
    }
}
