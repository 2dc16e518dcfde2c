//! What rules look at: a ref that was pushed, and the words in a commit's message that ask for no build.

use time::OffsetDateTime;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// Branches.
    Branch,
    /// Tags.
    Tag,
}

impl RefKind {
    /// Returns the word for several.
    pub fn plural(self) -> &'static str {
        if self == RefKind::Branch { "branches" } else { "tags" }
    }

    /// Returns the word for one.
    pub fn singular(self) -> &'static str {
        if self == RefKind::Branch { "branch" } else { "tag" }
    }
}

/// A ref that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed<'p> {
    /// What it is.
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
    pub fn new(git_ref: &'p str, commit: Option<&'p str>) -> Option<Self> {
        let branch = git_ref.strip_prefix("refs/heads/").map(|name| (RefKind::Branch, name));
        let (kind, name) = branch.or_else(|| git_ref.strip_prefix("refs/tags/").map(|name| (RefKind::Tag, name)))?;
        let pushed = Pushed { kind, name, commit, default_branch: None, at: OffsetDateTime::now_utc() };
        (!name.is_empty()).then_some(pushed)
    }

    /// Says what the repository's default branch is.
    #[must_use]
    pub fn on_default(self, default_branch: Option<&'p str>) -> Self {
        Pushed { default_branch, ..self }
    }

    /// Says when it was pushed.
    #[must_use]
    #[cfg(test)]
    pub fn at(self, at: OffsetDateTime) -> Self {
        Pushed { at, ..self }
    }

    /// Tells whether this is the default branch; where nobody said which one is, `main` and `master` count.
    pub fn is_default_branch(&self) -> bool {
        let named = self.default_branch.map_or(matches!(self.name, "main" | "master"), |name| name == self.name);
        self.kind == RefKind::Branch && named
    }
}

/// What authors write into a commit's message so that nothing is built.
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

/// Returns the marker in a commit's message that asks for no build.
pub fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    SKIP_MARKERS.into_iter().find(|marker| message.contains(marker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_anywhere_in_any_case() {
        assert_eq!(skip_marker("Fix typo\n\n[Skip CI]"), Some("[skip ci]"));
        assert_eq!(skip_marker("[build skip] docs"), Some("[build skip]"));
        assert_eq!(skip_marker("skip ci, [skip-ci], [skip  ci]"), None);
    }

    #[test]
    fn other_refs_are_not_built() {
        assert!(Pushed::new("refs/notes/x", None).is_none() && Pushed::new("refs/heads/", None).is_none());
    }
}
